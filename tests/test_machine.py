"""What there is to compute on, and how much of it is used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from resnext import machine

PROGRAM = """
import torch
from resnext.machine import all_cores, count_cores
alone = torch.get_num_threads()
with all_cores():
    assert torch.get_num_threads() >= count_cores(), torch.get_num_threads()
assert torch.get_num_threads() == alone == 1, alone
"""


def test_all_cores_are_used_whatever_the_environment_says_and_only_meanwhile() -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True)


def test_what_a_container_may_use_is_all_the_memory_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(machine, "CONTAINER_LIMITS", (tmp_path / "none", limit))
    limit.write_text("max\n")
    unlimited = machine.room_for_pictures(1)
    limit.write_text(f"{64 << 20}\n")
    assert machine.room_for_pictures(2) == 4 << 20
    assert unlimited > 4 << 20


def test_what_a_container_may_use_is_all_the_cores_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = tmp_path / "cpu.max"
    quota, period = tmp_path / "quota", tmp_path / "period"
    monkeypatch.setattr("resnext.machine.os.sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(machine, "CONTAINER_SHARES", ((both,), (quota, period)))
    assert machine.count_cores() == 64
    both.write_text("max 100000\n")
    quota.write_text("-1\n")
    period.write_text("100000\n")
    assert machine.count_cores() == 64
    both.write_text("250000 100000\n")
    assert machine.count_cores() == 3
    quota.write_text("200000\n")
    assert machine.count_cores() == 2
