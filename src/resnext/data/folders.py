"""Folders of class folders as images."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from resnext.data.class_names import check_lookalikes, join_forms
from resnext.data.decode import (
    HEIF_HINT,
    HEIF_SUFFIXES,
    IMAGE_SUFFIXES,
    UNSUPPORTED_SUFFIXES,
    DataError,
    is_image,
)
from resnext.data.images import ImageDataset
from resnext.data.layout_checks import check_classes
from resnext.data.layouts import is_folder, is_shown, is_system
from resnext.data.repeats import link_targets
from resnext.data.stored_images import ImageFiles
from resnext.data.tables import TABLE_SUFFIXES, images_from_table
from resnext.names import counted, encodable, printable
from resnext.parsing import MAX_LINES_BYTES, read_text

#: The list of Tiny ImageNet: name of an image and its class, then a box, with tabs between.
ANNOTATIONS = "val_annotations.txt"
#: What has a name as a file has, and could keep its reader waiting for ever.
IRREGULAR = "pipes, sockets or devices"


def read_folder(root: Path) -> ImageDataset:
    """The images in `root`, which has one folder for each class; each is searched to any depth.

    Classes are in plain string order.

    Raises:
        DataError: If `root` has no class folders, they are not classes, or a folder cannot be read.
    """
    found, loose = _Contents(), _Contents()
    folders = _class_folders(root, found, loose)
    if not folders:
        raise _no_classes(root, loose)
    for name in folders:
        found.add_folder(root, name)
    targets = link_targets(root, found.links)
    check_classes(root, folders, found.images)
    class_of = join_forms(folders)
    classes = tuple(sorted(set(class_of.values())))
    check_lookalikes(classes, printable(str(root)))
    position = {name: i for i, name in enumerate(classes)}
    labels = [position[class_of[path.partition("/")[0]]] for path in found.images]
    dataset = ImageFiles(root, found.images, np.array(labels, dtype=np.int64), classes)
    dataset.link_targets = targets
    dataset.unread_files = found.unread
    beside = sorted(loose.images + loose.unread)
    dataset.notes = found.notes() + _left_out(beside, "image", "beside the class folders")
    return dataset


def read_annotations(root: Path) -> ImageDataset:
    """The images in `root`, or in the folder `images` in it, whose classes the list of Tiny ImageNet names.

    Raises:
        DataError: If the list cannot be read, a line of it is not the name of a file and a class, or the
            classes are not certain: see `tables.images_from_table`.
    """
    path = root / ANNOTATIONS
    rows = [line.split("\t") for line in _read_text(path).split("\n") if line]
    if not rows or any(len(fields) < 2 or not _is_file_name(fields[0]) for fields in rows):
        raise DataError(f"{path}: a line is not the name of an image, a tab, and its class")
    place = "images/" if (root / "images").is_dir() else ""
    names, labels = [place + fields[0] for fields in rows], [fields[1] for fields in rows]
    return images_from_table(pa.table({"file_name": names, "label": labels}), path)


def _read_text(path: Path) -> str:
    try:
        return read_text(path, MAX_LINES_BYTES).removeprefix("\ufeff").replace("\r\n", "\n")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as text ({error}); save it as UTF-8") from None


def _is_file_name(name: str) -> bool:
    """Whether `name` names something in a folder: no path that leads elsewhere, as one of Windows could."""
    return name == os.path.basename(name) and "\\" not in name and name not in ("", os.curdir, os.pardir)


@dataclass
class _Contents:
    """Files by what becomes of them, as paths relative to the data set's folder."""

    images: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    irregular: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
    system: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)

    def add_folder(self, root: Path, name: str) -> None:
        """Add the files in the folder `name` of `root`, at any depth."""
        if os.path.islink(root / name):
            self.links.append(name)
        for inner, is_regular in _files_under(root / name, self.system, links=self.links):
            self.add_file(root, f"{name}/{inner}", is_regular)

    def add_file(self, root: Path, path: str, is_regular: bool) -> None:
        """Add the file `path` of `root`."""
        suffix = _suffix(path)
        if suffix in UNSUPPORTED_SUFFIXES:
            self.unread.append(path)
        elif suffix in IMAGE_SUFFIXES:
            (self.images if is_regular else self.irregular).append(path)
        elif not suffix and is_regular and is_image(root / path):
            self.images.append(path)
            self.unnamed.append(path)
        else:
            self.others.append(path)

    def notes(self) -> tuple[str, ...]:
        system = sorted(set(self.system))
        unnamed = (
            f"read {counted(len(self.unnamed), 'image')} in files whose names have no suffix, the first "
            f"{printable(self.unnamed[0])}",
        ) if self.unnamed else ()  # fmt: skip
        return (
            *_left_out(self.irregular, "file", f"that are {IRREGULAR}"),
            *_left_out(system, "item", "of systems and tools"),
            *unnamed,
        )


def _class_folders(root: Path, found: _Contents, loose: _Contents) -> list[str]:
    """Names of the folders in `root` that are classes. What systems left there is added to `found`, other
    files to `loose`."""
    entries = _entries(root)
    found.system += [entry.name for entry in entries if is_system(entry.name)]
    entries = [entry for entry in entries if is_shown(entry.name)]
    folders = [entry.name for entry in entries if is_folder(entry)]
    if unreadable := [name for name in folders if encodable(name) != name]:
        raise DataError(f"{printable(str(root))}: the folder name {unreadable[0]!r} is not UTF-8; rename it")
    _check_distinct(root, folders)
    for entry in entries:
        if not is_folder(entry):
            loose.add_file(root, entry.name, _is_regular(entry))
    return folders


def _no_classes(root: Path, loose: _Contents) -> DataError:
    tables = [name for name in loose.others if _suffix(name) in TABLE_SUFFIXES]
    return DataError(
        f"{printable(str(root))}: {_describe_loose(loose)}; "
        "expected one folder for each class with its images, as in "
        f"{root.name}/cat/1.jpg, or {root.name}/train/cat/1.jpg"
        + ("; or a table (CSV) with the columns path and label" if loose.images or loose.unread else "")
        + (f". There is {printable(tables[0])}: give it, if it names the images" if tables else "")
    )


def _describe_loose(loose: _Contents) -> str:
    """What is in a folder that has no folders."""
    has = [f"has {counted(len(loose.images), 'image')} but no class folders"] if loose.images else []
    has += [f"has {describe_unread(loose.unread)}"] if loose.unread else []
    if others := loose.irregular + loose.others:
        has += [] if has else [f"has {len(others)} files, no images and no folders"]
    return "; ".join(has) or "is empty"


def describe_unread(paths: Sequence[str]) -> str:
    """How many files are in unsupported formats, which formats, and what to do about them.

    >>> describe_unread(["cat/1.psd"])
    '1 image in formats that are not read (.psd), the first cat/1.psd: convert them to JPEG or PNG'
    """
    suffixes = {_suffix(path) for path in paths}
    images = counted(len(paths), "image")
    return (
        f"{images} in formats that are not read ({', '.join(sorted(suffixes))}), the first "
        f"{printable(paths[0])}: convert them to JPEG or PNG"
        + (f", or {HEIF_HINT}" if HEIF_SUFFIXES & suffixes else "")
    )


def _left_out(paths: list[str], noun: str, which: str) -> tuple[str, ...]:
    """A note that `paths` are left out, if there are any."""
    if not paths:
        return ()
    return (f"left out {counted(len(paths), noun)} {which}, the first {printable(paths[0])}",)


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


def images_under(folder: Path, skipped: Counter[str] | None = None) -> list[str]:
    """Paths of the images in `folder`, searched to any depth, relative to it.

    The images of a folder come before those of the folders in it, both in plain string order. Hidden files
    and folders are skipped; a folder that links make reachable twice counts once.

    Args:
        folder: Where to search.
        skipped: Counts what is skipped by kind: the suffix of a file that is no image by it; `without a
            suffix` if its first bytes are not those of an image either; `hidden` and `of systems and tools`,
            files and folders; or `IRREGULAR`.

    Raises:
        DataError: If a folder cannot be read.
    """
    skipped = Counter() if skipped is None else skipped
    system: list[str] = []
    images = []
    for path, is_regular in _files_under(folder, system, skipped):
        suffix = _suffix(path)
        if not is_regular:
            skipped[IRREGULAR] += 1
        elif suffix in IMAGE_SUFFIXES or (not suffix and is_image(folder / path)):
            images.append(path)
        else:
            skipped[suffix or "without a suffix"] += 1
    if system:
        skipped["of systems and tools"] += len(system)
    return images


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def _files_under(
    folder: Path, system: list[str], skipped: Counter[str] | None = None, links: list[str] | None = None
) -> list[tuple[str, bool]]:
    """Files at any depth, relative to `folder`, and whether each is regular or a link that leads nowhere: no
    pipe, socket or device. Those of a folder come before those of the folders in it. Paths that systems have
    left behind are appended to `system` instead, with the name of `folder`; `skipped` counts what else is
    hidden; links to images, and to folders that are looked into, are appended to `links`, with the name of
    `folder` too."""
    found: list[tuple[str, bool]] = []
    visited: set[str] = set()
    waiting = [""]
    while waiting:
        place = waiting.pop()
        real_path = os.path.realpath(folder / place)
        if real_path in visited:
            continue
        visited.add(real_path)
        if links is not None and place and os.path.islink(folder / place[:-1]):
            links.append(f"{folder.name}/{place[:-1]}")
        all_entries = _entries(folder / place)
        system += [f"{folder.name}/{place}{e.name}" for e in all_entries if is_system(e.name)]
        others = [e for e in all_entries if not is_system(e.name)]
        entries = [e for e in others if is_shown(e.name)]
        if skipped is not None and len(others) > len(entries):
            skipped["hidden"] += len(others) - len(entries)
        folders = [entry.name for entry in entries if is_folder(entry)]
        are_folders = set(folders)
        if links is not None:
            links += [f"{folder.name}/{place}{entry.name}" for entry in entries if _links_to_image(entry)]
        found += [(place + e.name, _is_regular(e)) for e in entries if e.name not in are_folders]
        waiting += [f"{place}{name}/" for name in reversed(folders)]
    return found


def _links_to_image(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() and _suffix(entry.name) in IMAGE_SUFFIXES and os.path.isfile(entry)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise DataError(f"{printable(str(folder))}: this folder cannot be read ({error.strerror})") from None
    return sorted(entries, key=lambda entry: entry.name)


def _is_regular(entry: os.DirEntry[str]) -> bool:
    with contextlib.suppress(OSError):
        if entry.is_file():
            return True
    return not os.path.exists(entry)  # a link that leads nowhere: a missing image, which the scan finds
