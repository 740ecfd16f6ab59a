"""`write_table`: rows about any number of images, in a file, at constant memory; a stopped run goes on."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from resnext.data.decode import BadImage, DataError
from resnext.data.images import ImageDataset
from resnext.engine.image_list import ImageList
from resnext.engine.kept_rows import TableFormat, finished_rows, open_partial
from resnext.engine.origin import Origin
from resnext.recipe.options import OnBad, check_choice


@dataclass(frozen=True)
class BatchRows:
    """Rows of one batch of images.

    Attributes:
        indices: Places of the images in their data set, int64 (B,).
        columns: What was computed of them, by column.
        bad: Errors of the images that could not be read and are therefore missing.
    """

    indices: NDArray[np.int64]
    columns: Mapping[str, pa.Array]
    bad: tuple[BadImage, ...]


@dataclass(frozen=True)
class TableSummary:
    """What was written.

    Attributes:
        path: The file.
        rows: Its rows, one for each image that could be read.
        images: Images in all.
        resumed_at: Images that an earlier, stopped run had done.
        bad: Errors of the images that were left out.
        notes: Sentences that tell the user what of the data was not read.
    """

    path: Path
    rows: int
    images: int
    resumed_at: int
    bad: tuple[BadImage, ...] = ()
    notes: tuple[str, ...] = ()


#: Gives rows of all images of a data set, batch by batch in their order.
Compute = Callable[[ImageDataset], Generator[BatchRows, None, None]]


def write_table(
    out: Path,
    format: TableFormat,
    origin: Origin,
    images: ImageList,
    compute: Compute,
    resume: bool,
    on_bad: OnBad,
    progress: Callable[[int, int], None] | None,
) -> TableSummary:
    """Write a row for each image.

    Rows are kept in a file beside it, whose name ends in .partial, until all are there. A run that was
    stopped or killed at any moment goes on from there: no row is lost, and none comes twice.

    Args:
        out: File to write.
        format: What its rows hold.
        origin: What they are computed with, in batches of `origin.batch`.
        images: The images.
        compute: What computes them.
        resume: Go on where a run was stopped, if one was.
        on_bad: What to do about images that cannot be read: `fail`, or `skip` them.
        progress: Called with the numbers of images done and in all.

    Raises:
        BadImage: An image cannot be read, and `on_bad` is "fail".
        DataError: No image can be read; or the rows so far are damaged, or of images that have changed.
        ModelError: The rows so far are of another model.
        UsageError: There are rows of a stopped run and `resume` is false, or another process writes them.
    """
    check_choice("--on-bad", on_bad, OnBad)
    total = len(images)
    if resume and (rows := finished_rows(out, origin, images)) is not None:
        notes = list(images.notes)
        if rows < total:
            notes += [
                f"{out}: has no row of {total - rows:,} images, which could not be read when it was made"
            ]
        return TableSummary(out, rows, total, total, notes=tuple(notes))
    with open_partial(out, format, origin, images, resume) as partial:
        resumed_at = partial.next_index
        if progress is not None:
            progress(resumed_at, total)
        for first, rest in images.rest(resumed_at, partial.batch):
            with closing(compute(rest)) as batches:
                done = first
                for one in batches:
                    if one.bad and on_bad == "fail":
                        raise one.bad[0]
                    partial.add(first + one.indices, one.columns, one.bad)
                    done += len(one.indices) + len(one.bad)
                    if progress is not None:
                        progress(done, total)
        if partial.rows == 0 and total > 0:  # a shard of few images may have none
            raise DataError(f"{out}: none of {total:,} images can be read; repair them, or give others")
        partial.finish()
        return TableSummary(out, partial.rows, total, resumed_at, tuple(partial.bad), images.notes)
