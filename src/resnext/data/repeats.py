"""One file is one image: however often tables name it, it has one label and is in one split."""

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
    files = [os.path.normpath(key) for key in keys]
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
    files, first = [os.path.normpath(key) for key in images.keys], dict[str, int]()
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
        files = (images.path(index) for index in range(len(images)))
        for key, file in zip(images.keys, files, strict=True):
            if file is not None and split_of.setdefault(os.path.abspath(file), split) != split:
                twice.append(key)
    if twice:
        raise _in_two_splits(path, len(twice), twice[0])


def _in_two_splits(path: Path, count: int, example: str) -> DataError:
    images = "1 image is" if count == 1 else f"{count:,} images are"
    return DataError(
        f"{path}: {images} in more than one split, {'' if count == 1 else 'the first '}{printable(example)}: "
        "what is trained on cannot be judged on. Leave each in one"
    )
