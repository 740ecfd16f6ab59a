"""Folders of class folders as images."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from resnext.data.decode import IMAGE_SUFFIXES, UNSUPPORTED_SUFFIXES, DataError, printable
from resnext.data.images import ImageDataset, ImageFiles


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
    keys: list[str] = []
    labels: list[int] = []
    unread_files: list[str] = []
    for label, name in enumerate(entries):
        if printable(name) != name:
            raise DataError(f"{printable(str(root))}: the folder name {name!r} is not UTF-8; rename it")
        paths = [f"{name}/{path}" for path in _files_under(root / name)]
        images = [path for path in paths if _suffix(path) in IMAGE_SUFFIXES]
        unread_files += [path for path in paths if _suffix(path) in UNSUPPORTED_SUFFIXES]
        keys += images
        labels += [label] * len(images)
    if not entries:
        loose = sum(1 for e in os.scandir(root) if Path(e.name).suffix.lower() in IMAGE_SUFFIXES)
        raise DataError(
            f"{root}: "
            + (f"has {loose} images but no class folders; " if loose else "is empty; ")
            + "expected one folder for each class with its images, as in "
            f"{root.name}/cat/1.jpg, or {root.name}/train/cat/1.jpg"
        )
    dataset = ImageFiles(root, keys, np.array(labels, dtype=np.int64), tuple(entries))
    dataset.unread_files = unread_files
    return dataset


def images_under(folder: Path) -> list[str]:
    """Paths of the images in `folder`, searched to any depth, relative to it and in plain string order.

    Hidden files and folders are skipped; a folder that links make reachable twice counts once.

    Raises:
        DataError: If a folder cannot be read.
    """
    return [path for path in _files_under(folder) if _suffix(path) in IMAGE_SUFFIXES]


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def _raise_unreadable(error: OSError) -> None:
    """For `os.walk`, which would otherwise skip a folder that it cannot list."""
    raise DataError(f"{printable(str(error.filename))}: this folder cannot be read ({error.strerror})")


def _files_under(folder: Path) -> list[str]:
    found: list[str] = []
    visited: set[str] = set()
    for parent, folders, files in os.walk(folder, onerror=_raise_unreadable, followlinks=True):
        real_path = os.path.realpath(parent)
        if real_path in visited:
            folders.clear()
            continue
        visited.add(real_path)
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for file in sorted(files):
            if not file.startswith("."):
                found.append(os.path.relpath(os.path.join(parent, file), folder))
    return found
