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
    """Number of processes that were started together."""
    return int(os.environ.get("WORLD_SIZE", 1))


def rank() -> int:
    """Number of this process among all that were started together."""
    return int(os.environ.get("RANK", 0)) if is_launched() else 0


def is_main_process() -> bool:
    """Whether this is rank 0, the process that writes files and prints."""
    return rank() == 0


def local_rank() -> int:
    """Number of this process among those on the same machine."""
    return int(os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", 0))) if is_launched() else 0


def local_size() -> int:
    """Number of processes on this machine, as far as the launcher says; 1 if it does not."""
    if not is_launched():
        return 1
    for name in ("LOCAL_WORLD_SIZE", "SLURM_NTASKS_PER_NODE", "SLURM_STEP_TASKS_PER_NODE"):
        if found := re.match(r"\d+", os.environ.get(name, "")):  # the last is like 8(x2), or 4,3
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
    return os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])


def has_agent_store() -> bool:
    """Whether torchrun's agent keeps the store, so that it outlives every process."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def count_restarts() -> int:
    """How often torchrun has restarted these processes after one of them failed."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))
