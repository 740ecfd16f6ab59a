"""Embeddings: what the classifier of a network would receive, for any number of images, in a file."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from resnext.data.decode import BadImage, DataError
from resnext.data.images import ImageDataset
from resnext.data.loaders import evaluation_batches, on_device
from resnext.data.workers import worker_errors
from resnext.engine.classifier import Classifier
from resnext.engine.embedding_file import finished_rows, open_partial
from resnext.engine.embedding_images import ImagesToEmbed
from resnext.engine.embedding_origin import BATCH, Origin
from resnext.recipe.options import OnBad, check_choice
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
class EmbeddingSummary:
    """What `embed_images` has written.

    Attributes:
        path: The Parquet file.
        rows: Its rows, one for each image that could be read.
        features: Numbers in an embedding.
        images: Images in all.
        resumed_at: Images that an earlier, stopped run had done.
        bad: Errors of the images that this run left out.
        notes: Sentences that tell the user what of the data was not read.
    """

    path: Path
    rows: int
    features: int
    images: int
    resumed_at: int = 0
    bad: tuple[BadImage, ...] = ()
    notes: tuple[str, ...] = ()


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
    images: ImagesToEmbed,
    out: Path,
    resume: bool = False,
    on_bad: OnBad = "fail",
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> EmbeddingSummary:
    """Write the embedding of each image to a Parquet file, at constant memory.

    Rows are kept in a file beside it, whose name ends in .partial, until all are there. A run that was
    stopped or killed at any moment goes on from there: no row is lost, and none comes twice.

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
    check_choice("--on-bad", on_bad, OnBad)
    origin, total = Origin.of(classifier), len(images)
    if resume and (rows := finished_rows(out, origin, images)) is not None:
        return EmbeddingSummary(out, rows, origin.features, total, total, notes=images.notes)
    bad: list[BadImage] = []
    with open_partial(out, origin, images, resume) as partial:
        resumed_at = partial.next_index
        if progress is not None:
            progress(resumed_at, total)
        for first, rest in images.rest(resumed_at, partial.batch):
            with closing(embed_batches(classifier, rest, partial.batch, workers)) as batches:
                done = first
                for one in batches:
                    if one.bad and on_bad == "fail":
                        raise one.bad[0]
                    bad += one.bad
                    partial.add(first + one.indices, one.features)
                    done += len(one.indices) + len(one.bad)
                    if progress is not None:
                        progress(done, total)
        if partial.rows == 0:
            raise DataError(f"{out}: none of {total:,} images can be read; repair them, or give others")
        partial.finish()
        return EmbeddingSummary(
            out, partial.rows, origin.features, total, resumed_at, tuple(bad), images.notes
        )
