"""The base class of every error that this package raises on purpose, and the exit codes of the command line.

Standard library only.
"""

from __future__ import annotations

from typing import ClassVar

from resnext.names import printable

#: What `resnext` returns to the shell, and what each code means. Signal N adds 128 + N, before a training has
#: begun and in commands that do not train.
EXIT_CODES = {
    0: "done",
    1: "internal error",
    2: "usage: options, names or settings that cannot be used as typed",
    3: "data: images, tables or result lines that cannot be used",
    4: "a check failed: weights that do not fit, a loss that is not finite, a budget that no network meets, "
    "an export that answers otherwise, data with findings, another process that failed",
    5: "the machine lacks something: device, memory, disk space, permission, a package of an extra",
    75: "stopped, and the same command resumes",
    130: "interrupted",
}


class ResnextError(Exception):
    """An error that this package raises on purpose. The message says what is wrong and what to do.

    Args:
        *lines: The lines of the message. A name in it may hold anything: what could act on a terminal or
            start another line is escaped.

    `exit_code` is what the command line returns for it, one of `EXIT_CODES`.

    >>> import resnext
    >>> try:
    ...     resnext.create("resnext51_32x4d")
    ... except resnext.ResnextError as error:
    ...     print(type(error).__name__, error.exit_code)
    ArchitectureError 2
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, *lines: object) -> None:
        super().__init__(*lines)

    def __str__(self) -> str:
        return "\n".join(printable(str(line)) for line in self.args)


class ResnextWarning(UserWarning):
    """Something that the user can mend, beside a result that stands. The command line shows it as a note."""


class UsageError(ResnextError):
    """Options that cannot be used as given; the message names the option and what to type."""

    exit_code = 2


class PackageMissing(ResnextError, ImportError):
    """A package that is not installed; the message has the command that installs it."""

    exit_code = 5
