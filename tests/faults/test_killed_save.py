"""kill -9 after every system call of a save that changes the disk: a loadable checkpoint every time."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from resnext.training import checkpoints
from resnext.training.loop import TrainState
from resnext.training.settings import TrainingSettings

SETTINGS = TrainingSettings(averaging=0.1)


def state(step: int) -> TrainState:
    torch.manual_seed(step)
    made = TrainState(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)), SETTINGS)
    made.step = step
    return made


def save(made: TrainState, folder: Path) -> None:
    """What a run does at an epoch that is the best."""
    last, previous, best = (folder / f"{name}.safetensors" for name in ("last", "previous", "best"))
    checkpoints.keep_as_previous(last, previous)
    checkpoints.write_snapshot(checkpoints.take_snapshot(made, {}), last)
    checkpoints.hard_link(last, best)


def die_at(call: int, pieces: int) -> None:
    """In this process, die by SIGKILL after the `call`-th write, fsync, link, unlink or rename.

    The tensors' file is written in `pieces` so that the kill can fall inside of it.
    """
    count = 0

    def hooked(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **options: Any) -> Any:
            nonlocal count
            result = function(*args, **options)
            count += 1
            if count == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return run

    def save_file(tensors: Any, path: Path, metadata: Any) -> None:
        data = checkpoints_save(tensors, metadata)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        write = hooked(os.write)
        for piece in range(pieces):
            write(handle, data[len(data) * piece // pieces : len(data) * (piece + 1) // pieces])
        os.close(handle)

    from safetensors.torch import save as checkpoints_save

    checkpoints.save_file = save_file
    for name in ("fsync", "link", "unlink", "replace"):
        setattr(os, name, hooked(getattr(os, name)))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_killed_after_every_call(full: bool, record: Callable[..., None], tmp_path: Path) -> None:
    pieces = 200 if full else 3
    call = 0
    seen = []
    while True:
        call += 1
        folder = tmp_path / str(call)
        folder.mkdir()
        save(state(1), folder)
        save(state(2), folder)
        child = os.fork()
        if child == 0:
            die_at(call, pieces)
            save(state(3), folder)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        newest = state(0)
        checkpoints.load_checkpoint(newest, folder / "last.safetensors")
        other = state(newest.step).network.state_dict()
        assert all(torch.equal(t, other[name]) for name, t in newest.network.state_dict().items())
        for name in ("previous", "best"):
            checkpoints.load_checkpoint(state(0), folder / f"{name}.safetensors")
        seen.append(newest.step)
        if os.WIFEXITED(status):
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
    assert seen == sorted(seen)
    assert set(seen) == {2, 3}
    save(state(4), tmp_path / "1")  # what a kill leaves lying about is no obstacle
    record("kill -9 in a save", calls=call - 1, loadable=call - 1)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_the_disk_is_full(full: bool, record: Callable[..., None], tmp_path: Path) -> None:
    """No file may grow beyond a limit, which stands for the space left; 200 limits up to the file's size."""
    places, refused = 200 if full else 8, 0
    save(state(1), tmp_path)
    save(state(2), tmp_path)
    size = (tmp_path / "last.safetensors").stat().st_size
    names = {path.name for path in tmp_path.iterdir()}
    for place in range(places):
        child = os.fork()
        if child == 0:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size * place // places,) * 2)
            try:
                save(state(3), tmp_path)
            except OSError:
                os._exit(7)
            os._exit(0)
        refused += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        newest = state(0)
        checkpoints.load_checkpoint(newest, tmp_path / "last.safetensors")
        assert newest.step == 2
        assert {path.name for path in tmp_path.iterdir()} == names
    assert refused == places
    save(state(4), tmp_path)
    record("disk full in a save", places=places, refused=refused, intact=places)
