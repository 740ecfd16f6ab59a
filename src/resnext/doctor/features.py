"""What a model makes of the images: features of each, and the axes on which these differ most."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from resnext.doctor.examined import ExaminedSet
from resnext.engine import Classifier
from resnext.engine.embedding import embed_batches

#: Images that the axes are computed from, and number of axes.
SAMPLE, AXES = 20_000, 8


def compute_features(
    examined: ExaminedSet, classifier: Classifier, workers: int = 0
) -> Generator[tuple[int, int], None, tuple[NDArray[np.float32], NDArray[np.bool_]]]:
    """Features of all images, float32 (N, features), in a file that vanishes with them; yields how many are
    done.

    Returns:
        The features, zeros where an image cannot be read, and whether each could be (N,).
    """
    shape = len(examined), classifier.network.num_features
    with tempfile.TemporaryFile() as file:
        features: NDArray[np.float32] = np.memmap(file, np.float32, "w+", shape=shape)
    is_known = np.zeros(shape[0], np.bool_)
    for first, _, images in examined.parts():
        with closing(embed_batches(classifier, images, workers=workers)) as batches:
            done = first
            for batch in batches:
                features[first + batch.indices] = batch.features
                is_known[first + batch.indices] = True
                done += len(batch.indices) + len(batch.bad)
                yield done, shape[0]
    return features, is_known


def project(features: NDArray[np.float32], is_known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Features on the axes of largest variance, float32 (N, axes); nan where they are not known."""
    known = np.flatnonzero(is_known)
    drawn = np.sort(np.random.default_rng(0).choice(known, min(SAMPLE, len(known)), replace=False))
    sample = np.asarray(features[drawn], np.float64)
    mean = sample.mean(axis=0)
    values, vectors = np.linalg.eigh((sample - mean).T @ (sample - mean))
    axes = vectors[:, np.argsort(-values)[:AXES]].astype(np.float32)
    projected = np.full((len(features), axes.shape[1]), np.nan, np.float32)
    for start in range(0, len(known), SAMPLE):
        some = known[start : start + SAMPLE]
        projected[some] = (features[some] - mean.astype(np.float32)) @ axes
    return projected
