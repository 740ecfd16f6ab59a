"""Cores and memory that a process may use."""

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


def test_all_cores_are_used_inside_the_context_only() -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True)


def test_the_memory_limit_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(machine, "CONTAINER_MEMORY_LIMITS", (tmp_path / "none", limit))
    limit.write_text("max\n")
    unlimited = machine.image_cache_bytes(1)
    limit.write_text(f"{64 << 20}\n")
    assert machine.image_cache_bytes(2) == 4 << 20
    assert unlimited > 4 << 20


def test_the_processor_quota_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = tmp_path / "cpu.max"
    quota, period = tmp_path / "quota", tmp_path / "period"
    monkeypatch.setattr("resnext.machine.os.sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(machine, "CONTAINER_CPU_QUOTAS", ((both,), (quota, period)))
    assert machine.count_cores() == 64
    both.write_text("max 100000\n")
    quota.write_text("-1\n")
    period.write_text("100000\n")
    assert machine.count_cores() == 64
    both.write_text("250000 100000\n")
    assert machine.count_cores() == 3
    quota.write_text("200000\n")
    assert machine.count_cores() == 2


def test_a_busy_machine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resnext.machine.count_cores", lambda: 4)
    for load, says in ((0.0, ""), (5.9, ""), (6.1, "load 6.1 on 4 cores"), (90.0, "load 90.0 on 4 cores")):
        monkeypatch.setattr("os.getloadavg", lambda load=load: (load, 0.0, 0.0), raising=False)
        assert says in machine.busy_note()
        assert bool(machine.busy_note()) == bool(says)

    def unknown() -> None:
        raise OSError

    monkeypatch.setattr("os.getloadavg", unknown, raising=False)
    assert machine.busy_note() == ""


@pytest.mark.parametrize(
    ("there", "told"),
    [
        ({"avx2", "avx512_f", "avx512_vnni", "avx512_bf16"}, ", AVX512 VNNI bf16"),
        ({"avx2", "avx512_f"}, ", AVX512"),
        ({"avx2", "avx_vnni"}, ", AVX2 VNNI"),
        ({"sve", "bf16", "i8mm"}, ", SVE int8 products bf16"),
        (set(), ""),
    ],
)
def test_processors_of_one_name_are_told_apart(
    there: set[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was timed on one is not what another takes: they differ by their instructions."""
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: dict.fromkeys(there, True) | {"sse": True})
    cores = f"{machine.count_cores()} cores"
    assert machine.cpu_name().endswith(cores + told)
    assert machine.find_machine("cpu").bfloat16 == ("bf16" in told)
