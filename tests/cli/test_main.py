"""Exit codes, and what is printed, for errors and near misses."""

from __future__ import annotations

import errno
import json
import mmap
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from resnext import __version__
from resnext.cli import main
from resnext.cli.commands import COMMANDS
from resnext.contract import Resize
from resnext.data.loaders import evaluation_batches
from resnext.data.stored_images import ImageArrays
from resnext.machine import DeviceError

pytestmark = pytest.mark.usefixtures("no_reports")


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["train", "digits", "--epoch", "3"], "--epochs"),
        (["train", "digits", "--training.learning-rate", "3"], "--training"),
        (["train", "digits", "--model", "resnxt50_32x4d"], "resnext50_32x4d"),
        (["train", "digits", "--recipe", "smal"], "small"),
        (["train", "digits", "--recipe", "small", "--config", "x.toml"], "no effect with --config"),
        (["models", "resnext51_32x4"], "resnext50_32x4d"),
        (["trian", "digits"], "there is no command 'trian'. Is it 'train'?"),
        (["xyzzy"], "Commands: train, doctor, evaluate"),
        (["train", "digits", "--workers", "-1"], "at least 0"),
        (["train", "digits", "--name", "a/b"], "--runs"),
        (["train", "digits", "--resume", "must"], "--resume needs the --name"),
        (["train", "digits", "--resume", "never!"], "--resume"),
        (["train", "digits", "--log", "paper"], "--log"),
        (["train", "digits", "--new-head"], "--weights"),
        (["train", "digits", "--recipe", "finetune"], "give --weights"),
        (["train", "digits", "--training.frozen", "2"], "give --weights"),
        (["train", "digits", "--data.magnitude", "3"], "no effect with data.policy = none"),
        (["recipes", "imagenet-moden"], "imagenet-modern"),
        (["train", "digits", "--checkpoint-every", "often"], "10min"),
        (["predict", "model"], "predict needs IMAGES"),
        (["predict", "model", "x.png", "--top", "0"], "at least 1"),
        (["predict", "model", "x.png", "--out", "none/x.csv"], "there is no folder none"),
        (["evaluate", "model", "digits", "--json", "none/x.json"], "there is no folder none"),
    ],
)
def test_near_misses_get_the_nearest_valid_words(
    words: list[str],
    near: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    captured = capfd.readouterr()
    assert near in captured.err + captured.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("verb", "code"), [("models", 0), ("train", 75)])
def test_output_that_nobody_reads(
    verb: str,
    code: int,
    colours: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run: Callable[..., int],
    quick: list[str],
) -> None:
    """As in `resnext models | head -1`: no error; but a run that was left like this can be resumed."""
    words = {"models": [], "train": [colours, "--runs", tmp_path, "--name", "x", *quick]}
    ours, theirs = os.pipe()
    os.close(ours)
    with monkeypatch.context() as patch, open(theirs, "w") as closed:
        patch.setattr(sys, "stdout", closed)
        assert run(verb, *words[verb]) == code
    if verb == "train":
        assert json.loads((tmp_path / "x" / "status.json").read_text())["state"] == "resumable"
        assert run("train", colours, "--runs", tmp_path, "--name", "x", "--resume", "must", *quick) == 0


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("words", "to_full_disk", "to_nobody"),
    [("models", 5, 0), ("--version", 5, 0), ("--help", 5, 0), ("train nowhere", 3, 3)],
)
def test_output_that_cannot_be_written(
    words: str, to_full_disk: int, to_nobody: int, unbuffered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in `resnext models > models.txt 2>&1` on a full disk, where nothing can be said any more."""
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    command = [sys.executable, "-m", "resnext", *words.split()]
    with open("/dev/full", "w") as full:
        assert subprocess.run(command, stdout=full, stderr=full, check=False).returncode == to_full_disk
    ours, theirs = os.pipe()
    os.close(ours)
    with open(theirs, "w") as closed:
        assert subprocess.run(command, stdout=closed, stderr=closed, check=False).returncode == to_nobody


def test_output_on_a_full_disk_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    with open("/dev/full", "w") as full:
        subprocess.run([sys.executable, "-m", "resnext", "--version"], stdout=full, check=False)
    assert capfd.readouterr().err == "resnext: the output: no space left on device\n"


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (DeviceError("--device cuda: cannot be used here"), 5, "--device cuda"),
        (OSError(errno.ENOSPC, "No space left on device", "x.bin"), 5, "x.bin: no space left"),
        (PermissionError(errno.EACCES, "Permission denied", "x.bin"), 5, "x.bin: no permission; choose"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x.bin"), 2, "x.bin: no such file"),
        (OSError(errno.EIO, "Input/output error", "x.bin"), 5, "x.bin: input/output error"),
        (OSError(errno.EMFILE, "Too many open files", "x.bin"), 5, "x.bin: too many open files"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), 5, "temporarily unavailable"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "), 5, "memory runs out"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_errors_become_exit_codes(
    error: BaseException,
    code: int,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    run: Callable[..., int],
) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr("resnext.cli.commands.models.ModelsCommand.run", fail)
    assert run("models") == code
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    "ask",
    [
        lambda: torch.empty(1 << 56, dtype=torch.uint8),
        lambda: np.empty(1 << 56, np.uint8),
        lambda: bytes(1 << 62),
        lambda: mmap.mmap(-1, 1 << 56),
        lambda: next(evaluation_batches(GREEDY, Resize(8, 8), 1, workers=1)),
    ],
    ids=["torch", "numpy", "Python", "the system", "numpy in a worker"],
)
def test_running_out_of_memory(
    ask: Callable[[], object],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    run: Callable[..., int],
) -> None:
    """The real errors: their texts differ, and change with the versions of the packages."""
    monkeypatch.setattr("resnext.cli.commands.models.ModelsCommand.run", lambda _: ask())
    assert run("models") == 5
    assert capsys.readouterr().err == "resnext: out of memory\n"


class GreedyImages(ImageArrays):
    """Images that take more memory than there is."""

    def open(self, index: int) -> Image.Image:
        return Image.fromarray(np.empty((1 << 28, 1 << 28), np.uint8))


GREEDY = GreedyImages(np.zeros((1, 8, 8), np.uint8), np.array([0]), ("a",))


def test_an_error_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch, run: Callable[..., int]) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("resnext.cli.commands.models.ModelsCommand.run", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        run("models")


def test_notes_of_an_error_are_printed_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], run: Callable[..., int]
) -> None:
    def fail(_: object) -> None:
        error = OSError(errno.ENOSPC, "No space left on device", "x.bin")
        error.add_note("The last good state is y.bin")
        raise error

    monkeypatch.setattr("resnext.cli.commands.models.ModelsCommand.run", fail)
    assert run("models") == 5
    assert (
        capsys.readouterr().err == "resnext: x.bin: no space left on device\nThe last good state is y.bin\n"
    )


def test_what_helps_against_running_out_of_memory(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], run: Callable[..., int]
) -> None:
    def fail(_: object) -> None:
        raise MemoryError

    for kind in COMMANDS:
        monkeypatch.setattr(kind, "run", fail)
    for words, hint in (
        (["train", "digits"], "; try a smaller --batch, --data.size-px or --model"),
        (["bench", "step"], "; try a smaller --batch"),
        (["evaluate", "model", "digits", "--device", "cuda"], "; try --device cpu"),
        (["predict", "model", "x.png", "--device", "cpu"], ""),
        (["models"], ""),
    ):
        assert run(*words) == 5
        assert capsys.readouterr().err == f"resnext: out of memory{hint}\n"


def test_no_python_that_is_started_runs_code_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., int]
) -> None:
    (tmp_path / "json.py").write_text("print('executed')")
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    start = [sys.executable, "-c", "import json"]
    assert subprocess.run(start, cwd=tmp_path, capture_output=True, check=True).stdout == b"executed\n"
    assert run("--version") == 0
    assert subprocess.run(start, cwd=tmp_path, capture_output=True, check=True).stdout == b""


def test_the_version(capsys: pytest.CaptureFixture[str], run: Callable[..., int]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"resnext {__version__}\n"


def test_help(capsys: pytest.CaptureFixture[str], run: Callable[..., int]) -> None:
    assert run() == run("--help") == 0
    said = capsys.readouterr().out
    places = [said.index(f"\u2022 {kind.name} ") for kind in COMMANDS]
    assert places == sorted(places)
