"""What there is to compute on."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch

#: Where Linux says how many bytes of memory a container may use (control groups of versions 2 and 1).
CONTAINER_LIMITS = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")

#: And, in one file or in two, how many microseconds of a core it may use in how many.
CONTAINER_SHARES = (
    (Path("/sys/fs/cgroup/cpu.max"),),
    (Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")),
)


class DeviceError(Exception):
    """The device asked for is not there."""


@dataclass(frozen=True)
class Machine:
    """`device` as torch names it, `name` for people, and whether it computes in bfloat16 natively."""

    device: torch.device
    name: str
    bfloat16: bool

    @property
    def is_gpu(self) -> bool:
        return self.device.type != "cpu"


def find_machine(device: str | None = None, number: int = 0) -> Machine:
    """The machine behind `device` (`cpu`, `cuda`, `cuda:1`, `mps`); the best there is if None, and its GPU of
    this `number` unless said. Raises `DeviceError`.
    """
    if device is None:
        best = torch.accelerator.current_accelerator(check_available=True)
        device = "cpu" if best is None else best.type
    if sees_its_own_gpu():
        number = 0
    try:
        chosen = torch.device(f"cuda:{number}" if device == "cuda" else device)
        if chosen.type == "meta":
            raise RuntimeError("it holds no values")
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise DeviceError(f"--device {device}: cannot be used here ({reason})") from None
    if chosen.type == "cuda":
        bfloat16 = torch.cuda.get_device_capability(chosen) >= (8, 0)
        return Machine(chosen, torch.cuda.get_device_name(chosen), bfloat16)
    if chosen.type == "cpu":
        can = torch.cpu.get_capabilities()
        # `bf16` is the ARM name; kernels that only emulate it are slower than float32.
        bfloat16 = any(can.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
        return Machine(chosen, cpu_name(), bfloat16)
    return Machine(chosen, chosen.type, False)


def take_machine(machine: Machine) -> None:
    """Make this process the machine's own: memory is pinned for its GPU, and other processes are talked to
    through it."""
    if machine.device.type == "cuda":
        torch.cuda.set_device(machine.device)


def sees_its_own_gpu() -> bool:
    """Does this process see one GPU, as where a scheduler shows each of its tasks another by the number 0?"""
    return torch.cuda.device_count() == 1 and "TORCHELASTIC_RUN_ID" not in os.environ


def device_name(name: str, processes: int) -> str:
    """A machine's name for people, and how many processes share it or others like it."""
    return name if processes == 1 else f"{name}, {processes} processes"


def cpu_name() -> str:
    """The processor's name and the cores that this process may use."""
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, {count_cores()} cores"


@contextmanager
def all_cores() -> Iterator[None]:
    """While entered, compute on all cores that this process may use, even if OMP_NUM_THREADS says fewer."""
    before = torch.get_num_threads()
    if "OMP_NUM_THREADS" in os.environ:
        torch.set_num_threads(max(before, count_cores()))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def count_cores() -> int:
    """Cores that this process may use: of this machine, and of the time that its container gets of them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for share in CONTAINER_SHARES:
        with suppress(OSError, ValueError):  # there is no such file, or it says "max"
            quota, period = map(int, " ".join(path.read_text() for path in share).split())
            if quota > 0:
                cores = min(cores, -(-quota // period))
    return cores


def room_for_pictures(processes: int) -> int:
    """Bytes that each of so many processes on this machine may keep decoded pictures in: an eighth of the
    memory, or of what their container may use, among them (as of 8 GiB where the system does not tell)."""
    memory = 8 << 30
    if hasattr(os, "sysconf"):
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for limit in CONTAINER_LIMITS:
        with suppress(OSError, ValueError):  # there is no such file, or it says "max"
            memory = min(memory, int(limit.read_text()))
    return memory // 8 // processes


def room_on_device(machine: Machine, processes: int) -> int:
    """As `room_for_pictures`, where they are computed on; 0 where the device does not tell its memory."""
    if machine.device.type == "cuda":
        return torch.cuda.get_device_properties(machine.device).total_memory // 8
    return 0 if machine.is_gpu else room_for_pictures(processes)


def default_workers(device: torch.device, size_px: int, processes: int = 1) -> int:
    """Decoding processes of one of `processes` that compute on this machine: for a GPU a share of the cores;
    beside a CPU that has to compute as well one, or none for small pictures."""
    if device.type == "cpu":
        return 0 if size_px <= 64 else 1
    return max(0, min(8, count_cores() // processes - 1))
