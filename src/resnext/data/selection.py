"""Some classes of a large set as a set of their own: tables that name files, or hold bytes, of the old one.

So ImageNet-5K comes out of ImageNet-22K: the 1,000 classes and the 4,000 others with most pictures (Xie et
al. 2017, section 5.2).
"""

from __future__ import annotations

import io
import os
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from resnext.data.decode import DataError
from resnext.data.pictures import Pictures, readable
from resnext.data.sources import read_parts


def select_classes(
    data: str, out: Path, keep: Collection[str], others: int = 0, judged: str | None = None
) -> tuple[int, int]:
    """Write to the folder `out` the set of the classes `keep` of `data`, and of so many `others`, those with
    most pictures; return its numbers of pictures to train on and to test.

    Trained on is what `data` trains on, or all of it where it has no splits. Tested are the pictures of
    `keep` in the set `judged`, or in `data` itself: those of its test split, else of its val. Raises
    `DataError`.
    """
    if out.exists():
        raise DataError(f"{out}: exists already; say another folder")
    parts = read_parts(data)
    train = parts.get("train") or parts.get(None)
    if train is None:
        raise DataError(f"{data}: no train split; found only {', '.join(map(str, parts))}")
    if lacking := sorted(set(keep) - set(train.classes)):
        raise DataError(
            f"{data}: has no class {lacking[0]!r}, one of {len(lacking)} to keep that it lacks; "
            f"its classes are called like {train.classes[0]!r}"
        )
    counts = np.bincount(train.labels, minlength=len(train.classes))
    ranked = sorted(range(len(counts)), key=lambda i: (-counts[i], train.classes[i]))
    most = [train.classes[i] for i in ranked if train.classes[i] not in keep]
    if len(most) < others:
        raise DataError(f"{data}: has {len(most)} classes besides those to keep, not {others}")
    tested = _judged(judged or data)
    aside = out.with_name(out.name + ".part")
    aside.mkdir(parents=True, exist_ok=True)
    written = (
        _write(train, {*keep, *most[:others]}, aside / "train.parquet"),
        _write(tested, set(keep), aside / "test.parquet"),
    )
    os.replace(aside, out)
    return written


def _judged(data: str) -> Pictures:
    parts = read_parts(data)
    tested = parts.get("test") or parts.get("val")
    if tested is None:
        raise DataError(f"{data}: has neither test nor val to test on")
    return tested


def _write(pictures: Pictures, classes: set[str], path: Path) -> int:
    """The pictures of `classes` as a table at `path`: how many they are."""
    chosen = np.flatnonzero([name in classes for name in pictures.classes])
    places = np.flatnonzero(np.isin(pictures.labels, chosen))
    if len(places) == 0:
        raise DataError(f"{path.stem}: not one picture is of the {len(classes)} classes to keep")
    files = [pictures.file(int(i)) for i in places]
    if all(files):
        image = pa.array([str(Path(str(file)).resolve()) for file in files])
    else:
        stored = [pictures.stored(int(i)) or _as_png(pictures.open(int(i))) for i in places]
        keys = [readable(pictures.keys[int(i)]) for i in places]
        image = pa.StructArray.from_arrays(
            [pa.array(stored, pa.large_binary()), pa.array(keys)], names=["bytes", "path"]
        )
    labels = [pictures.classes[label] for label in pictures.labels[places]]
    pq.write_table(pa.table({"image": image, "label": labels}), path)
    return len(places)


def _as_png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
