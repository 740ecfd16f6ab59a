"""Folders of class folders as images."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import numpy as np

from resnext.data.decode import IMAGE_SUFFIXES, UNSUPPORTED_SUFFIXES, DataError, printable
from resnext.data.images import ImageDataset, ImageFiles
from resnext.names import encodable


def read_folder(root: Path) -> ImageDataset:
    """The images in `root`, which has one folder for each class; each is searched to any depth.

    Classes are in plain string order.

    Raises:
        DataError: If `root` has no class folders or cannot be read.
    """
    try:
        entries = sorted(e.name for e in os.scandir(root) if e.is_dir() and not e.name.startswith("."))
    except PermissionError:
        raise DataError(f"{root}: no permission to read this folder") from None
    _check_distinct(root, entries)
    keys: list[str] = []
    labels: list[int] = []
    unread_files: list[str] = []
    irregular: list[str] = []
    for label, name in enumerate(entries):
        if encodable(name) != name:
            raise DataError(f"{printable(str(root))}: the folder name {name!r} is not UTF-8; rename it")
        for path, is_regular in _files_under(root / name):
            if _suffix(path) in UNSUPPORTED_SUFFIXES:
                unread_files.append(f"{name}/{path}")
            elif _suffix(path) in IMAGE_SUFFIXES and not is_regular:
                irregular.append(f"{name}/{path}")
            elif _suffix(path) in IMAGE_SUFFIXES:
                keys.append(f"{name}/{path}")
                labels.append(label)
    loose = sorted(
        e.name for e in os.scandir(root) if _suffix(e.name) in IMAGE_SUFFIXES and not _is_folder(e)
    )
    if not entries:
        raise DataError(
            f"{root}: "
            + (f"has {len(loose)} images but no class folders; " if loose else "is empty; ")
            + "expected one folder for each class with its images, as in "
            f"{root.name}/cat/1.jpg, or {root.name}/train/cat/1.jpg"
        )
    dataset = ImageFiles(root, keys, np.array(labels, dtype=np.int64), tuple(entries))
    dataset.unread_files = unread_files
    dataset.notes = _left_out(irregular, "pipes, sockets or devices, not files") + _left_out(
        [name for name in loose if not name.startswith(".")], "images beside the class folders"
    )
    return dataset


def _left_out(paths: list[str], what: str) -> tuple[str, ...]:
    """A note that `paths` are left out, if there are any."""
    return (f"left out {len(paths)} {what}, the first {printable(paths[0])}",) if paths else ()


def _check_distinct(root: Path, names: list[str]) -> None:
    """Raises `DataError` if two class folders are one, so that its images would be of two classes."""
    by_place: dict[str, str] = {}
    for name in names:
        other = by_place.setdefault(os.path.realpath(root / name), name)
        if other != name:
            raise DataError(
                f"{printable(str(root))}: the class folders {printable(other)} and {printable(name)} are "
                "one folder by a link; remove one of them"
            )


def images_under(folder: Path) -> list[str]:
    """Paths of the images in `folder`, searched to any depth, relative to it and in plain string order.

    Hidden files and folders are skipped; a folder that links make reachable twice counts once.

    Raises:
        DataError: If a folder cannot be read.
    """
    return [path for path, _ in _files_under(folder) if _suffix(path) in IMAGE_SUFFIXES]


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def _files_under(folder: Path) -> list[tuple[str, bool]]:
    """Files at any depth, relative to `folder`, and whether each is regular or a link that leads nowhere: no
    pipe, socket or device. Those of a folder come before those of the folders in it."""
    found: list[tuple[str, bool]] = []
    visited: set[str] = set()
    waiting = [""]
    while waiting:
        place = waiting.pop()
        real_path = os.path.realpath(folder / place)
        if real_path in visited:
            continue
        visited.add(real_path)
        entries = _visible_entries(os.path.join(folder, place.rstrip("/")))
        folders = [entry.name for entry in entries if _is_folder(entry)]
        is_folder = set(folders)
        found += [(place + e.name, _is_regular(e)) for e in entries if e.name not in is_folder]
        waiting += [f"{place}{name}/" for name in reversed(folders)]
    return found


def _visible_entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        entries = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{printable(folder)}: this folder cannot be read ({error.strerror})") from None
    return sorted(entries, key=lambda entry: entry.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link to itself


def _is_regular(entry: os.DirEntry[str]) -> bool:
    with contextlib.suppress(OSError):
        if entry.is_file():
            return True
    return not os.path.exists(entry)  # a link that leads nowhere: a missing image, which the scan finds
