"""Some classes of a large data set as a set of their own: tables that name its files or hold their bytes.

ImageNet-5K is made from ImageNet-22K in this way: the 1,000 classes and the 4,000 others with most images
(Xie et al. 2017, section 5.2).
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

from resnext.data.class_names import one_form
from resnext.data.decode import DataError
from resnext.data.images import ImageDataset
from resnext.data.sources import read_splits_by_name
from resnext.errors import UsageError
from resnext.names import encodable

#: Images that are held in memory at once.
ROWS_IN_MEMORY = 4096


@dataclass(frozen=True)
class Selection:
    """What to take from a large data set.

    Attributes:
        classes: Classes to keep; None keeps all. Only their images are evaluated.
        num_others: Number of further classes to train on, those with most images.
        max_per_class: Most images of each class to train on, the first ones; None takes all.
        eval_split: Split that holds the images to evaluate.

    Raises:
        UsageError: A number or the split cannot be used.
    """

    classes: frozenset[str] | None = None
    num_others: int = 0
    max_per_class: int | None = None
    eval_split: Literal["val", "test"] = "test"

    def __post_init__(self) -> None:
        if self.num_others < 0:
            raise UsageError(f"--others {self.num_others}: must be at least 0")
        if self.eval_split not in ("val", "test"):
            raise UsageError(f"--judged {self.eval_split}: must be val or test")


def select_classes(
    data: str, out: Path, selection: Selection, eval_data: str | None = None
) -> tuple[int, int]:
    """Write the part of a data set that `selection` describes to the folder `out`.

    Args:
        data: The large data set. Its train split is used, or all of it where it has no splits.
        out: Folder to create.
        selection: What to take.
        eval_data: Data set of the images to evaluate, `data` itself if None. Its test split is used, or
            else its val split.

    Returns:
        Number of images to train on, and to evaluate.

    Raises:
        DataError: If `out` exists, or a split or class is missing.
    """
    if out.exists():
        raise DataError(f"{out}: exists already; choose another folder")
    splits = read_splits_by_name(data)
    train = splits.get("train", splits.get(None))
    if train is None:
        raise DataError(f"{data}: no train split; found only {', '.join(map(str, splits))}")
    spelt = {one_form(name): name for name in train.classes}
    classes = frozenset(spelt) if selection.classes is None else frozenset(map(one_form, selection.classes))
    others = _largest(train, classes, selection.num_others, data)
    judged, kept = ({form: spelt[form] for form in forms} for forms in (classes, classes | others))
    evaluated = _read_eval_split(eval_data or data)
    temporary = out.with_name(out.name + ".part")
    temporary.mkdir(parents=True, exist_ok=True)
    try:
        counts = (
            _write(train, kept, selection.max_per_class, temporary / "train.parquet"),
            _write(evaluated, judged, None, temporary / f"{selection.eval_split}.parquet"),
        )
        os.replace(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return counts


def _largest(train: ImageDataset, excluded: frozenset[str], count: int, data: str) -> frozenset[str]:
    """The `count` largest classes that are not `excluded`; of equally large ones the first by name. Names are
    in their common form."""
    forms = [one_form(name) for name in train.classes]
    if missing := sorted(excluded - set(forms)):
        raise DataError(
            f"{data}: has no class {missing[0]!r} (it lacks {len(missing)} of the classes to keep); its own "
            f"have names like {train.classes[0]!r}. If classes are folders, link the missing ones into it "
            "from the set that has them"
        )
    sizes = np.bincount(train.labels, minlength=len(train.classes))
    ranked = sorted(range(len(sizes)), key=lambda i: (-sizes[i], train.classes[i]))
    others = [forms[i] for i in ranked if forms[i] not in excluded]
    if len(others) < count:
        raise DataError(
            f"{data}: has {len(others)} classes besides those to keep, not {count}; "
            f"say --others {len(others)}"
        )
    return frozenset(others[:count])


def _read_eval_split(data: str) -> ImageDataset:
    splits = read_splits_by_name(data)
    images = splits.get("test", splits.get("val"))
    if images is None:
        raise DataError(f"{data}: has neither test nor val to evaluate on; add a folder test/ or val/")
    return images


def _write(images: ImageDataset, names: dict[str, str], max_per_class: int | None, path: Path) -> int:
    """Write the first `max_per_class` images of some classes as a table; return how many they are.

    Args:
        images: The images to choose from.
        names: What each class is called in the table, by the common form of its name.
        max_per_class: Most images of a class; None takes all.
        path: The table.
    """
    forms = [one_form(name) for name in images.classes]
    by_class = [np.flatnonzero(images.labels == i) for i, form in enumerate(forms) if form in names]
    first = [members[:max_per_class] for members in by_class]
    chosen = np.sort(np.concatenate([np.empty(0, np.int64), *first]))
    if len(chosen) == 0:
        raise DataError(f"{path.stem}: not one image is of the {len(names)} classes to keep")
    in_files = all(images.path(int(i)) is not None for i in chosen)
    column_type = pa.string() if in_files else pa.struct({"bytes": pa.binary(), "path": pa.string()})
    with pq.ParquetWriter(path, pa.schema({"image": column_type, "label": pa.string()})) as writer:
        for start in range(0, len(chosen), ROWS_IN_MEMORY):
            rows = chosen[start : start + ROWS_IN_MEMORY]
            column = [_path(images, int(i)) if in_files else _encoded(images, int(i)) for i in rows]
            labels = [names[forms[label]] for label in images.labels[rows]]
            writer.write_table(pa.table({"image": pa.array(column, column_type), "label": labels}))
    return len(chosen)


def _path(images: ImageDataset, index: int) -> str:
    return str(Path(str(images.path(index))).resolve())


def _encoded(images: ImageDataset, index: int) -> dict[str, Any]:
    """The image as it is stored, or as PNG where only its pixels are known."""
    encoded = images.read_bytes(index)
    if encoded is None:
        file = io.BytesIO()
        images.open(index).save(file, "PNG")
        encoded = file.getvalue()
    return {"bytes": encoded, "path": encodable(images.keys[index])}
