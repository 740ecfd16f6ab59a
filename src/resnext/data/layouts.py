"""What folders mean by their names and places: splits, classes, parts of a set, or leftovers of a system.

Splits are never read as classes: a layout whose meaning is not certain is a `DataError` that says what was
seen.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from resnext.data.decode import IMAGE_SUFFIXES, DataError
from resnext.data.shards import Shard, shard_stem
from resnext.data.tables import SPLIT_BY_NAME, SPLIT_NAMES, TABLE_SUFFIXES
from resnext.names import printable

#: Folders and files that systems and tools leave behind, in lower case.
SYSTEM_NAMES = frozenset(
    "__macosx @eadir .thumbs .thumbnails thumbs.db desktop.ini .ipynb_checkpoints __pycache__ $recycle.bin "
    "#recycle lost+found".split()
) | {"system volume information"}
#: Other names of splits, for folders only.
OTHER_SPLIT_NAMES = {"eval": "val", "evaluation": "val", "dev": "val"}
#: Words in the name of a split's folder that do not say which split it is.
_FILLERS = frozenset("set sets data dataset image images img imgs split seg folder dir ilsvrc".split())
_ENDINGS = ("set", "data", "images", "imgs")
_FOLD = re.compile(r"(k?fold|cv|split)[ _-]?[0-9]+", re.IGNORECASE)
#: Folders that sets have one of each: images here, what is known about them there.
IMAGE_PARTS = frozenset("images image imgs img jpegimages".split())
OTHER_PARTS = frozenset(
    "annotations annotation labels masks mask trimaps ground_truth meta segmentations".split()
)


def is_system(name: str) -> bool:
    """Whether a system or tool has left this folder or file behind.

    >>> is_system("__MACOSX"), is_system("._cat.jpg"), is_system("cat.jpg")
    (True, True, False)
    """
    return name.startswith("._") or name.lower() in SYSTEM_NAMES


def is_shown(name: str) -> bool:
    """Whether a folder or file is part of the data: neither hidden nor left behind by a system.

    >>> is_shown("cat.jpg"), is_shown(".cache"), is_shown("__MACOSX")
    (True, False, False)
    """
    return not name.startswith(".") and not is_system(name)


def split_meant(name: str) -> str | None:
    """The split that a folder's name stands for; None if it is none.

    >>> split_meant("training_set"), split_meant("seg_test"), split_meant("Eval"), split_meant("trainer")
    ('train', 'test', 'val', None)
    """
    words = re.findall("[a-z]+", name.lower())
    kept = [_without_ending(word) for word in words if word not in _FILLERS]
    return _split_of_word(kept[0]) if len(kept) == 1 else None


def _split_of_word(word: str) -> str | None:
    return SPLIT_BY_NAME.get(word) or OTHER_SPLIT_NAMES.get(word)


def _without_ending(word: str) -> str:
    stems = (word.removesuffix(ending) for ending in _ENDINGS if word.endswith(ending))
    return next((stem for stem in stems if _split_of_word(stem)), word)


def find_splits(folder: Path) -> dict[str, list[Path]]:
    """The folder or tables of each split in `folder`; empty if it has no splits.

    Plain names (`train`, `valid`) come first; other names (`training_set`, `Eval`) count where there is a
    training split.

    Raises:
        DataError: If several are one split.
    """
    found = {
        split: paths for split, names in SPLIT_NAMES.items()
        if (paths := [path for name in names for path in _named_split(folder, name)])
    }  # fmt: skip
    for split, paths in _other_splits(folder).items():
        found.setdefault(split, paths)
    if "train" not in found:
        found = {split: paths for split, paths in found.items() if _has_plain_name(paths[0])}
    for split, paths in found.items():
        if len({p.name if p.is_dir() else shard_stem(p) + p.suffix for p in paths}) > 1:
            raise DataError(f"{folder}: {' and '.join(p.name for p in paths)} are all {split}; keep one")
    return {split: found[split] for split in SPLIT_NAMES if split in found}


def _has_plain_name(path: Path) -> bool:
    return shard_stem(path).lower() in SPLIT_BY_NAME or path.name.lower() in SPLIT_BY_NAME


def _named_split(folder: Path, name: str) -> list[Path]:
    """The folder or tables in `folder` that hold the split called `name`."""
    entries = list(folder.iterdir())
    if named := [path for path in entries if path.name.lower() == name and path.is_dir()]:
        return named
    shards = [path for path in entries if Shard.from_path(path) and shard_stem(path).lower() == name]
    shards = sorted(path for path in shards if path.suffix.lower() in TABLE_SUFFIXES)
    for suffix in TABLE_SUFFIXES:
        if named := [p for p in entries if p.name.lower() == f"{name}{suffix}" and not p.is_dir()]:
            return named + shards
    return shards


def _other_splits(folder: Path) -> dict[str, list[Path]]:
    """Folders in `folder` that stand for a split by another name."""
    found: dict[str, list[Path]] = {}
    for path in folders_in(folder):
        if path.name.lower() not in SPLIT_BY_NAME and (split := split_meant(path.name)):
            found.setdefault(split, []).append(path)
    return found


def innermost(folder: Path) -> Path:
    """`folder`, or the only folder in it if that means the same split (`seg_train/seg_train`)."""
    inner = folders_in(folder)
    if len(inner) != 1 or has_images(folder) or split_meant(inner[0].name) != split_meant(folder.name):
        return folder
    return innermost(inner[0])


def is_unlabelled(folder: Path) -> bool:
    """Whether the images of a split lie in one heap: in its folder, or in one folder `images` in it."""
    inner = folders_in(folder)
    if not inner:
        return has_images(folder)
    return len(inner) == 1 and inner[0].name.lower() in IMAGE_PARTS and has_images(inner[0])


def folders_beside_splits(folder: Path, splits: Iterable[Path]) -> list[str]:
    """Names of folders in `folder` that hold images but are no splits; none if no folder is a split, since
    then the splits are tables, which may name the images in these folders."""
    are_splits = {path.name for path in splits}
    folders = folders_in(folder) if folder.is_dir() else []
    others = [path for path in folders if path.name not in are_splits]
    if len(others) == len(folders):
        return []
    return [path.name for path in others if has_images(path) or any(map(has_images, folders_in(path)))]


def has_images(folder: Path) -> bool:
    """Whether there are images in `folder` itself; False if it cannot be read."""
    with contextlib.suppress(OSError):
        names = (path.name for path in folder.iterdir() if not path.name.startswith("."))
        return any(os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES for name in names)
    return False


def folders_in(folder: Path) -> list[Path]:
    """The folders in `folder` but hidden ones and those of systems; none if it cannot be read."""
    with contextlib.suppress(OSError):
        return sorted(path for path in folder.iterdir() if is_shown(path.name) and path.is_dir())
    return []


def check_classes(root: Path, folders: Sequence[str], images: Sequence[str]) -> None:
    """Raises `DataError` if the folders in `root` are something else than classes.

    Args:
        root: Folder that is read as one folder for each class.
        folders: Names of the folders in it.
        images: Paths of all images in them, relative to `root`.
    """
    _check_no_splits(root, folders)
    _check_no_parts(root, folders)
    _check_no_parent(root, folders, images)
    _check_no_repeats(root, _inner_folders(images))


def _check_no_splits(root: Path, folders: Sequence[str]) -> None:
    if splits := [name for name in folders if split_meant(name)]:
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


def _is_heap(folder: Path) -> bool:
    return has_images(folder) or all(split_meant(path.name) for path in folders_in(folder))


def _check_no_parent(root: Path, folders: Sequence[str], images: Sequence[str]) -> None:
    """Raises `DataError` if all images lie deeper, in a folder that looks like a data set of its own."""
    places = {os.path.dirname(path) for path in images}
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


def _inner_folders(images: Sequence[str]) -> dict[str, set[str]]:
    """Names of the folders with images in each class folder; none where it holds images itself."""
    inner: dict[str, set[str]] = {}
    holds_images = set()
    for path in images:
        folder, name, *deeper = path.split("/", 2)
        inner.setdefault(folder, set()).add(name)
        if not deeper:
            holds_images.add(folder)
    return {folder: set() if folder in holds_images else names for folder, names in inner.items()}


def _check_no_repeats(root: Path, inner: dict[str, set[str]]) -> None:
    """Raises `DataError` if a class folder holds only folders, and those are in other class folders too."""
    counts = Counter(name for names in inner.values() for name in names)
    shared = {name for name, count in counts.items() if count > 1}
    repeating = [folder for folder, names in inner.items() if len(names) > 1 and names <= shared]
    if repeating:
        names = sorted(inner[repeating[0]])
        raise DataError(
            f"{root}: {_quoted(repeating)} hold no images but the same folders, {_quoted(names)}; which are "
            f"the classes? If it is {_quoted(names)}, join them to one folder each, as in "
            f"{printable(f'{root.name}/{names[0]}/{repeating[0]}.jpg')}, or give {repeating[0]!r} alone; "
            f"if it is {_quoted(repeating)}, put the images in these folders themselves"
        )


def _quoted(names: Sequence[str], limit: int = 4) -> str:
    return ", ".join(repr(name) for name in names[:limit]) + ", ..." * (len(names) > limit)
