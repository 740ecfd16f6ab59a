"""A signal ends a command as Ctrl-C does, with a message and an exit code, and leaves nothing half made."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from resnext.cli.signals import SignalsInterrupt
from resnext.run import batch_size_finder
from resnext.run.folder import RunFolder

NAMES = ["SIGTERM", "SIGHUP", "SIGUSR1"]
AGAIN = "nothing was lost: the same command starts again"


@pytest.fixture(autouse=True)
def _usual_signals() -> Iterator[None]:
    """Handlers as a process has them that a shell starts."""
    with ExitStack() as after:
        for name in NAMES:
            before = signal.signal(signal.Signals[name], signal.SIG_DFL)
            after.callback(signal.signal, signal.Signals[name], before)
        yield


def kill(name: str) -> Callable[..., Any]:
    """A function that sends this signal to this process."""
    return lambda *_, **__: os.kill(os.getpid(), signal.Signals[name])


def replace_function(at: str, other: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the function that `at` names, as in `module:Class.function`."""
    module, _, path = at.partition(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for one in owners:
        owner = getattr(owner, one)
    monkeypatch.setattr(owner, name, other)


@pytest.mark.parametrize("name", NAMES)
def test_signals_interrupt(name: str) -> None:
    with SignalsInterrupt() as signals:
        assert signals.received is None
        with pytest.raises(KeyboardInterrupt):
            kill(name)()
        assert signals.received == signal.Signals[name]
        kill("SIGTERM")()  # the same request, as of a launcher that signals a process and its group
    assert all(signal.getsignal(signal.Signals[one]) is signal.SIG_DFL for one in NAMES)


def test_a_hangup_that_nohup_ignores_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with SignalsInterrupt() as signals:
        kill("SIGHUP")()
        assert signals.received is None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("words", "at"),
    [
        ("train DATA --runs OUT", "resnext.run.scanning:scan"),
        ("train DATA --runs OUT --batch auto", "resnext.run.batch_size_finder:_run_trial"),
        ("index DATA OUT.index", "resnext.run.scanning:scan"),
        ("evaluate RUN DATA --json OUT.json", "resnext.engine.classifier:Classifier._answer"),
        ("predict RUN DATA --out OUT.csv", "resnext.engine.classifier:Classifier._answer"),
        ("embed RUN DATA --out OUT.parquet", "resnext.models:Network.forward_features"),
        ("report RUN --out OUT.html", "resnext.reporting.report:write_output"),
    ],
)
def test_a_command_ends_with_a_message_and_leaves_nothing(
    words: str,
    at: str,
    name: str,
    colours: Path,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    run: Callable[..., int],
) -> None:
    replace_function(at, kill(name), monkeypatch)
    places = {"DATA": str(colours), "RUN": str(trained)}
    typed = [places.get(word, word.replace("OUT", str(tmp_path / "out"))) for word in words.split()]
    assert run(*typed) == 128 + signal.Signals[name]
    assert capsys.readouterr().err.splitlines()[-1] == f"resnext: stopped by {name}; {AGAIN}"
    assert [*tmp_path.rglob("*.*")] == []


def test_where_rows_are_kept_the_message_leaves_the_rest_to_the_note(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], run: Callable[..., int]
) -> None:
    def stop(_: object) -> None:
        try:
            kill("SIGTERM")()
        except KeyboardInterrupt as error:
            error.add_note("x.partial holds the rows so far")
            raise

    monkeypatch.setattr("resnext.cli.commands.models.ModelsCommand.run", stop)
    assert run("models") == 143
    assert capsys.readouterr().err == "resnext: stopped by SIGTERM\nx.partial holds the rows so far\n"


def begin(run: Callable[..., int], colours: Path, quick: list[str], runs: Path, *more: str) -> int:
    return run("train", colours, "--runs", runs, "--name", "x", "--workers", "0", *quick, *more)


@pytest.mark.usefixtures("no_reports")
@pytest.mark.parametrize(
    "at",
    [
        "resnext.run.folder:RunFolder.write",
        "resnext.run.folder:RunFolder.publish",
        "resnext.run.train:RunSpec.read",
        "resnext.run.train:NetworkRun",
    ],
)
def test_a_run_that_has_not_begun_leaves_no_folder(
    at: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    colours: Path,
    quick: list[str],
    run: Callable[..., int],
) -> None:
    with monkeypatch.context() as patch:
        replace_function(at, kill("SIGTERM"), patch)
        assert begin(run, colours, quick, tmp_path) == 143
    assert [*tmp_path.iterdir()] == []
    assert begin(run, colours, quick, tmp_path) == 0


@pytest.mark.usefixtures("no_reports")
def test_a_folder_has_its_status_from_the_moment_it_is_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    colours: Path,
    quick: list[str],
    run: Callable[..., int],
) -> None:
    publish = RunFolder.publish

    def stop_after(folder: RunFolder, *names: Any) -> RunFolder:
        published = publish(folder, *names)
        kill("SIGTERM")()
        return published

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "publish", stop_after)
        assert begin(run, colours, quick, tmp_path) == 143
    assert json.loads((tmp_path / "x" / "status.json").read_text())["state"] == "resumable"
    assert begin(run, colours, quick, tmp_path, "--resume", "auto") == 0


def test_the_process_that_tries_batches_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[str]] = []

    def interrupt(process: subprocess.Popen[str], **_: object) -> None:
        started.append(process)
        raise KeyboardInterrupt

    monkeypatch.setattr(batch_size_finder, "TRIAL_CODE", "import time; time.sleep(600)")
    monkeypatch.setattr(subprocess.Popen, "communicate", interrupt)
    trial = batch_size_finder.Trial("resnet18", 2, 32, "float32", "cpu", (1,))
    with pytest.raises(KeyboardInterrupt):
        batch_size_finder._run_trial(trial)
    assert started[0].wait() == -signal.SIGKILL
