"""kill -9 at random moments of one training on real images; then the bits of the undisturbed run."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from resnext.cli import main

pytestmark = pytest.mark.slow


def command(runs: Path, name: str, epochs: int, workers: int = 0) -> list[str]:
    """Random crops, because images that are only shifted are kept in memory, and no worker reads them."""
    words = ["train", "digits", "--runs", str(runs), "--name", name, "--resume", "auto", "--device", "cpu"]
    words += f"--checkpoint-every 3 --epochs {epochs} --model resnext11_2x4d+template=8".split()
    return [*words, "--data.crop", "resized", "--workers", str(workers)]


def start(words: list[str]) -> subprocess.Popen[bytes]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "resnext", *words],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def children_of(process: int) -> list[int]:
    """The worker processes of a main process."""
    names = [path.parent.name for path in Path("/proc").glob("[0-9]*/stat")]
    return [int(name) for name in names if f"\nPPid:\t{process}\n" in read(Path("/proc", name, "status"))]


def read(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text()
    return ""  # it has ended


def have_ended(processes: list[int]) -> bool:
    """Whether all have ended within 10 s."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        states = [read(Path("/proc", str(process), "status")) for process in processes]
        if all("State:\tZ" in state or not state for state in states):
            return True
        time.sleep(0.02)
    return False


def progress(run: Path) -> int:
    """Lines of metrics so far: where in the training a kill falls."""
    metrics = run / "metrics.jsonl"
    return metrics.read_text().count("\n") if metrics.exists() else 0


def test_killed_at_random_moments(full: bool, record: Callable[..., None], tmp_path: Path) -> None:
    kills, epochs = (100, 24) if full else (1, 2)
    assert main(command(tmp_path, "whole", epochs)) == 0
    lines = progress(tmp_path / "whole")
    draw, done, finished, with_workers, orphans = random.Random(0), 0, False, 0, 0
    places: list[int] = []
    used: set[int] = set()
    for target in sorted(draw.uniform(0, 0.95 * lines) for _ in range(kills)):
        count = (done + 2) % 5
        process = start(command(tmp_path, "cut", epochs, workers=count))
        before, end = progress(tmp_path / "cut"), time.monotonic() + 240
        while process.poll() is None and progress(tmp_path / "cut") <= max(before, target):
            assert time.monotonic() < end
            time.sleep(0.01)  # starting, or on its way
        time.sleep(draw.uniform(0, 0.2))
        if process.poll() is not None:
            finished = True
            break
        workers = children_of(process.pid)
        process.send_signal(signal.SIGKILL)
        process.wait()
        with_workers += bool(workers)
        orphans += not have_ended(workers)
        done += 1
        used.add(count)
        places.append(progress(tmp_path / "cut"))
    assert main(command(tmp_path, "cut", epochs)) == 0
    assert not finished, f"the training was over after {done} kills"
    assert orphans == 0
    assert with_workers >= done / 2, "most have workers by then"

    cut, whole = tmp_path / "cut", tmp_path / "whole"
    for name in ("checkpoints/last.safetensors", "checkpoints/best.safetensors", "model/model.safetensors"):
        ours, theirs = load_file(cut / name), load_file(whole / name)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(tensor, theirs[key]) for key, tensor in ours.items()), name

    def told(run: Path) -> list[dict[str, float]]:
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        return [
            {k: v for k, v in line.items() if k not in ("seconds", "data_s", "transfer_s")} for line in lines
        ]

    assert told(cut) == told(whole)
    results = [json.loads((run / "result.json").read_text())["metrics"] for run in (cut, whole)]
    assert results[0] == results[1]
    record(
        "kill -9 in training",
        kills=done,
        bit_equal=True,  # or an assertion above has failed
        workers=sorted(used),
        with_workers=with_workers,
        orphans=orphans,
        lines=lines,
        lines_at_kills=[min(places), max(places)],
    )
