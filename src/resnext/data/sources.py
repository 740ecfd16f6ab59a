"""DATA on the command line to pictures: folders, tables and `digits`.

`read_splits` gives what training needs; `read_split` one split for evaluation.
"""

from __future__ import annotations

import contextlib
import csv
import difflib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from resnext.data.decode import SUFFIXES, DataError
from resnext.data.pictures import (
    Arrays,
    Encoded,
    Files,
    Labels,
    Pictures,
    Splits,
    align,
    fingerprint,
    hold_out,
    readable,
)

#: Names that a split goes by.
SPLIT_NAMES = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
IMAGE_COLUMNS = ("image", "img", "picture", "bytes", "path", "file", "filename", "file_name", "filepath")
LABEL_COLUMNS = ("label", "labels", "class", "class_name", "category", "target")
TABLE_SUFFIXES = (".parquet", ".csv")
#: One seed for every split that we make, so that runs with other seeds see the same pictures.
SPLIT_SEED = 0


def read_splits(data: str) -> Splits:
    """The data set at `data`, with classes frozen in plain string order.

    A missing validation split is a stratified tenth of `train`; a set without splits is divided
    80/10/10. Raises `DataError`.
    """
    parts = _read_parts(data)
    notes: list[str] = []
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
    the splits are those of the training, with the parts that it left out.
    """
    parts = _read_parts(data)
    if "val" not in parts and trained_on is not None:  # training made a split of its own
        with contextlib.suppress(DataError):
            made = read_splits(data)
            if fingerprint(made) == trained_on:
                parts = dict(made.items())
    if None in parts and split is None:
        return "all", align(parts[None], classes, data)
    if split is None:
        split = next((name for name in ("test", "val", "train") if name in parts), None)
    pictures = parts.get(split) or dict(read_splits(data).items()).get(str(split))
    if split is None or pictures is None:
        raise DataError(f"{data}: no {split} split; found {', '.join(str(p) for p in parts if p)}")
    if len(pictures) == 0:
        raise DataError(f"{data}: {split} has no pictures")
    return split, align(pictures, classes, f"{data}: {split}")


def _read_parts(data: str) -> dict[str | None, Pictures]:
    """Splits by name, or everything under None; each with the classes it shows."""
    if data == "digits":
        return _read_digits()
    if data.startswith("hf:"):
        raise DataError(f"{data}: data sets of the hub are not supported yet; download it as Parquet")
    path = Path(data)
    if not path.exists():
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, [*siblings, "digits"], n=1)
        raise DataError(
            f"{data}: there is no such folder or file" + (f". Is it {near[0]!r}?" if near else "")
        )
    if path.is_file():
        return _read_table(path)
    parts: dict[str | None, Pictures] = {}
    for split, names in SPLIT_NAMES.items():
        found = [p for name in names for p in _find_split(path, name)]
        if len({p.name.split("-0")[0] for p in found}) > 1:
            raise DataError(f"{data}: {' and '.join(p.name for p in found)} are all {split}; keep one")
        if found:
            parts[split] = _read_folder(found[0]) if found[0].is_dir() else _read_shards(found)
    if parts:
        return parts
    return {None: _read_folder(path)}


def _find_split(folder: Path, name: str) -> list[Path]:
    if (folder / name).is_dir():
        return [folder / name]
    for suffix in TABLE_SUFFIXES:
        if (folder / f"{name}{suffix}").is_file():
            return [folder / f"{name}{suffix}"]
    return sorted(folder.glob(f"{name}-0*-of-*.parquet"))


def _name(data: str) -> str:
    return data if data == "digits" else Path(data).resolve().stem


# Folders


def _read_folder(root: Path) -> Pictures:
    """A folder of class folders, each searched to any depth."""
    try:
        entries = sorted(e.name for e in os.scandir(root) if e.is_dir() and not e.name.startswith("."))
    except PermissionError:
        raise DataError(f"{root}: no permission to read this folder") from None
    keys: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(entries):
        if readable(name) != name:
            raise DataError(f"{readable(str(root))}: the folder name {name!r} is not UTF-8; rename it")
        found = [f"{name}/{path}" for path in pictures_under(root / name)]
        keys += found
        labels += [label] * len(found)
    if not entries:
        loose = sum(1 for e in os.scandir(root) if Path(e.name).suffix.lower() in SUFFIXES)
        raise DataError(
            f"{root}: "
            + (f"has {loose} pictures but no class folders; " if loose else "is empty; ")
            + "expected one folder a class with its pictures, as in "
            f"{root.name}/cat/1.jpg, or {root.name}/train/cat/1.jpg"
        )
    return Files(root, keys, np.array(labels, dtype=np.int64), tuple(entries))


def pictures_under(folder: Path) -> list[str]:
    """Paths of the pictures in `folder`, searched to any depth, relative to it and in plain order.

    Hidden files and folders do not count; a folder that links make reachable twice counts once.
    """
    found: list[str] = []
    seen: set[str] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for file in sorted(files):
            if Path(file).suffix.lower() in SUFFIXES and not file.startswith("."):
                found.append(os.path.relpath(os.path.join(parent, file), folder))
    return found


# Tables


def _read_table(path: Path) -> dict[str | None, Pictures]:
    """A table alone: by its `split` column where it has one."""
    table = _load(path)
    whole = _pictures(table, path)
    split = next((name for name in table.column_names if name.lower() == "split"), None)
    if split is None:
        return {None: whole}
    column = np.array([str(v) for v in table[split].to_pylist()])
    known = {name: split for split, names in SPLIT_NAMES.items() for name in names}
    if unknown := set(column.tolist()) - known.keys():
        raise DataError(f"{path}: column split holds {sorted(unknown)[0]!r}; known are {', '.join(known)}")
    splits = np.array([known[v] for v in column])
    return {name: whole.select(np.flatnonzero(splits == name)) for name in np.unique(splits).tolist()}


def _read_shards(paths: list[Path]) -> Pictures:
    tables = [_load(path) for path in paths]
    try:
        return _pictures(pa.concat_tables(tables), paths[0])
    except pa.ArrowInvalid as error:
        raise DataError(f"{paths[0]}: its shards do not fit together ({error})") from None


def _load(path: Path) -> pa.Table:
    if path.suffix not in TABLE_SUFFIXES:
        raise DataError(f"{path}: a table must end in {' or '.join(TABLE_SUFFIXES)}")
    try:
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            if table.num_rows == 0:
                raise DataError(f"{path}: has no rows")
            return table
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except PermissionError:
        raise DataError(f"{path}: no permission to read this file") from None
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as {path.suffix[1:]} ({error})") from None
    if not rows:
        raise DataError(f"{path}: no rows under its head line")
    if any(None in row or None in row.values() for row in rows):
        raise DataError(f"{path}: a line has more or fewer fields than the head line")
    return pa.Table.from_pylist(rows)


def _pictures(table: pa.Table, path: Path) -> Pictures:
    image_name = _column(table, IMAGE_COLUMNS, path, "picture")
    label_name = _column(table, LABEL_COLUMNS, path, "label")
    labels, classes = _labels(table, label_name, path)
    image = table[image_name]
    if pa.types.is_struct(image.type):  # the Hugging Face Image feature
        struct = {image.type.field(i).name: part for i, part in enumerate(image.flatten())}
        paths = struct.get("path")
        encoded = struct.get("bytes")
        if encoded is not None and encoded.null_count < len(encoded):
            keys = paths.to_pylist() if paths is not None else [None] * len(table)
            return Encoded(encoded, _unique(keys, path), labels, classes)
        if paths is None:
            raise DataError(f"{path}: column {image_name} holds neither bytes nor path")
        image = paths
    if pa.types.is_binary(image.type) or pa.types.is_large_binary(image.type):
        return Encoded(image, _unique([None] * len(table), path), labels, classes)
    if pa.types.is_string(image.type) or pa.types.is_large_string(image.type):
        return Files(path.parent, [str(p) for p in image.to_pylist()], labels, classes)
    raise DataError(f"{path}: column {image_name} holds {image.type}, not bytes or paths")


def _column(table: pa.Table, known: tuple[str, ...], path: Path, what: str) -> str:
    for name in known:
        for column in table.column_names:
            if column.lower() == name:
                return str(column)
    raise DataError(
        f"{path}: no {what} column; it has {', '.join(table.column_names)}, and one of "
        f"{', '.join(known)} is needed"
    )


def _unique(keys: list[str | None], path: Path) -> list[str]:
    """Keys that a person can find: the path in the table, or the table's name and the row."""
    return [key or f"{path.name}#{row}" for row, key in enumerate(keys)]


def _labels(table: pa.Table, name: str, path: Path) -> tuple[Labels, tuple[str, ...]]:
    column = table[name]
    values = column.to_pylist()
    if unlabelled := sum(value is None or value == "" for value in values):
        raise DataError(f"{path}: column {name} has {unlabelled} rows without a label")
    names = _feature_names(table, name, path)
    if names is not None and pa.types.is_integer(column.type):
        if outside := [v for v in values if not 0 <= v < len(names)]:
            raise DataError(f"{path}: label {outside[0]} is not one of the {len(names)} named classes")
        words = [names[v] for v in values]
    else:
        words = [str(v) for v in values]
    classes = tuple(sorted(set(words)))
    position = {word: i for i, word in enumerate(classes)}
    return np.array([position[word] for word in words], dtype=np.int64), classes


def _feature_names(table: pa.Table, column: str, path: Path) -> list[str] | None:
    """Class names in the schema's Hugging Face metadata."""
    metadata: dict[bytes, bytes] = table.schema.metadata or {}
    if b"huggingface" not in metadata:
        return None
    try:
        info: dict[str, Any] = json.loads(metadata[b"huggingface"]).get("info") or {}
    except (ValueError, AttributeError) as error:
        raise DataError(f"{path}: its Hugging Face metadata cannot be read ({error})") from None
    feature = (info.get("features") or {}).get(column) or {}
    names: list[str] | None = feature.get("names")
    return names


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


def _check_classes(pictures: Pictures, where: str, least: int) -> None:
    """Two classes or more, each with `least` pictures, so that each split off leaves one to train."""
    counts = np.bincount(pictures.labels, minlength=len(pictures.classes))
    if empty := [name for name, n in zip(pictures.classes, counts, strict=True) if n == 0]:
        raise DataError(
            f"{where}: class {', '.join(map(repr, empty[:5]))} has no pictures. Add some, or remove "
            f"the folder (files that count end in {' '.join(sorted(SUFFIXES)[:6])} ...)"
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
