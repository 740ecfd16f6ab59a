"""Folders that are no classes: splits, parts of a set, its parent, its copies, or what is known about images.

A layout whose meaning is not certain is a `DataError` that says what was seen.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from resnext.data.decode import DataError
from resnext.data.layouts import (
    IMAGE_PARTS,
    WORD,
    find_splits,
    folders_in,
    has_images,
    split_meant,
    splits_side_by_side,
)
from resnext.names import printable

#: A year, month or day.
_DATE = re.compile(r"(19|20)[0-9]{2}([-_. ]?[0-9]{2}){0,2}")
_FOLD = re.compile(r"(k?fold|cv|split)[ _-]?[0-9]+", re.IGNORECASE)
#: Folders that sets have one of each, for what is known about their images.
OTHER_PARTS = frozenset(
    "annotations annotation labels masks mask trimaps ground_truth meta segmentations imagesets "
    "segmentationclass segmentationobject".split()
)
#: Folders of images that are no photographs of a class, but say of each pixel what it shows.
MASK_PARTS = frozenset("masks mask trimaps ground_truth segmentations segmentation".split())


def check_classes(root: Path, folders: Sequence[str], images: Sequence[str]) -> None:
    """Raises `DataError` if the folders in `root` are something else than classes.

    Args:
        root: Folder that is read as one folder for each class.
        folders: Names of the folders in it.
        images: Paths of all images in them, relative to `root`.
    """
    _check_no_splits(root, folders)
    _check_no_parts(root, folders)
    _check_no_unlabelled(root, folders)
    _check_no_tables(root, folders, images)
    places = sorted({os.path.dirname(path) for path in images})
    _check_no_parent(root, folders, places)
    _check_no_masks(root, places)
    inner = _inner_folders(places)
    _check_no_sets(root, inner)
    _check_no_repeats(root, _repeating(inner) or _repeating_deeper(places, inner))
    _check_no_initials(root, inner)


def _check_no_splits(root: Path, folders: Sequence[str]) -> None:
    side_by_side = {name for names in splits_side_by_side(folders) for name in names}
    if splits := [name for name in folders if split_meant(name) or name in side_by_side]:
        raise DataError(
            f"{root}: {_quoted(splits)} would be a class, and is called like a split; found the "
            f"folders {_quoted(folders)}. Call splits train, val and test; call a class {splits[0]}s, "
            "or any other name"
        )
    if folds := [name for name in folders if _FOLD.fullmatch(name)]:
        raise DataError(
            f"{root}: {_quoted(folds)} would be classes, and are called like folds of one set. Put the folds "
            "to train on together in train/, one folder for each class, and another fold in val/; or write a "
            "table with the columns path, label and split"
        )


def _check_no_parts(root: Path, folders: Sequence[str]) -> None:
    images = [name for name in folders if name.lower() in IMAGE_PARTS]
    others = [name for name in folders if name.lower() in OTHER_PARTS]
    if images and others and len(images) + len(others) == len(folders) and _is_heap(root / images[0]):
        raise DataError(
            f"{root}: {_quoted([*images, *others])} are parts of one set, not classes: images, and what is "
            "known about them. Write a table (CSV) with the columns path and label, or give one folder "
            "for each class"
        )
    words = {tuple(word.lower() for word in WORD.findall(name)) for name in folders}
    if len(folders) > 1 and len(words) == 1 and IMAGE_PARTS & set(*words):
        raise DataError(
            f"{root}: {_quoted(folders)} are called like parts of one set, not like classes. Write a table "
            "(CSV) with the columns path and label, or give one folder for each class"
        )


def _check_no_unlabelled(root: Path, folders: Sequence[str]) -> None:
    words = {w.lower().replace("labelled", "labeled"): name for name in folders for w in WORD.findall(name)}
    if words.keys() >= {"labeled", "unlabeled"}:
        labelled, unlabelled = words["labeled"], words["unlabeled"]
        raise DataError(
            f"{root}: {_quoted([labelled, unlabelled])} are called like parts of one set, not like classes. "
            f"Give {printable(str(root / labelled))}"
        )


def _check_no_tables(root: Path, folders: Sequence[str], images: Sequence[str]) -> None:
    """Raises `DataError` if folders without images hold the tables of a data set."""
    empty = set(folders) - {path.partition("/")[0] for path in images}
    if sets := [name for name in sorted(empty) if "train" in find_splits(root / name)]:
        raise DataError(
            f"{root}: {_quoted(sets)} would be a class, and holds the tables of a data set. Give "
            f"{printable(str(root / sets[0]))}"
        )


def _check_no_masks(root: Path, places: Sequence[str]) -> None:
    """Raises `DataError` if there are masks beside the images of a class."""
    of_masks: dict[str, str] = {}
    others = set()
    for place in places:
        folder, *below = place.split("/")
        if MASK_PARTS & {name.lower() for name in below}:
            of_masks[folder] = place
        else:
            others.add(folder)
    if found := [place for folder, place in of_masks.items() if folder in others]:
        raise DataError(
            f"{root}: {_quoted(found)} are called like masks, and would be read as further images of their "
            "classes. Move them out of the data, or call them otherwise"
        )


def _is_heap(folder: Path) -> bool:
    return has_images(folder) or all(split_meant(path.name) for path in folders_in(folder))


def _check_no_parent(root: Path, folders: Sequence[str], places: Sequence[str]) -> None:
    """Raises `DataError` if all images lie deeper, in a folder that looks like a data set of its own."""
    common = os.path.commonpath(places) if places else ""
    if not common or common in places:
        return
    if split_meant(os.path.basename(common)):
        common = os.path.dirname(common)
    where = root / common
    if where == root:
        return
    inner = [path.name for path in folders_in(where)]
    top = common.split("/")[0]
    others = [name for name in folders if name != top]
    raise DataError(
        f"{root}: all images are in {printable(str(where))}, which looks like a data set (it has the folders "
        f"{_quoted(inner)})" + (f"; {_quoted(others)} would be a class without images" if others else "")
        + f". Give {printable(str(where))}. If lists beside it say which image is of which split, write a "
        "table with the columns path, label and split"
    )  # fmt: skip


def _inner_folders(places: Sequence[str]) -> dict[str, set[str]]:
    """Names of the folders with images in each class folder, or in the folder `images` in it; none where it
    holds images itself."""
    inner: dict[str, set[str]] = defaultdict(set)
    holds_images = {place for place in places if "/" not in place}
    for place in places:
        folder, *below = place.split("/")
        if len(below) > 1 and below[0].lower() in IMAGE_PARTS:
            below = below[1:]
        inner[folder].update(below[:1])
    return {folder: set() if folder in holds_images else names for folder, names in inner.items()}


def _check_no_sets(root: Path, inner: dict[str, set[str]]) -> None:
    """Raises `DataError` if a class folder is a data set of its own: it has splits, or the other classes."""
    for folder, names in inner.items():
        others = inner.keys() - {folder}
        has_splits = "train" in map(split_meant, names) and all(map(split_meant, names))
        if has_splits and not any(names & inner[other] for other in others):
            raise DataError(
                f"{root}: {folder!r} would be a class, and holds the splits {_quoted(sorted(names))}, so it "
                f"looks like a data set, with {_quoted(sorted(others))} beside it. Give "
                f"{printable(str(root / folder))}"
            )
        if len(names) > 1 and names <= others:
            raise DataError(
                f"{root}: {folder!r} would be a class, and holds the folders {_quoted(sorted(names))}, which "
                "are beside it too, so one is a copy of the other. Give "
                f"{printable(str(root / folder))}, or move it away"
            )


def _repeating(inner: dict[str, set[str]]) -> dict[str, set[str]]:
    """Class folders that hold only folders, at least half of which are in other class folders too; of dates,
    any."""
    counts = Counter(name for names in inner.values() for name in names)
    shared = {name for name, count in counts.items() if count > 1}
    if shared and all(map(_DATE.fullmatch, inner)):
        repeating = [folder for folder, names in inner.items() if names & shared]
    else:
        repeating = [f for f, names in inner.items() if 1 < len(names) <= 2 * len(names & shared)]
    return {folder: inner[folder] & shared for folder in repeating}


def _repeating_deeper(places: Sequence[str], inner: dict[str, set[str]]) -> dict[str, set[str]]:
    """Class folders that hold only folders, with those that hold images, if these are in other class folders
    at another depth: `raw/cat` and `processed/train/cat`."""
    names_in: dict[str, set[str]] = defaultdict(set)
    depths: dict[str, set[int]] = defaultdict(set)
    for place in places:
        folder, *below = place.split("/")
        if inner[folder]:
            names_in[folder].add(below[-1])
            depths[below[-1]].add(len(below))
    shared = {name for name, found in depths.items() if len(found) > 1}
    return {folder: names & shared for folder, names in names_in.items() if len(names & shared) > 1}


def _check_no_repeats(root: Path, repeating: dict[str, set[str]]) -> None:
    """Raises `DataError` if there are folders that hold the same folders."""
    if repeating:
        folders, names = list(repeating), sorted(next(iter(repeating.values())))
        joined = printable(f"{root.name}/{names[0]}/{folders[0]}.jpg")
        raise DataError(
            f"{root}: {_quoted(folders)} hold no images, but folders of the same names: {_quoted(names)}; "
            f"which are the classes? If it is {_quoted(names)}, join them to one each, as in {joined}, or "
            f"give {folders[0]!r} alone; if it is {_quoted(folders)}, put the images in these folders "
            "themselves"
        )


def _check_no_initials(root: Path, inner: dict[str, set[str]]) -> None:
    """Raises `DataError` if folders are only the first letters of the folders in them (`a/abbey`)."""
    names = sorted(name for names in inner.values() for name in names)
    if len(names) > len(inner) > 1 and all(_are_filed(names, letter) for letter, names in inner.items()):
        raise DataError(
            f"{root}: {_quoted(sorted(inner))} are the first letters of the folders in them, "
            f"{_quoted(names)}, which look like the classes. Put these side by side in one folder; give it"
        )


def _are_filed(names: set[str], letter: str) -> bool:
    return len(letter) == 1 and bool(names) and all(n.lower().startswith(letter.lower()) for n in names)


def _quoted(names: Sequence[str], limit: int = 4) -> str:
    return ", ".join(repr(name) for name in names[:limit]) + ", ..." * (len(names) > limit)
