"""Embeddings: what the classifier of a network would receive, for any number of images, in a file."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from resnext.data.decode import BadImage
from resnext.data.images import ImageDataset
from resnext.data.loaders import evaluation_batches, on_device
from resnext.data.workers import worker_errors
from resnext.engine.classifier import Classifier
from resnext.engine.image_list import ImageList
from resnext.engine.kept_rows import TableFormat
from resnext.engine.origin import BATCH, Origin
from resnext.engine.tables import BatchRows, TableSummary, write_table
from resnext.recipe.options import OnBad
from resnext.training.loop import Diverged


@dataclass(frozen=True)
class BatchEmbedding:
    """Embeddings of one batch of images.

    Attributes:
        indices: Places of the images in their data set, int64 (B,).
        features: float32 (B, features).
        bad: Errors of the images that could not be read and are therefore missing.
    """

    indices: NDArray[np.int64]
    features: NDArray[np.float32]
    bad: tuple[BadImage, ...]


@dataclass(frozen=True)
class EmbeddingSummary(TableSummary):
    """What `embed_images` has written; `features` are the numbers in an embedding."""

    features: int = 0


@dataclass(frozen=True)
class EmbeddingFormat(TableFormat):
    """Parquet: key, split, label and embedding, a list of `features` float32."""

    features: int

    @property
    def about(self) -> tuple[str, ...]:
        return ("key", "split", "label")

    @property
    def computed(self) -> list[tuple[str, pa.DataType]]:
        return [("embedding", pa.list_(pa.float32()))]

    @property
    def width(self) -> int:
        return self.features

    def write(self, tables: Iterator[pa.Table], file: BinaryIO, metadata: dict[bytes, bytes]) -> None:
        schema = pa.schema(self.columns, metadata)
        with pq.ParquetWriter(file, schema, use_dictionary=["split", "label"]) as writer:
            for table in tables:
                writer.write_table(table.cast(schema))


def _to_lists(rows: NDArray[np.float32]) -> pa.Array:
    """A column of lists, one for each of `rows` (N, width)."""
    offsets = np.arange(len(rows) + 1, dtype=np.int32) * rows.shape[1]
    return pa.ListArray.from_arrays(offsets, rows.reshape(-1))


@torch.inference_mode()
def embed_batches(
    classifier: Classifier, images: ImageDataset, batch: int = BATCH, workers: int = 0
) -> Generator[BatchEmbedding, None, None]:
    """Embeddings of all `images`, batch by batch in their order, at constant memory.

    Args:
        classifier: The network and its contract, by which images are prepared.
        images: The images.
        batch: Images in a batch.
        workers: Number of decoding processes; 0 decodes in this one.

    Raises:
        WorkerError: The decoding processes cannot start, or one of them died.
        Diverged: The network's outputs are not finite.
    """
    network, images = classifier.network, images.in_range(classifier.contract.grey)
    loader = evaluation_batches(images, classifier.contract.resize, batch, workers)
    with worker_errors(), closing(loader) as batches:
        for loaded in on_device(batches, classifier.contract, classifier.device):
            features = np.empty((0, network.num_features), np.float32)
            if len(loaded.indices):
                maps = network.forward_features(loaded.images)
                features = network.forward_head(maps, pre_logits=True).float().cpu().numpy()
            if not np.isfinite(features).all():
                raise Diverged(f"{network.arch.name}: its features are not finite: its weights have diverged")
            yield BatchEmbedding(loaded.indices.numpy(), features, loaded.bad)


def embed_images(
    classifier: Classifier,
    images: ImageList,
    out: Path,
    resume: bool = False,
    on_bad: OnBad = "fail",
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> EmbeddingSummary:
    """Write the embedding of each image to a Parquet file, at constant memory.

    See `write_table`.

    Args:
        classifier: The network and its contract.
        images: The images.
        out: File to write.
        resume: Go on where a run was stopped, if one was.
        on_bad: What to do about images that cannot be read: `fail`, or `skip` them.
        workers: Decoding processes.
        progress: Called with the numbers of images done and in all.

    Raises:
        BadImage: An image cannot be read, and `on_bad` is "fail".
        DataError: No image can be read; or the rows so far are damaged, or of images that have changed.
        ModelError: The rows so far are of another model.
        UsageError: There are rows of a stopped run and `resume` is false, or another process writes them.
    """
    origin = Origin.of_embeddings(classifier)

    def compute(rest: ImageDataset) -> Generator[BatchRows, None, None]:
        with closing(embed_batches(classifier, rest, origin.batch, workers)) as batches:
            for one in batches:
                yield BatchRows(one.indices, {"embedding": _to_lists(one.features)}, one.bad)

    format = EmbeddingFormat(origin.features)
    summary = write_table(out, format, origin, images, compute, resume, on_bad, progress)
    return EmbeddingSummary(**vars(summary), features=origin.features)
