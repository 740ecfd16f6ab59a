"""The device and processor that a network computes on, and how much memory and how many cores there are."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from resnext.errors import ResnextError

#: Files in which Linux gives the memory limit of a container in bytes (control groups version 2, version 1).
CONTAINER_MEMORY_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
#: Files in which Linux gives the processor time of a container: the quota and its period, both in
#: microseconds. Version 2 of control groups has both in one file, version 1 has two files.
CONTAINER_CPU_QUOTAS = (
    (Path("/sys/fs/cgroup/cpu.max"),),
    (Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")),
)
#: torch's names of the bfloat16 instructions; `bf16` is that of ARM.
BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")
#: Instructions that make one processor several times as fast as another of the same name, by how people call
#: them, with torch's names. AVX2 is not told beside AVX512, which has it.
INSTRUCTIONS = {
    "AVX512": ("avx512_f",),
    "AVX2": ("avx2",),
    "SVE": ("sve",),
    "VNNI": ("avx512_vnni", "avx_vnni"),
    "int8 products": ("i8mm",),
    "bf16": BFLOAT16,
    "AMX": ("amx_tile",),
}
#: Load per core, as an average of the last minute, from which a machine is called busy.
BUSY_LOAD = 1.5


class DeviceError(ResnextError):
    """The device asked for cannot be used."""

    exit_code = 5


@dataclass(frozen=True)
class Machine:
    """A device to compute on.

    Attributes:
        device: The device, as torch names it.
        name: Its name for people.
        bfloat16: Whether it computes in bfloat16 natively.
    """

    device: torch.device
    name: str
    bfloat16: bool

    @property
    def is_gpu(self) -> bool:
        """Whether the device is not the CPU."""
        return self.device.type != "cpu"


def find_machine(device: str | None = None, gpu_index: int = 0) -> Machine:
    """The machine behind a device's name.

    Args:
        device: `cpu`, `cuda`, `cuda:1` or `mps`; None takes the best device there is.
        gpu_index: Index of the GPU where `device` gives none: the local rank of this process. It is ignored
            if the process has a private GPU.

    Raises:
        DeviceError: If the device does not exist or cannot be used.

    >>> find_machine("cpu").device
    device(type='cpu')
    """
    if device is None:
        best = torch.accelerator.current_accelerator(check_available=True)
        device = "cpu" if best is None else best.type
    if has_private_gpu():
        gpu_index = 0
    try:
        chosen = torch.device(f"cuda:{gpu_index}" if device == "cuda" else device)
    except RuntimeError:
        raise DeviceError(
            f"--device {device}: is no device; say cpu, cuda, cuda:1 or mps, or leave it out for the best "
            "there is"
        ) from None
    try:
        if chosen.type == "meta":
            raise RuntimeError("it holds no values")
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise DeviceError(f"--device {device}: cannot be used here ({reason}); try --device cpu") from None
    if chosen.type == "cuda":
        bfloat16 = torch.cuda.get_device_capability(chosen) >= (8, 0)
        return Machine(chosen, torch.cuda.get_device_name(chosen), bfloat16)
    if chosen.type == "cpu":
        # CPUs that only emulate bfloat16 are slower than in float32.
        return Machine(chosen, cpu_name(), "bf16" in instructions())
    return Machine(chosen, chosen.type, False)


def use_machine(machine: Machine) -> None:
    """Make the GPU of `machine` the current one of this process.

    Memory is then pinned for this GPU, and communication with other processes goes through it.
    """
    if machine.device.type == "cuda":
        torch.cuda.set_device(machine.device)


def has_private_gpu() -> bool:
    """Whether this process sees one GPU only, number 0, as when a scheduler gives each process its own."""
    return torch.cuda.device_count() == 1 and "TORCHELASTIC_RUN_ID" not in os.environ


def device_name(name: str, processes: int) -> str:
    """Name of a machine for people, with the number of processes on it or on others like it.

    >>> device_name("NVIDIA H100", 8)
    'NVIDIA H100, 8 processes'
    """
    return name if processes == 1 else f"{name}, {processes} processes"


def cpu_name() -> str:
    """Name of the processor, number of cores that this process may use, and what makes the cores fast.

    Hosts of virtual machines call processors of different generations by one name, such as `AMD EPYC`, so
    the name ends with the processor's `instructions`.
    """
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    return ", ".join([name, f"{count_cores()} cores", " ".join(instructions())]).removesuffix(", ")


def instructions() -> tuple[str, ...]:
    """Names of the processor's instructions that decide how fast networks are, as in `INSTRUCTIONS`."""
    there = torch.cpu.get_capabilities()
    found = [name for name, names in INSTRUCTIONS.items() if any(there.get(one, False) for one in names)]
    return tuple(name for name in found if name != "AVX2" or "AVX512" not in found)


@contextmanager
def all_cores() -> Iterator[None]:
    """Inside this context torch computes on all cores that the process may use, despite OMP_NUM_THREADS."""
    count = torch.get_num_threads()
    with torch_threads(max(count, count_cores()) if "OMP_NUM_THREADS" in os.environ else count):
        yield


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Inside this context torch computes on `count` threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def count_cores() -> int:
    """Number of cores that this process may use: those of the machine, or its container's share of them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for files in CONTAINER_CPU_QUOTAS:
        with suppress(OSError, ValueError):  # no such file, or it says "max"
            quota, period = map(int, " ".join(path.read_text() for path in files).split())
            if quota > 0:
                cores = min(cores, -(-quota // period))
    return cores


def busy_note() -> str:
    """What to say where other programs keep the processor busy; empty where they do not, or nobody knows."""
    try:
        load = os.getloadavg()[0]
    except (AttributeError, OSError):
        return ""
    cores = count_cores()
    if load < BUSY_LOAD * cores:
        return ""
    return (
        f"other programs keep this machine busy (load {load:.1f} on {cores} cores), so steps take longer "
        "than they would on an idle one"
    )


def image_cache_bytes(processes: int) -> int:
    """Memory in bytes that each process may use for decoded images.

    All processes together get an eighth of the memory of the machine, or of their container's limit; an
    eighth of 8 GiB if the system does not say.

    Args:
        processes: Number of processes on this machine that cache images.
    """
    memory = 8 << 30
    if hasattr(os, "sysconf"):
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for limit in CONTAINER_MEMORY_LIMITS:
        with suppress(OSError, ValueError):  # no such file, or it says "max"
            memory = min(memory, int(limit.read_text()))
    return memory // 8 // processes


def device_cache_bytes(machine: Machine, processes: int) -> int:
    """Memory in bytes on the device that each process may use for decoded images.

    It is an eighth of a CUDA GPU's memory, `image_cache_bytes` on the CPU, and 0 on other devices, which do
    not say how much memory they have.

    Args:
        machine: The device.
        processes: Number of processes on this machine that cache images.
    """
    if machine.device.type == "cuda":
        return torch.cuda.get_device_properties(machine.device).total_memory // 8
    return 0 if machine.is_gpu else image_cache_bytes(processes)


def default_workers(device: torch.device, size_px: int, processes: int = 1) -> int:
    """Number of processes that decode images for one process that computes.

    For a GPU it is a share of the cores, at most 8. Beside a CPU, which needs the cores to compute, it is 1,
    or 0 for small images.

    Args:
        device: Where the process computes.
        size_px: Side of the images that the network sees, in pixels.
        processes: Number of processes on this machine that compute.

    >>> default_workers(torch.device("cpu"), size_px=32)
    0
    """
    if device.type == "cpu":
        return 0 if size_px <= 64 else 1
    return max(0, min(8, count_cores() // processes - 1))
