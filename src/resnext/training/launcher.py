"""What `torchrun` or a scheduler says about this process and those it was started together with.

Read from the environment variables that torch.distributed uses, and from SLURM's.
"""

from __future__ import annotations

import os
import re

from resnext.errors import ResnextError


class LaunchError(ResnextError):
    """This process cannot join the others; the message says why and what to do."""

    exit_code = 2


def is_launched() -> bool:
    """Whether a launcher started this process together with others."""
    return world_size() > 1


def world_size() -> int:
    """Number of processes that were started together. Raises `LaunchError`."""
    return _number("WORLD_SIZE", 1, least=1)


def rank() -> int:
    """Number of this process among all that were started together."""
    if not is_launched():
        return 0
    if (found := _number("RANK", 0)) >= world_size():
        raise LaunchError(
            f"RANK is {found}, but WORLD_SIZE says {world_size()} processes, numbered from 0. torchrun sets "
            "both; for one process: unset WORLD_SIZE"
        )
    return found


def is_main_process() -> bool:
    """Whether this is rank 0, the process that writes files and prints."""
    return rank() == 0


def local_rank() -> int:
    """Number of this process among those on the same machine."""
    return _number("LOCAL_RANK", _number("SLURM_LOCALID", 0)) if is_launched() else 0


def local_size() -> int:
    """Number of processes on this machine, as far as the launcher says; 1 if it does not."""
    if not is_launched():
        return 1
    for name in ("LOCAL_WORLD_SIZE", "SLURM_NTASKS_PER_NODE", "SLURM_STEP_TASKS_PER_NODE"):
        if found := re.match(r"\d+", os.environ.get(name, "")):  # the last one looks like 8(x2) or 4,3
            return int(found[0])
    return 1


def address() -> tuple[str, int]:
    """Host of rank 0, and port of the store that all processes share. Raises `LaunchError`."""
    if missing := [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]:
        raise LaunchError(
            f"WORLD_SIZE says {world_size()} processes, but {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not set. Start them with torchrun, or set all four; "
            "for one process: unset WORLD_SIZE"
        )
    return os.environ["MASTER_ADDR"], _number("MASTER_PORT", 0)


def has_agent_store() -> bool:
    """Whether torchrun's agent keeps the store, so that it outlives every process."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def count_restarts() -> int:
    """How often torchrun has restarted these processes after one of them failed."""
    return _number("TORCHELASTIC_RESTART_COUNT", 0)


def _number(name: str, default: int, least: int = 0) -> int:
    """The whole number in the environment variable `name`, or `default`. Raises `LaunchError`."""
    text = os.environ.get(name, str(default))
    if not re.fullmatch("[0-9]{1,9}", text) or int(text) < least:
        raise LaunchError(
            f"{name} is {text!r}, not a whole number from {least}. torchrun and SLURM set it; "
            f"for one process: unset {name}"
        )
    return int(text)
