"""`resnext serve`: what it refuses, and a server from its start to its stop."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from resnext import api

pytestmark = pytest.mark.usefixtures("no_reports")


@contextlib.contextmanager
def serving(*words: Any, environment: dict[str, str] | None = None) -> Iterator[tuple[Any, int]]:
    """The process of a server that is ready, and its port."""
    command = [sys.executable, "-m", "resnext", "serve", *map(str, words), "--port", "0"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | (environment or {}),
    )
    try:
        line = process.stdout.readline()  # type: ignore[union-attr]
        found = re.search(r"serving (.+) at http://127\.0\.0\.1:(\d+)/", line)
        assert found, line + process.stderr.read()  # type: ignore[union-attr]
        yield process, int(found[2])
    finally:
        process.kill()
        process.communicate()


def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_is_served_until_a_signal_and_the_exit_code_is_0(
    trained: Path, colours: Path, number: signal.Signals
) -> None:
    image = (colours / "val" / "a" / "0.png").read_bytes()
    with serving(trained) as (process, port):
        status, answer = ask(port, "POST", "/predict", image)
        [wanted] = api.predict(trained, [image])
        assert status == 200
        assert answer["images"][0]["label"] == wanted.label
        assert answer["images"][0]["probability"] == pytest.approx(wanted.probability, abs=1e-5)
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
        assert (process.returncode, errors) == (0, "")


@pytest.mark.slow
def test_several_processes_answer_and_one_that_is_killed_is_started_again(
    trained: Path, colours: Path, tmp_path: Path
) -> None:
    image = (colours / "val" / "a" / "0.png").read_bytes()
    token = tmp_path / "token"
    token.write_text("0123456789abcdef")
    bearer = {"Authorization": "Bearer 0123456789abcdef"}
    with serving(trained, "--workers", 2, "--token-file", token) as (process, port):
        assert ask(port, "POST", "/predict", image)[0] == 401
        answers = [ask(port, "POST", "/predict", image, **bearer) for _ in range(20)]
        assert {status for status, _ in answers} == {200}
        assert len({json.dumps(answer["images"]) for _, answer in answers}) == 1
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        names = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
        workers = [int(pid) for pid, name in names.items() if b"spawn_main" in name]
        assert len(workers) == 2
        os.kill(workers[0], signal.SIGKILL)
        assert "is started again" in process.stdout.readline()
        assert ask(port, "POST", "/predict", image, **bearer)[0] == 200
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 0
        for pid in workers:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ([], 2, "serve needs MODEL"),
        (["runs/nowhere"], 2, "there is no such model"),
        (["cat.jpg"], 2, "is an image"),
        (["runs/x", "--port", "70000"], 2, "--port 70000: must be at most 65535"),
        (["runs/x", "--workers", "0"], 2, "--workers 0: must be at least 1"),
        (["runs/x", "--max-images", "9", "--queue", "8"], 2, "must be at most --queue 8"),
        (["runs/x", "--deadline-s", "0"], 2, "--deadline-s 0: must be positive"),
        (["runs/x", "--cors", "example.org"], 2, "must be an origin, as https://example.org"),
        (["runs/x", "others/x"], 2, "there is a model x already"),
        (["runs/x", "--token-file", "nowhere/token"], 2, "nowhere/token: no such file"),
    ],
)
def test_what_cannot_be_served(
    options: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str], run: Callable[..., int]
) -> None:
    assert run("serve", *options) == code
    assert says in capsys.readouterr().err


def test_without_the_extra_it_says_what_to_install(
    trained: Path,
    capsys: pytest.CaptureFixture[str],
    run: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert run("serve", trained) == 5
    assert "pip install 'resnext[serve]'" in capsys.readouterr().err
