"""Checks that the options of several commands share."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from resnext.cli.screen import say
from resnext.errors import UsageError


def check_positive(options: object, *names: str) -> None:
    """Raise `UsageError` if a field of `options` among `names` is given and less than 1."""
    for name in names:
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} {value}: must be at least 1")


def check_not_negative(options: object, *names: str) -> None:
    """Raise `UsageError` if a field of `options` among `names` is given and less than 0."""
    for name in names:
        value = getattr(options, name)
        if value is not None and value < 0:
            raise UsageError(f"--{name.replace('_', '-')} {value}: must be at least 0")


def check_finite(options: object, *names: str) -> None:
    """Raise `UsageError` if a field of `options` among `names` is no number from 0 on."""
    for name in names:
        if not 0 <= (value := getattr(options, name)) < math.inf:
            raise UsageError(f"--{name.replace('_', '-')} {value}: must be a number from 0 on")


def check_suffix(option: str, path: Path | None, suffixes: Iterable[str]) -> None:
    """Raise `UsageError` if `path` is given and does not end in one of `suffixes`."""
    known = tuple(suffixes)
    if path is not None and path.suffix not in known:
        raise UsageError(f"{option} {path}: must end in {', '.join(known)}, as in {path.stem}{known[0]}")


def check_model(model: str) -> None:
    """Raise `UsageError` if `model` is an image, and `UnknownWeights` if it is neither a path nor a name of
    weights. It needs no torch."""
    from resnext.catalogue import check_reference, find_entry, is_path
    from resnext.data.decode import IMAGE_SUFFIXES

    if os.path.splitext(model)[1].lower() in IMAGE_SUFFIXES and not os.path.isdir(model):
        raise UsageError(f"{model}: is an image; the model comes first, as in runs/NAME {model}")
    check_reference(model)
    if not is_path(model) and (entry := find_entry(model)) is not None:
        say(f"note: {model}: {entry}", file=sys.stderr)


def check_data(data: str) -> None:
    """Raise `DataError` if `data` is a path where there is nothing. It needs no torch."""
    from resnext.data import stored_splits

    stored_splits.check_data(data)


def check_runs(folders: Sequence[str]) -> None:
    """Raise `UsageError` if one of `folders` is neither a folder nor an exported file in that of a run."""
    from resnext.catalogue import run_of

    for folder in folders:
        if not os.path.isdir(folder):
            if os.path.exists(folder) and run_of(Path(folder)) is not None:
                continue
            reason = "is a file" if os.path.exists(folder) else "there is no such folder"
            raise UsageError(f"{folder}: {reason}; give the folder of a finished run, such as runs/NAME")


def check_folder(option: str, path: Path | None, example: str = "; make it first, or say another") -> None:
    """Raise `UsageError` if the file `path` is given and cannot be written, since its folder is not there or
    it is a folder itself.

    Args:
        option: As typed, such as `--out`.
        path: File to write, if any.
        example: What to do about a missing folder.
    """
    if path is not None and not path.parent.is_dir():
        raise UsageError(f"{option} {path}: there is no folder {path.parent}{example}")
    if path is not None and path.is_dir():
        raise UsageError(f"{option} {path}: is a folder; give the name of a file in it")
