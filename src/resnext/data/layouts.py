"""What folders mean by their names: splits, images, or leftovers of a system."""

from __future__ import annotations

import contextlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from resnext.data.columns import SPLIT_BY_NAME, SPLIT_NAMES
from resnext.data.decode import IMAGE_SUFFIXES, UNSUPPORTED_SUFFIXES, DataError, is_image
from resnext.data.shards import shard_stem
from resnext.data.tables import TABLE_SUFFIXES

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
#: Words in a name, also where capitals begin them.
WORD = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
#: Suffixes of images, also of formats that are not read.
_ALL_SUFFIXES = IMAGE_SUFFIXES | UNSUPPORTED_SUFFIXES
#: Folders that sets have one of, for their images.
IMAGE_PARTS = frozenset("images image imgs img jpegimages".split())


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
    kept = _words(name)
    return _split_of_word(kept[0]) if len(kept) == 1 else None


def splits_side_by_side(names: Iterable[str]) -> list[dict[str, str]]:
    """Names that differ only in the split they say, with their splits: a list of one entry for each set.

    >>> splits_side_by_side(["pets_train", "pets_test", "cars_train", "train"])
    [{'pets_train': 'train', 'pets_test': 'test'}]
    """
    by_rest: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    for name in names:
        words = _words(name)
        said = [word for word in words if word in SPLIT_BY_NAME]
        if len(said) == 1 and len(words) > 1:
            by_rest[tuple(word for word in words if word not in said)][name] = SPLIT_BY_NAME[said[0]]
    return [found for found in by_rest.values() if len(set(found.values())) > 1]


def _words(name: str) -> list[str]:
    """The words of a folder's name in lower case, but those that could be in that of any split."""
    words = [word.lower() for word in WORD.findall(name)]
    return [_without_ending(word) for word in words if word not in _FILLERS]


def _split_of_word(word: str) -> str | None:
    return SPLIT_BY_NAME.get(word) or OTHER_SPLIT_NAMES.get(word)


def _without_ending(word: str) -> str:
    stems = (word.removesuffix(ending) for ending in _ENDINGS if word.endswith(ending))
    return next((stem for stem in stems if _split_of_word(stem)), word)


def find_splits(folder: Path) -> dict[str, list[Path]]:
    """The folder or tables of each split in `folder`; empty if it has no splits.

    Plain names (`train`, `valid`) come first; other names (`training_set`, `Eval`, or `pets_train` beside
    `pets_test`) count where there is a training split.

    Raises:
        DataError: If several are one split.
        OSError: If `folder` cannot be read.
    """
    named, others = _by_name(shown_entries(folder))
    found = {
        split: paths for split, names in SPLIT_NAMES.items()
        if (paths := [path for name in names for path in named.get(name, ())])
    }  # fmt: skip
    if others.keys() | found.keys() >= {"train"}:
        found = others | found
    check_one_each(folder, {split: map(_common_name, paths) for split, paths in found.items()})
    return {split: found[split] for split in SPLIT_NAMES if split in found}


def _by_name(entries: Iterable[os.DirEntry[str]]) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    """Folders, or where there are none tables, by plain name of a split; and other folders by their split."""
    folders, tables = defaultdict(list), defaultdict(list)
    unnamed = []
    for path, is_a_folder in ((Path(entry), is_folder(entry)) for entry in entries):
        if not is_a_folder and path.suffix.lower() in TABLE_SUFFIXES:
            tables[shard_stem(path).lower()].append(path)
        elif is_a_folder and path.name.lower() in SPLIT_BY_NAME:
            folders[path.name.lower()].append(path)
        elif is_a_folder:
            unnamed.append(path)
    return {**tables, **folders}, _other_splits(unnamed, alone=not folders)


def _other_splits(folders: Sequence[Path], alone: bool) -> dict[str, list[Path]]:
    """Folders by the split that their names mean; if they are `alone`, also if only side by side."""
    meant = {path.name: split for path in folders if (split := split_meant(path.name))}
    sets = splits_side_by_side(path.name for path in folders)
    if alone and not meant and len(sets) == 1:
        meant = sets[0]
    found: dict[str, list[Path]] = defaultdict(list)
    for path in folders:
        if path.name in meant:
            found[meant[path.name]].append(path)
    return dict(found)


def _common_name(path: Path) -> str:
    """The name of a folder, or the one that all shards of a table share."""
    return path.name if path.is_dir() else shard_stem(path) + path.suffix


def check_one_each(where: object, names: Mapping[str, Iterable[str]]) -> None:
    """Raises `DataError` if a split has several names: joined, they could hold the same images twice.

    Args:
        where: The data set, for the error.
        names: What was found of each split; one name may be there more than once.

    >>> check_one_each("pets", {"train": ["train"], "val": ["val", "val"]})
    """
    for split, found in names.items():
        if len(distinct := sorted(set(found))) > 1:
            raise DataError(f"{where}: {' and '.join(distinct)} are all {split}; keep one")


def innermost(folder: Path) -> Path:
    """`folder`, or the only folder in it if that is no class: it means the same split, or has its name
    (`seg_train/seg_train`), or is called `images` and holds folders."""
    inner = folders_in(folder)
    if len(inner) != 1 or has_images(folder):
        return folder
    name, split = inner[0].name, split_meant(inner[0].name)
    is_same = name == folder.name or (split is not None and split == split_meant(folder.name))
    holds_classes = name.lower() in IMAGE_PARTS and folders_in(inner[0]) and not has_images(inner[0])
    return innermost(inner[0]) if is_same or holds_classes else folder


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
    return [path.name for path in others if holds_images(path)]


def has_images(folder: Path) -> bool:
    """Whether there are images in `folder` itself, in any format; False if it cannot be read."""
    with contextlib.suppress(OSError):
        return any(is_shown(path.name) and looks_like_image(path) for path in folder.iterdir())
    return False


def looks_like_image(path: Path) -> bool:
    """Whether a file is an image by its suffix, also in a format that is not read, or without a suffix by its
    first bytes."""
    if suffix := path.suffix.lower():
        return suffix in _ALL_SUFFIXES and not path.is_dir()
    return path.is_file() and is_image(path)


def holds_images(folder: Path) -> bool:
    """Whether there are images in `folder` at any depth; links in it are not followed."""
    for place, folders, files in os.walk(folder):
        folders[:] = filter(is_shown, folders)
        if any(is_shown(name) and looks_like_image(Path(place, name)) for name in files):
            return True
    return False


def folders_in(folder: Path) -> list[Path]:
    """The folders in `folder` but hidden ones and those of systems; none if it cannot be read."""
    with contextlib.suppress(OSError):
        return [Path(entry) for entry in shown_entries(folder) if is_folder(entry)]
    return []


def shown_entries(folder: Path) -> list[os.DirEntry[str]]:
    """What is in `folder` by name, but for what is hidden or left behind by a system. Raises `OSError`."""
    entries = (entry for entry in os.scandir(folder) if is_shown(entry.name))
    return sorted(entries, key=lambda entry: entry.name)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether `entry` is a folder or a link to one; a link to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False
