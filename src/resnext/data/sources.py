"""DATA as the command line names it: folders, tables, archives, indexes, `digits`, and sets of the hub.

`read_splits` gives the splits that training needs, `read_split` one split to evaluate.
"""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from resnext.data import archives, hf_datasets
from resnext.data.class_names import one_form
from resnext.data.columns import LABEL_COLUMNS
from resnext.data.decode import IMAGE_SUFFIXES, DataError
from resnext.data.folders import ANNOTATIONS, describe_unread, read_annotations, read_folder
from resnext.data.images import ImageDataset
from resnext.data.index import is_index, read_index
from resnext.data.labels_beside import read_labels_beside, read_metadata
from resnext.data.layouts import find_splits, folders_beside_splits, has_images, innermost, is_unlabelled
from resnext.data.repeats import check_apart
from resnext.data.splits import Splits, align_labels, fingerprint, holdout_of_each_class
from resnext.data.stored_images import ImageArrays, ImageFiles
from resnext.data.streaming import STREAM, WINDOW
from resnext.data.tables import SPLIT_BY_NAME, column_names, read_shards, read_table
from resnext.names import encodable, printable

#: Seed of every split that is made here; it is fixed, so that runs with different seeds see the same images.
SPLIT_SEED = 0
#: What training on a stream is like.
STREAM_NOTE = f"a stream: shuffled within windows of {WINDOW} images, read again on resume up to where it was"
#: A split of which no image has a label. Only that is told: nothing asks for its images.
NO_LABELS = ImageFiles(Path(), (), np.empty(0, np.int64), ())

#: What can be given as DATA, in a few words.
DATA_KINDS = (
    "Give a folder of class folders, as in DATA/cat/1.jpg, a table (.parquet, .csv), an .index or `digits`"
)

SplitsByName = dict[str | None, ImageDataset]


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
        found = _find_splits(data)
    labelled = _labelled(found, data)
    notes = _reading_notes(found, labelled, data)
    if None in labelled:
        images = labelled[None]
        _check_classes(images, data, min_images=3)
        train, val, rest = _divide(images, len(images) // 10, len(images) // 10)
        last = f"{len(rest)} test" if len(rest) else "none for test"
        notes.append(f"no splits: divided into {len(train)} train, {len(val)} val, {last}")
        return Splits(_set_name(data), train, val, rest if len(rest) else None, notes=tuple(notes))
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
        train, val, _ = _divide(train, tenth, 0)
        more = ", but at least one image of each class" if len(val) > tenth else ""
        notes.append(f"no val split: a stratified tenth of train{more} ({len(val)} images) takes its place")
    test = _align_to_train(labelled["test"], train, data, "test") if "test" in labelled else None
    notes += _absent_classes(val, data, "val") + ([] if test is None else _absent_classes(test, data, "test"))
    return Splits(_set_name(data), train, val, test, allows_flips=data != "digits", notes=tuple(notes))


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
        return _labelled(_find_splits(data), data)


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


def _find_splits(data: str) -> SplitsByName:
    if data == "digits":
        return _read_digits()
    if hf_datasets.is_supported(data):
        return hf_datasets.read_splits_by_name(data)
    if archives.is_supported(data):
        return archives.read_splits_by_name(data)
    path = Path(data)
    if is_index(path):
        indexed = read_index(path)
        for _, images in indexed.items():
            images.notes = indexed.notes
        return dict(indexed.items())
    if not path.exists():
        raise _no_such_data(data)
    if path.is_file():
        return read_table(path)
    if not path.is_dir():
        raise DataError(f"{path}: is a pipe, socket or device; give a folder or a file")
    if (path / "metrics.jsonl").exists() and (path / "config.toml").exists():
        raise DataError(f"{path}: is the folder of a run; give the folder of its images")
    if encodable(data) != data:
        raise DataError(f"{printable(data)}: the name of this folder is not UTF-8; rename it")
    found = find_splits(path)
    if not found:
        return read_metadata(path) or {None: read_folder(path)}
    splits: SplitsByName = {split: _read_found_split(split, paths, found) for split, paths in found.items()}
    if not all(paths[0].is_dir() for paths in found.values()):  # a table can name any file
        check_apart(splits, path)
    return splits


def check_data(data: str) -> None:
    """Raise `DataError` if `data` is a path where there is nothing. Nothing is read; it needs no torch."""
    named = data == "digits" or archives.is_supported(data) or hf_datasets.is_supported(data)
    if not named and not Path(data).exists():
        raise _no_such_data(data)


def _no_such_data(data: str) -> DataError:
    """The error for a path where there is nothing, with the likeliest mistake."""
    if "://" in data:
        return DataError(f"{data}: addresses are not read; download it first, and give the folder")
    parent = Path(data).parent
    siblings = [path.name for path in parent.iterdir()] if parent.is_dir() else []
    similar = difflib.get_close_matches(Path(data).name, [*siblings, "digits"], n=1)
    hint = f"Is it {similar[0]!r}?" if similar else f"{DATA_KINDS}, or the set on the hub as hf:owner/name"
    return DataError(f"{data}: there is no such folder or file. {hint}")


def _read_found_split(split: str, paths: list[Path], found: dict[str, list[Path]]) -> ImageDataset:
    """The images of one split: a folder, or one or more tables."""
    if not paths[0].is_dir():
        return NO_LABELS if split == "test" and _lacks_labels(paths, found) else read_shards(paths)
    folder = innermost(paths[0])
    if named := next(filter(None, map(read_metadata, dict.fromkeys((paths[0], folder)))), None):
        return _of_split(named, split, folder)
    if is_unlabelled(folder):
        if (folder / ANNOTATIONS).is_file():
            return read_annotations(folder)
        if named := read_labels_beside(paths[0]):
            return _of_split(named, split, paths[0])
        if split == "test" and "train" in found:
            return NO_LABELS
    return _read_class_folders(folder, found)


def _lacks_labels(test: list[Path], found: dict[str, list[Path]]) -> bool:
    """Whether the tables of train have labels and those of test none: a column less, and none that is called
    like labels."""
    if not all(path.is_file() for path in found.get("train", [Path()])):
        return False
    own, of_train = (set(column_names(paths[0])) for paths in (test, found["train"]))
    return own < of_train and not {name.lower() for name in own} & {*LABEL_COLUMNS}


def _of_split(named: SplitsByName, split: str, folder: Path) -> ImageDataset:
    """The images of `split` in its folder, which a table names. Raises `DataError` if it names others."""
    if others := [str(name) for name in named if name not in (None, split)]:
        raise DataError(
            f"{folder}: is {split} by its name, but {others[0]} by the column split of the table that names "
            "its images; remove the column, or give the table alone"
        )
    return next(iter(named.values()))


def _read_class_folders(folder: Path, found: dict[str, list[Path]]) -> ImageDataset:
    try:
        return read_folder(folder)
    except DataError as error:
        others = folders_beside_splits(folder.parent, [paths[0] for paths in found.values()])
        if others and has_images(folder) and folder.name.lower() in SPLIT_BY_NAME:
            raise DataError(
                f"{error}. Is it a class, as {printable(others[0])} is? By its name it is taken for a split: "
                f"call it {folder.name}s, or any other name"
            ) from None
        raise


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


def _read_digits() -> SplitsByName:
    """scikit-learn's 1,797 scanned digits of 8x8 pixels: 1,077 train, 180 val, 540 test."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = ImageArrays(
        np.rint(digits.images * (255 / 16)).astype(np.uint8),
        digits.target.astype(np.int64),
        tuple(str(i) for i in range(10)),
    )
    train, val, test = _divide(images, 180, 540)
    return {"train": train, "val": val, "test": test}


def _divide(images: ImageDataset, val: int, test: int) -> tuple[ImageDataset, ImageDataset, ImageDataset]:
    """(train, val, test): `test` images are held out, then `val` of the rest, but at least one; and at least
    one of each class that has an image for each part."""
    rest, test_indices = holdout_of_each_class(images.labels, test, SPLIT_SEED, at_least=3)
    train, val_indices = holdout_of_each_class(images.labels[rest], max(val, 1), SPLIT_SEED, at_least=2)
    return (
        images.select(rest[train]),
        images.select(rest[val_indices]),
        images.select(test_indices),
    )


def _align_to_train(images: ImageDataset, train: ImageDataset, data: str, split: str) -> ImageDataset:
    try:
        return align_labels(images, train.classes, split)
    except DataError:
        known = set(map(one_form, train.classes))
        unknown = [name for name in sorted(images.classes) if one_form(name) not in known]
        raise DataError(
            f"{data}: {split} has images of {', '.join(map(repr, unknown[:5]))}, which train lacks. "
            "Add images of it to train, or remove it"
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
