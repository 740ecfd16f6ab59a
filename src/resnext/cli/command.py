"""`Command`: the options of one command as fields, and its work as `run`."""

from __future__ import annotations

from typing import ClassVar


class Command:
    """One command of `resnext`: a frozen dataclass whose fields are the options.

    `--help` imports the modules of all commands, so a command imports what it works with in `run`.
    """

    name: ClassVar[str]
    """What is typed for it."""
    is_distributed: ClassVar[bool] = False
    """Whether the processes that a launcher started can run it together."""

    works_apart: ClassVar[bool] = False
    """Whether each of these processes has work and a result of its own to tell of."""

    def run(self) -> None:
        """Do the work and print the outcome. Raises `ResnextError`."""
        raise NotImplementedError  # no abstract method: tyro takes long to check classes of another metaclass

    @property
    def is_resumable(self) -> bool:
        """Whether the same command goes on where this one was left."""
        return False

    @property
    def memory_hint(self) -> str:
        """What to change where memory runs out; empty if nothing helps."""
        return ""
