"""What `torchrun` or a scheduler says of the processes that it started together, this one among them."""

from __future__ import annotations

import os
import re


class LaunchError(Exception):
    """A process that cannot join those it was started with; the message says why, and what to do."""


def is_launched() -> bool:
    """Has a launcher started this process together with others?"""
    return count_processes() > 1


def count_processes() -> int:
    """How many processes a launcher has started together, this one among them."""
    return int(os.environ.get("WORLD_SIZE", 1))


def rank() -> int:
    """This process's number among all that were started together."""
    return int(os.environ.get("RANK", 0)) if is_launched() else 0


def leads() -> bool:
    """Is this the one that writes and speaks, of the processes that were started together?"""
    return rank() == 0


def local_rank() -> int:
    """This process's number among those that were started together on its machine."""
    return int(os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", 0))) if is_launched() else 0


def local_size() -> int:
    """How many processes were started together on this machine, as far as the launcher says."""
    if not is_launched():
        return 1
    for name in ("LOCAL_WORLD_SIZE", "SLURM_NTASKS_PER_NODE", "SLURM_STEP_TASKS_PER_NODE"):
        if found := re.match(r"\d+", os.environ.get(name, "")):  # the last is like 8(x2), or 4,3
            return int(found[0])
    return 1


def address() -> tuple[str, int]:
    """The host of the first process, and the port of the store that all share. Raises `LaunchError`."""
    if missing := [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]:
        raise LaunchError(
            f"WORLD_SIZE says {count_processes()} processes, but {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not set. Start them with torchrun, or set all four; "
            "for one process: unset WORLD_SIZE"
        )
    return os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])


def keeps_a_store() -> bool:
    """Does the launcher keep the store itself, so that it outlives each of the processes?"""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def count_restarts() -> int:
    """How often the launcher has started these processes again because one of this host had failed."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))
