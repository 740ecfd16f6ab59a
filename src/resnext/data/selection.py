"""Some classes of a large set as a set of their own: tables that name files, or hold bytes, of the old one.

So ImageNet-5K comes out of ImageNet-22K: the 1,000 classes and the 4,000 others with most pictures (Xie et
al. 2017, section 5.2).
"""

from __future__ import annotations

import io
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from resnext.data.decode import DataError, readable
from resnext.data.pictures import Pictures
from resnext.data.sources import read_parts

#: Pictures that are held in memory at once.
TOGETHER = 4096


@dataclass(frozen=True)
class Selection:
    """What to take of a large set: the classes `keep` (all if None), so many `others`, those with most
    pictures, and of each class at most `each` pictures to train on, the first ones.

    Only pictures of `keep` are judged; they become the split `judged`.
    """

    keep: frozenset[str] | None = None
    others: int = 0
    each: int | None = None
    judged: Literal["val", "test"] = "test"


def select_classes(data: str, out: Path, selection: Selection, judged: str | None = None) -> tuple[int, int]:
    """Write to the folder `out` the set that `selection` takes of `data`; return its numbers of pictures to
    train on and to judge.

    Trained on is what `data` trains on, or all of it where it has no splits. Judged are pictures of the set
    `judged`, or of `data` itself: of its test split, else of its val. Raises `DataError`.
    """
    if out.exists():
        raise DataError(f"{out}: exists already; say another folder")
    parts = read_parts(data)
    train = parts.get("train", parts.get(None))
    if train is None:
        raise DataError(f"{data}: no train split; found only {', '.join(map(str, parts))}")
    keep = frozenset(train.classes) if selection.keep is None else selection.keep
    classes = keep | _largest(train, keep, selection.others, data)
    tested = _judged(judged or data)
    aside = out.with_name(out.name + ".part")
    aside.mkdir(parents=True, exist_ok=True)
    try:
        written = (
            _write(train, classes, selection.each, aside / "train.parquet"),
            _write(tested, keep, None, aside / f"{selection.judged}.parquet"),
        )
        os.replace(aside, out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return written


def _largest(train: Pictures, keep: frozenset[str], others: int, data: str) -> frozenset[str]:
    """The `others` classes besides `keep` that have most pictures; of equally large ones the first by
    name."""
    if lacking := sorted(keep - set(train.classes)):
        raise DataError(
            f"{data}: has no class {lacking[0]!r}, one of {len(lacking)} to keep that it lacks; "
            f"its classes are called like {train.classes[0]!r}. Where they are folders, link it there from "
            "the set that has it"
        )
    counts = np.bincount(train.labels, minlength=len(train.classes))
    ranked = sorted(range(len(counts)), key=lambda i: (-counts[i], train.classes[i]))
    most = [train.classes[i] for i in ranked if train.classes[i] not in keep]
    if len(most) < others:
        raise DataError(f"{data}: has {len(most)} classes besides those to keep, not {others}")
    return frozenset(most[:others])


def _judged(data: str) -> Pictures:
    parts = read_parts(data)
    tested = parts.get("test", parts.get("val"))
    if tested is None:
        raise DataError(f"{data}: has neither test nor val to judge on")
    return tested


def _write(pictures: Pictures, classes: frozenset[str], each: int | None, path: Path) -> int:
    """The pictures of `classes`, or the first `each` of every one, as a table at `path`: how many they
    are."""
    places = [np.flatnonzero(pictures.labels == i) for i, c in enumerate(pictures.classes) if c in classes]
    chosen = np.sort(np.concatenate([np.empty(0, np.int64), *(own[:each] for own in places)]))
    if len(chosen) == 0:
        raise DataError(f"{path.stem}: not one picture is of the {len(classes)} classes to keep")
    in_files = all(pictures.file(int(i)) is not None for i in chosen)
    kind = pa.string() if in_files else pa.struct({"bytes": pa.binary(), "path": pa.string()})
    with pq.ParquetWriter(path, pa.schema({"image": kind, "label": pa.string()})) as writer:
        for start in range(0, len(chosen), TOGETHER):
            some = chosen[start : start + TOGETHER]
            image = [_file(pictures, int(i)) if in_files else _bytes(pictures, int(i)) for i in some]
            labels = [pictures.classes[label] for label in pictures.labels[some]]
            writer.write_table(pa.table({"image": pa.array(image, kind), "label": labels}))
    return len(chosen)


def _file(pictures: Pictures, index: int) -> str:
    return str(Path(str(pictures.file(index))).resolve())


def _bytes(pictures: Pictures, index: int) -> dict[str, Any]:
    """The picture as it is stored, or as PNG."""
    stored = pictures.stored(index)
    if stored is None:
        file = io.BytesIO()
        pictures.open(index).save(file, "PNG")
        stored = file.getvalue()
    return {"bytes": stored, "path": readable(pictures.keys[index])}
