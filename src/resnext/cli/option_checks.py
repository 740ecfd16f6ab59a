"""Checks that the options of several commands share."""

from __future__ import annotations

from pathlib import Path

from resnext.errors import UsageError


def check_positive(options: object, *names: str) -> None:
    """Raise `UsageError` if a field of `options` among `names` is given and less than 1."""
    for name in names:
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} {value}: must be at least 1")


def check_folder(option: str, path: Path | None, example: str = "") -> None:
    """Raise `UsageError` if the file `path` is given and cannot be written, since its folder is not there.

    Args:
        option: As typed, such as `--out`.
        path: File to write, if any.
        example: What to add to the message.
    """
    if path is not None and not path.parent.is_dir():
        raise UsageError(f"{option} {path}: there is no folder {path.parent}{example}")
