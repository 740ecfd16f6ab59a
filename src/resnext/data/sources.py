"""DATA on the command line to pictures: folders, tables, `digits`, and what `datasets` reads.

`read_splits` gives what training needs; `read_split` one split for evaluation.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from resnext.data import hub
from resnext.data.decode import SUFFIXES, DataError, readable
from resnext.data.folders import read_folder
from resnext.data.index import is_index, read_index
from resnext.data.pictures import Arrays, Pictures, Splits, align, fingerprint, hold_out
from resnext.data.streams import WINDOW
from resnext.data.tables import SPLIT_NAMES, TABLE_SUFFIXES, read_shards, read_table

#: One seed for every split that we make, so that runs with other seeds see the same pictures.
SPLIT_SEED = 0
#: What training on a stream cannot promise.
STREAM_NOTE = (
    f"a stream: shuffled within windows of {WINDOW} pictures, read again on resume up to where it was; "
    "changed pictures would not be noticed"
)


def read_splits(data: str) -> Splits:
    """The data set at `data`, with classes frozen in plain string order.

    A missing validation split is a stratified tenth of `train`; a set without splits is divided
    80/10/10. Raises `DataError`.
    """
    if is_index(Path(data)):
        return read_index(Path(data))
    found = _find_parts(data)
    parts = _labelled(found, data)
    notes = [STREAM_NOTE] if any(part.window for part in parts.values()) else []
    notes += [f"left out {name}, whose pictures have no labels" for name in found if name not in parts]
    if unread := [name for part in parts.values() for name in part.unread]:
        notes.append(f"left out {_told(unread)}")
    if None not in parts and (others := _beside_splits(Path(data))):
        names = readable(f"{', '.join(others[:5])}{'...' * (len(others) > 5)}")
        notes.append(f"left out, since its name is of no split, what lies in {names}")
    if None in parts:
        whole = parts[None]
        _check_classes(whole, data, least=3)
        train, val, rest = _divide(whole, len(whole) // 10, len(whole) // 10)
        notes.append(f"no splits: divided into {len(train)} train, {len(val)} val, {len(rest)} test")
        return Splits(_name(data), train, val, rest if len(rest) else None, notes=tuple(notes))
    if "train" not in parts:
        raise DataError(f"{data}: no train split; found only {', '.join(map(str, parts))}")
    train = parts["train"]
    _check_classes(train, f"{data}: train", least=1 if "val" in parts else 2)
    if "val" in parts:
        val = _align_to_train(parts["val"], train, data, "val")
    else:
        train, val, _ = _divide(train, len(train) // 10, 0)
        notes.append(f"no val split: a stratified tenth of train ({len(val)} pictures) takes its place")
    test = _align_to_train(parts["test"], train, data, "test") if "test" in parts else None
    for name, pictures in (("val", val), ("test", test)):
        if pictures is None:
            continue
        if len(pictures) == 0:
            raise DataError(f"{data}: {name} has no pictures; fill it or remove it")
        shown = set(np.unique(pictures.labels).tolist())
        if absent := [c for i, c in enumerate(train.classes) if i not in shown]:
            notes.append(f"{name} has no picture of {', '.join(absent[:5])}" + "..." * (len(absent) > 5))
    return Splits(_name(data), train, val, test, mirrors=data != "digits", notes=tuple(notes))


def read_split(
    data: str, classes: tuple[str, ...], split: str | None = None, trained_on: str | None = None
) -> tuple[str, Pictures]:
    """(name, pictures) of one split of `data`, labelled by `classes`.

    `split` None takes test, else val, else everything. Where the fingerprint of the data is `trained_on`,
    the splits are those of the training, with the parts that it left out; where it is not, no such parts are
    made, since they could hold pictures that were trained on.
    """
    parts = read_parts(data)
    if "val" not in parts and trained_on is not None:  # training made a split of its own
        with contextlib.suppress(DataError):
            made = read_splits(data)
            if fingerprint(made) == trained_on:
                parts = dict(made.items())
    if None in parts and split is None:
        return "all", align(parts[None], classes, data)
    if split is None:
        split = next((name for name in ("test", "val", "train") if name in parts), None)
    pictures = parts.get(split)
    if pictures is None and trained_on is not None and split in ("val", "test"):
        raise DataError(
            f"{data}: has no {split} split of its own, and it is not what the network was trained on (other "
            "pictures, or some were added, removed or changed), so that a part of it might have been. Put "
            f"pictures that were not in a folder {split}/"
            + ("" if parts.keys() - {None} else ", or leave out --split to judge all")
        )
    if pictures is None:
        pictures = dict(read_splits(data).items()).get(str(split))
    if split is None or pictures is None:
        raise DataError(f"{data}: no {split} split; found {', '.join(str(p) for p in parts if p)}")
    if len(pictures) == 0:
        raise DataError(f"{data}: {split} has no pictures")
    return split, align(pictures, classes, f"{data}: {split}")


def read_parts(data: str) -> dict[str | None, Pictures]:
    """Splits by name, or everything under None; each with the classes it shows. Splits without labels are
    left out. Raises `DataError`."""
    return _labelled(_find_parts(data), data)


def _labelled(parts: dict[str | None, Pictures], data: str) -> dict[str | None, Pictures]:
    if kept := {name: part for name, part in parts.items() if part.classes}:
        return kept
    raise DataError(f"{data}: not one picture has a label; all are -1")


def _find_parts(data: str) -> dict[str | None, Pictures]:
    if data == "digits":
        return _read_digits()
    if hub.reads(data):
        return hub.read_parts(data)
    path = Path(data)
    if is_index(path):
        return dict(read_index(path).items())
    if not path.exists():
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, [*siblings, "digits"], n=1)
        raise DataError(
            f"{data}: there is no such folder or file" + (f". Is it {near[0]!r}?" if near else "")
        )
    if path.is_file():
        return read_table(path)
    parts: dict[str | None, Pictures] = {}
    for split, names in SPLIT_NAMES.items():
        found = [p for name in names for p in _find_split(path, name)]
        if len({p.name.split("-0")[0] for p in found}) > 1:
            raise DataError(f"{data}: {' and '.join(p.name for p in found)} are all {split}; keep one")
        if found:
            parts[split] = _read_split(found)
    if parts:
        return parts
    return {None: read_folder(path)}


def _read_split(found: list[Path]) -> Pictures:
    if not found[0].is_dir():
        return read_shards(found)
    try:
        return read_folder(found[0])
    except DataError as error:
        others = _beside_splits(found[0].parent)
        if others and _holds_pictures(found[0]):
            raise DataError(
                f"{error}. Is it a class, as {readable(others[0])} is? By its name it is taken for a split: "
                f"call it {found[0].name}s, or any other name"
            ) from None
        raise


def _beside_splits(folder: Path) -> list[str]:
    """Where folders are the splits of the set in `folder`: names of the other folders there with pictures."""
    splits = {name for names in SPLIT_NAMES.values() for name in names}
    folders = [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    others = [path for path in folders if path.name.lower() not in splits and not path.name.startswith(".")]
    if len(others) == len(folders):
        return []  # tables are the splits, and may name the pictures in these folders
    return sorted(path.name for path in others if _holds_pictures(path))


def _holds_pictures(folder: Path) -> bool:
    """Are there any in `folder` itself, as far as it can be read?"""
    with contextlib.suppress(OSError):
        return any(path.suffix.lower() in SUFFIXES for path in folder.iterdir())
    return False


def _find_split(folder: Path, name: str) -> list[Path]:
    for suffix in ("", *TABLE_SUFFIXES):
        named = [path for path in folder.iterdir() if path.name.lower() == f"{name}{suffix}"]
        if found := [path for path in named if path.is_dir() == (suffix == "")]:
            return found
    return sorted(folder.glob(f"{name}-0*-of-*.parquet"))


def _name(data: str) -> str:
    """The set's own name: of `hf:owner/name:config`, `name`; of a path, its last part."""
    if data.startswith((hub.HUB, hub.STREAM)):
        data = data.removeprefix(hub.STREAM)
        return data.removeprefix(hub.HUB).split(":")[0].rsplit("/", 1)[-1]
    return data if data == "digits" else Path(data).resolve().stem


# Digits


def _read_digits() -> dict[str | None, Pictures]:
    """scikit-learn's 1,797 scanned digits of 8x8 pixels: 1,077 train, 180 val, 540 test."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pictures = Arrays(
        np.rint(digits.images * (255 / 16)).astype(np.uint8),
        digits.target.astype(np.int64),
        tuple(str(i) for i in range(10)),
    )
    train, val, test = _divide(pictures, 180, 540)
    return {"train": train, "val": val, "test": test}


# Splits


def _divide(pictures: Pictures, val: int, test: int) -> tuple[Pictures, Pictures, Pictures]:
    rest, test_indices = hold_out(pictures.labels, test, SPLIT_SEED)
    train, val_indices = hold_out(pictures.labels[rest], max(val, 1), SPLIT_SEED)
    return (
        pictures.select(rest[train]),
        pictures.select(rest[val_indices]),
        pictures.select(test_indices),
    )


def _align_to_train(pictures: Pictures, train: Pictures, data: str, split: str) -> Pictures:
    try:
        return align(pictures, train.classes, split)
    except DataError:
        lacking = sorted(set(pictures.classes) - set(train.classes))
        raise DataError(
            f"{data}: {split} has pictures of {', '.join(map(repr, lacking[:5]))}, which train lacks. "
            "Add pictures of it to train, or remove it"
        ) from None


def _told(unread: Sequence[str]) -> str:
    """What to do about files in formats that are not read."""
    kinds = ", ".join(sorted({Path(name).suffix.lower() for name in unread}))
    return (
        f"{len(unread)} pictures in formats that are not read ({kinds}), the first {readable(unread[0])}: "
        "convert them to JPEG or PNG"
    )


def _check_classes(pictures: Pictures, where: str, least: int) -> None:
    """Two classes or more, each with `least` pictures, so that each split off leaves one to train."""
    counts = np.bincount(pictures.labels, minlength=len(pictures.classes))
    if empty := [name for name, n in zip(pictures.classes, counts, strict=True) if n == 0]:
        raise DataError(
            f"{where}: class {', '.join(map(repr, empty[:5]))} has no pictures. Add some, or remove "
            f"the folder (files that count end in {' '.join(sorted(SUFFIXES)[:6])} ...)"
            + (f". There are {_told(pictures.unread)}" if pictures.unread else "")
        )
    if len(pictures.classes) < 2:
        raise DataError(
            f"{where}: only one class, {pictures.classes[0]!r}; a classifier needs two or more. "
            "Expected one folder a class"
        )
    if few := [name for name, n in zip(pictures.classes, counts, strict=True) if n < least]:
        raise DataError(
            f"{where}: class {few[0]!r} has fewer than {least} pictures, too few to split; add some, "
            "or give train/ and val/ yourself"
        )
