"""Trained runs, and the images that judge them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from resnext.data.images import ImageDataset
from resnext.data.sources import read_split, read_splits_by_name
from resnext.engine import Classifier, TorchEngine
from resnext.engine.openers import open_network
from resnext.run import RunFolder
from resnext.run.documents import EnvironmentDocument


def judged(run: Path) -> tuple[Classifier, str, ImageDataset]:
    """The network of a run at temperature 1, the split that judges it, and its images: those of test, or of
    val where there is no test."""
    network, contract = open_network(run)
    data = RunFolder(run).read_document("environment.json", EnvironmentDocument).data
    splits = read_splits_by_name(data)
    split = "test" if "test" in splits else "val"
    _, images = read_split(data, contract.classes, split, contract.provenance.fingerprint)
    return Classifier(TorchEngine(network, replace(contract, calibration=None))), split, images


def answers(classifier: Classifier, images: ImageDataset) -> NDArray[np.float32]:
    with closing(classifier.classify(images)) as batches:
        return np.concatenate([one.probabilities for one in batches])
