"""Hostile requests: each ends in 4xx with a reason or a closed connection, and the server is as before."""

from __future__ import annotations

import io
import json
import socket
import struct
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from resnext.engine import Classifier
from resnext.serve import RequestLimits
from tests.serve.loopback import Answer, Served, encoded, form


def a_png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def check_problem(answer: Answer, status: int, says: str) -> None:
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json"), answer
    said = answer.json
    assert said["status"] == status
    assert said["title"]
    assert says in said["detail"], said
    assert "Traceback" not in answer.body.decode()


def check_healthy(served: Served, classifier: Classifier) -> None:
    image = encoded(9)
    answer = served.post("/predict", image)
    assert answer.json["images"][0]["label"] == classifier.predict([image])[0].label
    deadline = time.monotonic() + 10
    while (served.application.answering.waiting or served.application.intake.held_bytes) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.01)
    assert served.application.answering.waiting == served.application.intake.held_bytes == 0


@pytest.mark.parametrize(
    ("body", "kind", "status", "says"),
    [
        (b"no image", "image/png", 422, "image 0: is not an image"),
        (b"", "image/png", 422, "has no bytes"),
        (encoded(1, (90, 90), "JPEG")[:900], "image/jpeg", 422, "image 0: "),
        (encoded(1, (90, 90))[:9000], "image/png", 422, "image 0: "),
        (
            a_png_that_claims(50_000, 50_000),
            "image/png",
            422,
            "has 2,500,000,000 pixels, and at most 40,000,000",
        ),
        (a_png_that_claims(9000, 9000), "image/png", 422, "has 9,000 x 9,000 pixels"),
        (encoded(), "text/html", 415, "Content-Type"),
        (encoded(), "multipart/form-data", 400, "boundary"),
        (b"x", "multipart/form-data; boundary=y", 400, "the form is broken"),
        (form(encoded())[0][:-30], "multipart/form-data; boundary=XyZ", 400, "the form is broken"),
        (form()[0], "multipart/form-data; boundary=XyZ", 422, "no images"),
        (form(*[b"x"] * 1000)[0], "multipart/form-data; boundary=XyZ", 413, "more than 64 images"),
        (form(encoded(), b"bad")[0], "multipart/form-data; boundary=XyZ", 422, "1 of 2 images"),
        (b"{", "application/json", 400, "JSON"),
        (b"[1]", "application/json", 422, "list of images"),
        (b"[" * 100_000, "application/json", 400, "JSON"),
        (b'{"images": [NaN]}', "application/json", 400, "JSON"),
        (b'{"images": []}', "application/json", 422, "no images"),
        (b'{"images": [1]}', "application/json", 422, "images[0]: must be text"),
        (b'{"images": ["%%"]}', "application/json", 422, "images[0]: is not base64"),
        (json.dumps({"images": [""] * 1000}).encode(), "application/json", 413, "1,000 images"),
        (b'{"images": [], "x": 1}', "application/json", 422, "unknown field 'x'"),
        (b"\xff" * 99, "application/json", 400, "JSON"),
    ],
)
def test_bodies_that_cannot_be_used(
    served: Served, classifier: Classifier, body: bytes, kind: str, status: int, says: str
) -> None:
    check_problem(served.post("/predict", body, kind), status, says)
    check_healthy(served, classifier)


def test_bad_images_are_listed_with_their_places(served: Served) -> None:
    said = served.post("/predict", *form(encoded(), b"bad", encoded(), b"")).json
    assert [(one["index"], one["name"]) for one in said["images"]] == [(1, "1.png"), (3, "3.png")]


def test_of_an_animation_the_first_frame_is_taken(served: Served, classifier: Classifier) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "green", "blue")]
    frames[0].save(file := io.BytesIO(), "GIF", save_all=True, append_images=frames[1:])
    [answered] = served.post("/predict", file.getvalue(), "image/gif").json["images"]
    assert answered["label"] == classifier.predict([file.getvalue()])[0].label


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/predict", 405),
        ("DELETE", "/models", 405),
        ("GET", "/nothing", 404),
        ("POST", "/predict?model=nobody", 404),
        ("POST", "/predict?top=many", 422),
        ("POST", "/predict?top=0", 422),
        ("GET", "/v2/models/..%2f..%2fetc%2fpasswd", 404),
        ("GET", "/v2/models/../../etc/passwd", 404),
        ("POST", "/v2/models/%00/infer", 404),
        ("POST", "/predict?model=../../etc/passwd", 404),
        ("GET", "/page.css/../../serving.py", 404),
        ("GET", "/" + "x" * 3000, 404),
    ],
)
def test_addresses_that_are_none(served: Served, method: str, path: str, status: int) -> None:
    check_problem(served.ask(method, path), status, "")


def test_a_large_body_is_refused_before_it_is_sent(served: Served, classifier: Classifier) -> None:
    with socket.create_connection(("127.0.0.1", served.port), 10) as client:
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 209715200\r\n\r\n")
        answer = client.recv(65536)
        assert b" 413 " in answer.split(b"\r\n")[0]
        assert b"connection: close" in answer
    check_healthy(served, classifier)


def test_a_large_body_that_does_not_say_so_is_cut_off(start_server: Any, classifier: Classifier) -> None:
    served = start_server(RequestLimits(body_bytes=100_000))
    chunks = (b"x" * 10_000 for _ in range(10_000))
    try:
        answer = served.ask("POST", "/predict", chunks, {"Content-Type": "image/png"})
    except (ConnectionError, TimeoutError):  # it was closed while we were still sending
        pass
    else:
        check_problem(answer, 413, "larger than 100,000 bytes")
    check_healthy(served, classifier)


def closes(served: Served, sent: bytes, within_s: float = 10) -> bytes:
    """What the server answers to raw bytes until it closes the connection, which it must do."""
    received = b""
    with socket.create_connection(("127.0.0.1", served.port), within_s) as client:
        client.sendall(sent)
        try:
            while chunk := client.recv(65536):
                received += chunk
        except ConnectionError:
            pass
    return received


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),  # TLS
        b"GET /nothing HTTP/9.9\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",  # no Host
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 20_000,
        b"\r\n" * 40_000,
        b"A" * 100_000,
    ],
)
def test_broken_http_gets_a_reason_or_a_closed_connection(
    served: Served, classifier: Classifier, sent: bytes
) -> None:
    answer = closes(served, sent, 30)
    assert not answer or answer.split()[1] in (b"400", b"404", b"422"), answer
    check_healthy(served, classifier)


def test_clients_that_never_finish_are_left(
    start_server: Any, classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resnext.serve.connection.HEAD_S", 0.3)
    served = start_server(RequestLimits(upload_s=0.3))
    assert closes(served, b"") == b""
    assert closes(served, b"GET / HTTP/1.1\r\nHo") == b""
    slow = closes(served, b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nabc")
    assert slow.split()[1] == b"408"
    check_healthy(served, classifier)
    first = served.post("/predict", encoded())  # and a half head after a good request
    assert first.status == 200
    with socket.create_connection(("127.0.0.1", served.port), 10) as client:
        client.sendall(b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b" 200 " in client.recv(65536)
        client.sendall(b"GET /v2 HT")
        rest = b""
        while chunk := client.recv(65536):
            rest += chunk
        assert b"HTTP" not in rest


def test_clients_that_leave_while_they_send_or_wait(served: Served, classifier: Classifier) -> None:
    image = encoded()
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(image)
    for sent in (head, head + image[:100], head + image):
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", served.port), 10) as client:
                client.sendall(sent)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    check_healthy(served, classifier)


def test_too_many_connections_are_closed(
    start_server: Any, classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resnext.serve.connection.MAX_CONNECTIONS", 3)
    served = start_server()
    held = [socket.create_connection(("127.0.0.1", served.port), 10) for _ in range(3)]
    for one in held:  # each is answered, so that all of them are known to the server
        one.sendall(b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b" 200 " in one.recv(65536)
    assert closes(served, b"") == b""
    for one in held:
        one.close()
    time.sleep(0.1)
    check_healthy(served, classifier)


def block_engine(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let the engine wait until the function that is returned is called."""
    import threading

    gate, answer = threading.Event(), classifier.answer
    monkeypatch.setattr(classifier, "answer", lambda images: gate.wait(20) and answer(images))
    return gate.set


def test_a_full_queue_is_503_and_says_when_to_come_again(
    start_server: Any, classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    served = start_server(RequestLimits(queue=4, images=3, batch=2))
    go_on = block_engine(classifier, monkeypatch)
    with ThreadPoolExecutor(8) as threads:
        accepted = [threads.submit(served.post, "/predict", encoded(number)) for number in range(4)]
        while served.application.answering.waiting < 4:
            time.sleep(0.01)
        refused = served.post("/predict", encoded())
        check_problem(refused, 503, "4 images wait, and at most 4 may")
        assert int(refused.headers["retry-after"]) >= 1
        assert served.get("/v2/health/ready").status == 200
        assert "resnext_waiting_images 4" in served.get("/metrics").body.decode()
        go_on()
        assert [one.result().status for one in accepted] == [200] * 4
    check_healthy(served, classifier)


def test_what_is_not_answered_in_time_is_503(
    start_server: Any, classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = start_server(RequestLimits(deadline_s=0.2))
    go_on = block_engine(classifier, monkeypatch)
    check_problem(served.post("/predict", encoded()), 503, "not answered within 0.2 s")
    go_on()
    check_healthy(served, classifier)


def test_bytes_in_hand_are_bounded(start_server: Any, classifier: Classifier) -> None:
    served = start_server(RequestLimits(memory_bytes=50_000))
    with socket.create_connection(("127.0.0.1", served.port), 10) as other:
        other.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 45000\r\n\r\n" + b"x" * 40_000)
        while served.application.intake.held_bytes < 40_000:
            time.sleep(0.01)
        answer = served.post("/predict", b"x" * 20_000)
        check_problem(answer, 503, "too many bytes")
        assert "retry-after" in answer.headers
    check_healthy(served, classifier)


def test_stopping_answers_what_was_received_and_refuses_the_rest(
    start_server: Any, classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    monkeypatch.setattr("resnext.serve.bodies.LAST_S", 0.2)
    served = start_server(RequestLimits(batch=1))
    go_on = block_engine(classifier, monkeypatch)
    with (
        ThreadPoolExecutor(8) as threads,
        socket.create_connection(("127.0.0.1", served.port), 10) as slow,
    ):
        slow.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nabc")
        accepted = [threads.submit(served.post, "/predict", encoded(number)) for number in range(6)]
        while served.application.answering.waiting < 6:
            time.sleep(0.01)
        served.server.should_exit = True
        assert b" 503 " in slow.recv(65536)
        go_on()
        assert [one.result().status for one in accepted] == [200] * 6
        assert all(one.result().headers["connection"] == "close" for one in accepted)
    served.stop()
    with pytest.raises(ConnectionRefusedError):
        served.get("/v2")


def test_when_the_time_to_stop_is_over_the_rest_is_told_so(
    start_server: Any, classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    served = start_server(RequestLimits(stop_s=0.3))
    go_on = block_engine(classifier, monkeypatch)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(served.post, "/predict", encoded())
        while served.application.answering.waiting < 1:
            time.sleep(0.01)
        served.server.should_exit = True
        check_problem(waiting.result(), 503, "the server stops")
    go_on()
    served.stop()


def test_an_error_that_nobody_foresaw_is_told_without_details(
    start_server: Any, classifier: Classifier, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    served = start_server()

    def fail(images: Any) -> None:
        raise RuntimeError("a secret")

    with monkeypatch.context() as patch:
        patch.setattr(classifier, "answer", fail)
        answer = served.post("/predict", encoded())
    check_problem(answer, 500, "an internal error")
    assert "secret" not in answer.body.decode()
    deadline = time.monotonic() + 10
    while "a secret" not in caplog.text and time.monotonic() < deadline:  # it is logged after the answer
        time.sleep(0.01)
    assert "a secret" in caplog.text
    check_healthy(served, classifier)


def test_the_description_names_every_address_and_loads_nothing(served: Served) -> None:
    described = served.get("/openapi.json").json
    paths = {"/predict", "/models", "/metrics", "/v2/health/ready", "/v2/models/{name}/infer"}
    assert paths <= set(described["paths"])
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            assert "default" in operation["responses"], (path, method)
    assert served.get("/docs").status == 404


def test_figures_count_what_was_asked(start_server: Any) -> None:
    served = start_server()
    served.post("/predict", *form(encoded(), encoded(1)))
    served.post("/predict", b"bad")
    lines = served.get("/metrics").body.decode().splitlines()
    assert 'resnext_requests_total{route="predict",status="2xx"} 1' in lines
    assert 'resnext_requests_total{route="predict",status="4xx"} 1' in lines
    assert 'resnext_images_total{model="pets"} 2' in lines
    assert 'resnext_bad_images_total{model="pets"} 1' in lines
