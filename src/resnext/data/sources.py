"""DATA as the command line names it: folders, tables, archives, indexes, `digits`, and sets of the hub.

`read_splits` gives the splits that training needs, `read_split` one split to evaluate.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from resnext.data import hf_datasets
from resnext.data.class_names import lookalikes, one_form
from resnext.data.decode import IMAGE_SUFFIXES, DataError
from resnext.data.folders import describe_unread
from resnext.data.images import ImageDataset
from resnext.data.index import is_index, read_index
from resnext.data.layouts import find_splits, folders_beside_splits
from resnext.data.splits import Splits, align_labels, divide, fingerprint
from resnext.data.stored_splits import SplitsByName, read_stored_splits
from resnext.data.streaming import STREAM, WINDOW
from resnext.names import printable

#: What training on a stream is like.
STREAM_NOTE = f"a stream: shuffled within windows of {WINDOW} images, read again on resume up to where it was"


def read_splits(data: str) -> Splits:
    """The training, validation and test splits of `data`, with classes in plain string order.

    A missing validation split is made from a stratified tenth of `train`. A set without splits is divided
    into 80 % train, 10 % val and 10 % test.

    Args:
        data: A path, `digits`, or what `datasets` reads (`hf:owner/name`, `stream:path`).

    Raises:
        DataError: If the data set is missing, damaged or too small to train on.
        SourceMissing: If it needs the library `datasets`, which is not installed.

    >>> {name: len(images) for name, images in read_splits("digits").items()}
    {'train': 1077, 'val': 180, 'test': 540}
    """
    with _readable(data):
        if is_index(Path(data)):
            return read_index(Path(data))
        found = read_stored_splits(data)
    labelled = _labelled(found, data)
    notes = _reading_notes(found, labelled, data)
    if None in labelled:
        images = labelled[None]
        _check_classes(images, data, min_images=3)
        train, val, rest = divide(images, len(images) // 10, len(images) // 10)
        last = f"{len(rest)} test" if len(rest) else "none for test"
        notes.append(f"no splits: divided into {len(train)} train, {len(val)} val, {last}")
        parts = ("train", "val", "test") if len(rest) else ("train", "val")
        test = rest if len(rest) else None
        return Splits(_set_name(data), train, val, test, notes=tuple(notes), drawn=parts)
    if "train" not in labelled:
        others = printable(", ".join(_left_out_folders(Path(data))[:5]))
        raise DataError(
            f"{data}: no train split; found only {', '.join(map(str, labelled))}"
            + (f". If {others} is to be trained on, call it train" if others else ". Add train/")
        )
    train = labelled["train"]
    _check_classes(train, f"{data}: train", min_images=1 if "val" in labelled else 2)
    if "val" in labelled:
        val = _align_to_train(labelled["val"], train, data, "val")
    else:
        tenth = len(train) // 10
        train, val, _ = divide(train, tenth, 0)
        more = ", but at least one image of each class" if len(val) > tenth else ""
        notes.append(f"no val split: a stratified tenth of train{more} ({len(val)} images) takes its place")
    test = _align_to_train(labelled["test"], train, data, "test") if "test" in labelled else None
    notes += _absent_classes(val, data, "val") + ([] if test is None else _absent_classes(test, data, "test"))
    drawn = () if "val" in labelled else ("train", "val")
    return Splits(_set_name(data), train, val, test, data != "digits", tuple(notes), drawn=drawn)


def _reading_notes(found: SplitsByName, labelled: SplitsByName, data: str) -> list[str]:
    """What the user should know about how `data` was read: streams, and what was left out."""
    notes = [STREAM_NOTE] if any(images.window for images in labelled.values()) else []
    notes += [f"left out {name}, whose images have no labels" for name in found if name not in labelled]
    notes += _unread_notes(labelled.values())
    if None not in labelled and (others := _left_out_folders(Path(data))):
        names = printable(f"{', '.join(others[:5])}{'...' * (len(others) > 5)}")
        notes.append(f"left out {names}: folders with images whose names are not train, val or test")
    return notes + list(dict.fromkeys(note for images in labelled.values() for note in images.notes))


def _unread_notes(splits: Iterable[ImageDataset]) -> list[str]:
    unread = [path for images in splits for path in images.unread_files]
    return [f"left out {describe_unread(unread)}"] if unread else []


def split_notes(images: ImageDataset) -> tuple[str, ...]:
    """What the user should know about how the images of one split were read, `read_split`'s among them."""
    return (*_unread_notes([images]), *images.notes)


def _absent_classes(images: ImageDataset, data: str, split: str) -> list[str]:
    """A note on the classes of which `split` has no image, if there are any."""
    if len(images) == 0:
        raise DataError(f"{data}: {split} has no images; fill it or remove it")
    present = set(np.unique(images.labels).tolist())
    absent = [name for i, name in enumerate(images.classes) if i not in present]
    shown = printable(", ".join(absent[:5])) + "..." * (len(absent) > 5)
    return [f"{split} has no image of {shown}"] if absent else []


def read_split(
    data: str, classes: tuple[str, ...], split: str | None = None, trained_on: str | None = None
) -> tuple[str, ImageDataset]:
    """One split of `data`, to evaluate.

    Args:
        data: The data set, as `read_splits` takes it.
        classes: Classes of the network; labels become indices into them.
        split: Name of the split; None takes test, or else val, or else all images.
        trained_on: Fingerprint of the data that the network was trained on, if known. If `data` has it, the
            splits that training made are made again. If not, no split is made, because it could hold images
            that the network was trained on.

    Returns:
        Name of the split (`all` if the data set has none) and its images.

    Raises:
        DataError: If there is no such split, or an image belongs to a class that the network lacks.

    >>> name, images = read_split("digits", tuple("0123456789"))
    >>> name, len(images)
    ('test', 540)
    """
    splits = read_splits_by_name(data)
    if "val" not in splits and trained_on is not None:  # training made splits of its own
        with contextlib.suppress(DataError):
            made_by_training = read_splits(data)
            if fingerprint(made_by_training) == trained_on:
                splits = dict(made_by_training.items())
    if None in splits and split is None:
        return "all", align_labels(splits[None], classes, data)
    if split is None:
        split = next((name for name in ("test", "val", "train") if name in splits), None)
    images = splits.get(split)
    if images is None and trained_on is not None and split in ("val", "test"):
        raise DataError(
            f"{data}: has no {split} split of its own, and it is not what the network was trained on (other "
            "images, or some were added, removed or changed), so that a part of it might have been. Put "
            f"images that it was not trained on in a folder {split}/"
            + ("" if splits.keys() - {None} else ", or leave out --split to evaluate all")
        )
    if images is None:
        images = dict(read_splits(data).items()).get(str(split))
    if split is None or images is None:
        raise DataError(f"{data}: no {split} split; found {', '.join(str(name) for name in splits if name)}")
    if len(images) == 0:
        raise DataError(f"{data}: {split} has no images; name another split with --split")
    return split, align_labels(images, classes, f"{data}: {split}")


def read_splits_by_name(data: str) -> SplitsByName:
    """Images of `data` by name of the split, or all of them under None where it has no splits.

    Each split has the classes that its images show. Splits without labels are left out.

    Raises:
        DataError: If the data set cannot be read, or no image has a label.
        SourceMissing: If it needs the library `datasets`, which is not installed.

    >>> list(read_splits_by_name("digits"))
    ['train', 'val', 'test']
    """
    with _readable(data):
        return _labelled(read_stored_splits(data), data)


@contextlib.contextmanager
def _readable(data: str) -> Iterator[None]:
    """What the system says of a file or folder that cannot be read becomes a `DataError` that names it."""
    try:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path = data.removeprefix(STREAM)
            os.stat(os.path.join(path, os.curdir))  # it may be entered,
            os.scandir(path).close()  # and listed
        yield
    except OSError as error:
        where = printable(str(Path(error.filename or data)))
        raise DataError(f"{where}: cannot be read ({error.strerror or error})") from None


def _labelled(splits: SplitsByName, data: str) -> SplitsByName:
    if labelled := {name: images for name, images in splits.items() if images.classes}:
        return labelled
    raise DataError(f"{data}: not one image has a label; all are -1")


def _left_out_folders(folder: Path) -> list[str]:
    """Names of folders with images beside the splits in `folder`; none if it is no folder with splits."""
    if not folder.is_dir():
        return []
    return folders_beside_splits(folder, [paths[0] for paths in find_splits(folder).values()])


def _set_name(data: str) -> str:
    """Name of the data set, by which a run folder is called.

    >>> _set_name("stream:hf:owner/pets:small"), _set_name("stream:/mnt/pets.tar"), _set_name("digits")
    ('pets', 'pets', 'digits')
    """
    where = data.removeprefix(STREAM)
    if where.startswith(hf_datasets.HUB):
        return where.removeprefix(hf_datasets.HUB).split(":")[0].rstrip("/").rsplit("/", 1)[-1]
    if where == "digits":
        return where
    path = Path(where).resolve()
    return (path.name if path.is_dir() else path.stem) or "data"


def _align_to_train(images: ImageDataset, train: ImageDataset, data: str, split: str) -> ImageDataset:
    try:
        return align_labels(images, train.classes, split)
    except DataError:
        known = set(map(one_form, train.classes))
        unknown = [name for name in sorted(images.classes) if one_form(name) not in known]
        alike = [*lookalikes({*train.classes, *unknown})]
        raise DataError(
            f"{data}: {split} has images of {', '.join(map(repr, unknown[:5]))}, which train lacks"
            + (f": {alike[0]}" if alike else ". Add images of it to train, or remove it")
        ) from None


def _check_classes(images: ImageDataset, where: str, min_images: int) -> None:
    """Raise unless there are two classes or more, each with `min_images`, so that each split gets one."""
    counts = np.bincount(images.labels, minlength=len(images.classes))
    if empty := [name for name, n in zip(images.classes, counts, strict=True) if n == 0]:
        raise DataError(
            f"{where}: class {', '.join(map(repr, empty[:5]))} has no images. Add some, or remove "
            f"the folder (files that count end in {' '.join(sorted(IMAGE_SUFFIXES)[:6])} ...)"
            + (f". There are {describe_unread(images.unread_files)}" if images.unread_files else "")
        )
    if len(images.classes) < 2:
        raise DataError(
            f"{where}: only one class, {images.classes[0]!r}; a classifier needs two or more. "
            "Expected one folder for each class, or a table (CSV) with the columns path and label"
        )
    if few := [name for name, n in zip(images.classes, counts, strict=True) if n < min_images]:
        raise DataError(
            f"{where}: class {few[0]!r} has fewer than {min_images} images, too few to split; add some, "
            "or give train/ and val/ yourself"
        )
