"""Folders of class folders to pictures."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from resnext.data.decode import SUFFIXES, UNREAD_SUFFIXES, DataError, readable
from resnext.data.pictures import Files, Pictures


def read_folder(root: Path) -> Pictures:
    """A folder of class folders, each searched to any depth."""
    try:
        entries = sorted(e.name for e in os.scandir(root) if e.is_dir() and not e.name.startswith("."))
    except PermissionError:
        raise DataError(f"{root}: no permission to read this folder") from None
    keys: list[str] = []
    labels: list[int] = []
    unread: list[str] = []
    for label, name in enumerate(entries):
        if readable(name) != name:
            raise DataError(f"{readable(str(root))}: the folder name {name!r} is not UTF-8; rename it")
        files = [f"{name}/{path}" for path in _files_under(root / name)]
        found = [path for path in files if _suffix(path) in SUFFIXES]
        unread += [path for path in files if _suffix(path) in UNREAD_SUFFIXES]
        keys += found
        labels += [label] * len(found)
    if not entries:
        loose = sum(1 for e in os.scandir(root) if Path(e.name).suffix.lower() in SUFFIXES)
        raise DataError(
            f"{root}: "
            + (f"has {loose} pictures but no class folders; " if loose else "is empty; ")
            + "expected one folder a class with its pictures, as in "
            f"{root.name}/cat/1.jpg, or {root.name}/train/cat/1.jpg"
        )
    pictures = Files(root, keys, np.array(labels, dtype=np.int64), tuple(entries))
    pictures.unread = unread
    return pictures


def pictures_under(folder: Path) -> list[str]:
    """Paths of the pictures in `folder`, searched to any depth, relative to it and in plain order.

    Hidden files and folders do not count; a folder that links make reachable twice counts once.
    """
    return [path for path in _files_under(folder) if _suffix(path) in SUFFIXES]


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def _refuse(error: OSError) -> None:
    """Instead of leaving out what cannot be listed."""
    raise DataError(f"{readable(str(error.filename))}: this folder cannot be read ({error.strerror})")


def _files_under(folder: Path) -> list[str]:
    found: list[str] = []
    seen: set[str] = set()
    for parent, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for file in sorted(files):
            if not file.startswith("."):
                found.append(os.path.relpath(os.path.join(parent, file), folder))
    return found
