"""Tokens, origins and headers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from resnext.engine import Classifier
from resnext.serve.access import OPEN_PATHS
from tests.serve.loopback import Served, encoded, start

TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def guarded(classifier: Classifier) -> Iterator[Served]:
    served = start({"pets": classifier}, token=TOKEN, origins=("https://pets.example",))
    yield served
    served.stop()


BAD = [None, "", "Bearer", "Bearer ", f"Basic {TOKEN}", "Bearer wrong", f"Bearer {TOKEN}x", TOKEN]
BAD += [f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN.upper()}", f"Bearer é{TOKEN}", "Bearer " + "x" * 5000]


@pytest.mark.parametrize("header", BAD)
def test_without_the_token_nothing_is_answered_but_health_and_page(
    guarded: Served, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    described = guarded.get("/openapi.json", Authorization=f"Bearer {TOKEN}").json
    for path in [
        *described["paths"],
        "/openapi.json",
        "/nothing",
        "//predict",
        "/predict/",
        "/v2/health/live/",
    ]:
        for method in ("GET", "POST", "OPTIONS", "HEAD"):
            answer = guarded.ask(method, path.replace("{name}", "pets"), headers=headers)
            if path in OPEN_PATHS:
                assert answer.status in (200, 405), (method, path)
            else:
                assert answer.status == 401, (method, path)
                assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("header", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"Bearer  {TOKEN}"])
def test_with_the_token_all_is_answered(guarded: Served, header: str) -> None:
    assert guarded.post("/predict", encoded(), Authorization=header).status == 200
    assert guarded.get("/metrics", Authorization=header).status == 200


def test_two_tokens_are_none(guarded: Served) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", guarded.port, timeout=10)
    connection.putrequest("GET", "/models")
    connection.putheader("Authorization", "Bearer wrong")
    connection.putheader("Authorization", f"Bearer {TOKEN}")
    connection.endheaders()
    assert connection.getresponse().status == 401
    connection.close()


def test_pages_of_other_origins_are_refused_unless_they_are_allowed(guarded: Served, served: Served) -> None:
    for origin in ("https://evil.example", "null", "http://[", f"http://127.0.0.1:{served.port + 1}"):
        answer = served.post("/predict", encoded(), Origin=origin)
        assert (answer.status, "access-control-allow-origin" in answer.headers) == (403, False)
    own = f"http://127.0.0.1:{served.port}"
    assert served.post("/predict", encoded(), Origin=own).status == 200
    allowed = {"Origin": "https://pets.example", "Authorization": f"Bearer {TOKEN}"}
    answer = guarded.post("/predict", encoded(), **allowed)
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "https://pets.example"
    assert "origin" in answer.headers["vary"].lower()
    before = {"Origin": "https://pets.example", "Access-Control-Request-Method": "POST"}
    assert guarded.ask("OPTIONS", "/predict", headers=before).status == 204
    before["Origin"] = "https://evil.example"
    assert guarded.ask("OPTIONS", "/predict", headers=before).status == 403


def test_a_server_of_this_machine_alone_is_asked_by_its_own_names(classifier: Classifier) -> None:
    served = start({"pets": classifier}, is_local=True, origins=("https://pets.example",))
    try:
        for host in (f"127.0.0.1:{served.port}", "localhost", "[::1]:80", "pets.example"):
            assert served.get("/models", Host=host).status == 200
        for host in ("evil.example", f"evil.example:{served.port}", "127.0.0.1.evil.example", "[", ""):
            assert served.get("/models", Host=host, Origin=f"http://{host}").status == 421
    finally:
        served.stop()


def test_every_answer_carries_what_keeps_browsers_safe(served: Served) -> None:
    for answer in (served.get("/models"), served.get("/nothing"), served.post("/predict", b"")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "server" not in answer.headers


def test_a_name_that_could_act_on_a_terminal_or_a_page_is_harmless(served: Served) -> None:
    bad: Any = (
        b'--B\r\nContent-Disposition: form-data; name="images"; filename="\x1b[2J<b>.png"\r\n\r\nx\r\n--B--'
    )
    answer = served.post("/predict", bad, "multipart/form-data; boundary=B")
    assert answer.status == 422
    assert b"\x1b" not in answer.body
    assert "\x1b" not in answer.json["detail"]
