"""Predictions of any number of images, in a file: a run that was stopped goes on, and shards join."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

from resnext.data.images import ImageDataset
from resnext.engine.classifier import Classifier
from resnext.engine.image_list import ImageList
from resnext.engine.origin import BATCH, Origin
from resnext.engine.prediction_formats import FORMATS, choose_columns
from resnext.engine.tables import BatchRows, TableSummary, write_table
from resnext.errors import UsageError
from resnext.recipe.options import OnBad, Views


def predict_images(
    classifier: Classifier,
    images: ImageList,
    out: Path,
    top: int | None = None,
    views: Views = "one",
    resume: bool = False,
    on_bad: OnBad = "fail",
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> TableSummary:
    """Write the prediction for each image to a file, at constant memory.

    See `write_table`.

    Args:
        classifier: The network and its contract.
        images: The images.
        out: File to write: .csv, .jsonl or .parquet.
        top: How many of the likeliest classes a row holds; the probabilities of all if None.
        views: Views of each image whose probabilities are averaged.
        resume: Go on where a run was stopped, if one was.
        on_bad: What to do about images that cannot be read: `fail`, or `skip` them.
        workers: Decoding processes.
        progress: Called with the numbers of images done and in all.

    Raises:
        BadImage: An image cannot be read, and `on_bad` is "fail".
        DataError: No image can be read; or the rows so far are damaged, or of images that have changed.
        ModelError: The rows so far are of another model.
        UsageError: There are rows of a stopped run and `resume` is false, another process writes them, or
            the suffix of `out` is unknown.
    """
    if out.suffix not in FORMATS:
        raise UsageError(f"--out {out}: must end in {', '.join(FORMATS)}")
    format = FORMATS[out.suffix](choose_columns(classifier.contract.classes, top))
    said = {"views": f"--views {views}", "columns": "--probabilities all" if top is None else f"--top {top}"}
    origin = Origin.of_predictions(classifier, classifier.batch(BATCH, views), said)

    def compute(rest: ImageDataset) -> Generator[BatchRows, None, None]:
        with closing(classifier.classify(rest, BATCH, workers, views)) as batches:
            for one in batches:
                yield BatchRows(one.indices, format.compute(classifier.to_predictions(rest, one)), one.bad)

    return write_table(out, format, origin, images, compute, resume, on_bad, progress)
