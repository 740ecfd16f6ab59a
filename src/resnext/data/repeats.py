"""One file is one image: tables and links may lead to it often, it has one label and is in one split."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from resnext.data.decode import DataError
from resnext.data.images import ImageDataset, Labels
from resnext.data.labels import describe_rows
from resnext.data.stored_images import ImageFiles
from resnext.names import counted, printable


def check_one_label_each(keys: Sequence[str], labels: Labels, classes: tuple[str, ...], path: Path) -> None:
    """Raises `DataError` if two rows of the table at `path` name the same file and different classes.

    Args:
        keys: What each row names, relative to the folder of the table.
        labels: Class of each row as an index into `classes`, int64 (rows,).
        classes: Names of the classes.
        path: The table.
    """
    first_row: dict[str, int] = {}
    files = _real_files(path.parent, keys)
    rows = [row for row, file in enumerate(files) if labels[first_row.setdefault(file, row)] != labels[row]]
    if rows:
        row, count = rows[0], len({files[row] for row in rows})
        other = first_row[files[row]]
        raise DataError(
            f"{path}: {printable(keys[row])} is {classes[labels[other]]!r} in row {other} and "
            f"{classes[labels[row]]!r} in {describe_rows([row])}; an image has one label"
            + (f". So do {count - 1:,} other images" if count > 1 else "")
        )


def first_rows(images: ImageDataset, splits: Sequence[str | None], path: Path) -> list[int]:
    """The first row of each file; all rows of images that lie in the table, whatever they are called.

    Args:
        images: The rows of a table.
        splits: The split of each row.
        path: The table.

    Raises:
        DataError: Rows of several splits name the same file.
    """
    if not isinstance(images, ImageFiles):
        return list(range(len(images)))
    files, first = _real_files(images.root, images.keys), dict[str, int]()
    for row, file in enumerate(files):
        first.setdefault(file, row)
    twice = [row for row, file in enumerate(files) if splits[first[file]] != splits[row]]
    if twice:
        found = {files[row] for row in twice}
        example = next(key for key, file in zip(images.keys, files, strict=True) if file in found)
        raise _in_two_splits(path, len(found), example)
    return list(first.values())


def leave_out_repeats(images: ImageDataset, path: Path) -> ImageDataset:
    """The images of one split without those that name a file again, and a note on them."""
    rows = first_rows(images, [None] * len(images), path)
    if len(rows) == len(images):
        return images
    kept = images.select(rows)
    kept.notes += repeats_note(len(images) - len(rows))
    return kept


def repeats_note(count: int) -> tuple[str, ...]:
    """A note on `count` rows that name a file again; none if there are none."""
    return (f"left out {counted(count, 'row')} with an image that another row names too",) if count else ()


def check_apart(splits: Mapping[str | None, ImageDataset], path: Path) -> None:
    """Raises `DataError` if several of the splits that were read at `path` have the same file."""
    split_of: dict[str, str | None] = {}
    twice = []
    for split, images in splits.items():
        paths = [images.path(index) for index in range(len(images))]
        if None in paths:
            continue
        for key, file in zip(images.keys, _real_files(Path(), list(map(str, paths))), strict=True):
            if split_of.setdefault(file, split) != split:
                twice.append(key)
    if twice:
        raise _in_two_splits(path, len(twice), twice[0])


def _in_two_splits(path: Path, count: int, example: str) -> DataError:
    images = "1 image is" if count == 1 else f"{count:,} images are"
    return DataError(
        f"{path}: {images} in more than one split, {'' if count == 1 else 'the first '}{printable(example)}: "
        "what is trained on cannot be judged on. Leave each in one"
    )


def _real_files(folder: Path, keys: Sequence[str]) -> list[str]:
    """The file that each of `keys`, relative to `folder`, leads to."""
    places: dict[str, str] = {}
    files = []
    for key in keys:
        place, name = os.path.split(os.path.normpath(os.path.join(folder, key)))
        if place not in places:
            places[place] = os.path.realpath(place)
        file = os.path.join(places[place], name)
        files.append(os.path.realpath(file) if os.path.islink(file) else file)
    return files


def link_targets(root: Path, links: Sequence[str]) -> frozenset[str]:
    """What links in a folder of class folders lead to.

    Args:
        root: The folder.
        links: Paths of links to files and folders, relative to `root`.

    Raises:
        DataError: One leads into the set itself, or two to the same: an image would be there twice.
    """
    own = os.path.realpath(root)
    found: dict[str, str] = {}
    for link in links:
        target = os.path.realpath(os.path.join(root, link))
        if _overlap(target, own):
            raise DataError(
                f"{root}: {printable(link)} is a link into the set itself ({printable(target)}), so that "
                "images would be there twice, and may be of two classes. Remove it"
            )
        if (other := found.setdefault(target, link)) != link:
            raise _leads_twice(root, other, link, target)
    for target, link in found.items():
        above = next((place for place in map(str, Path(target).parents) if place in found), None)
        if above is not None:
            raise _leads_twice(root, found[above], link, target)
    return frozenset(found)


def check_links_apart(folders: Mapping[str, Path], targets: Mapping[str, frozenset[str]], path: Path) -> None:
    """Raises `DataError` if links make images of one split those of another too.

    Args:
        folders: The folder of each split.
        targets: What the links in it lead to.
        path: The data set.
    """
    for split, folder in folders.items():
        own = os.path.realpath(folder)
        for other, leads_to in targets.items():
            if other == split:
                continue
            shared = [target for target in leads_to if _overlap(target, own) or target in targets[split]]
            if shared or _overlap(own, os.path.realpath(folders[other])):
                what = f"links in {other} lead" if shared else f"a link makes {other} lead"
                raise DataError(
                    f"{path}: {what} to images of {split}: what is trained on cannot be judged on. Remove "
                    "what leads there"
                )


def _leads_twice(root: Path, one: str, other: str, target: str) -> DataError:
    return DataError(
        f"{root}: the links {printable(one)} and {printable(other)} lead to the same ({printable(target)}), "
        "so that images would be there twice. Remove one"
    )


def _overlap(one: str, other: str) -> bool:
    """Whether one of two real paths is the other, or in it."""
    return os.path.commonpath([one, other]) in (one, other)
