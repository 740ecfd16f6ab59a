"""`Explanation`: where in an image the evidence for its predicted class lies, by class activation maps.

Global pooling and a linear head make the map exact: its mean plus the bias of the class is the logit (Zhou et
al. 2016, arXiv 1512.04150).
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from resnext.contract import Contract
from resnext.data.decode import BadImage
from resnext.data.images import ImageDataset
from resnext.data.loaders import evaluation_batches, on_device
from resnext.data.workers import worker_errors
from resnext.engine.classifier import BatchPrediction, Classifier, Prediction
from resnext.engine.engine import ModelError
from resnext.engine.origin import BATCH

#: Colours of evidence from none to the most of an image, RGB, and how much they hide of it.
HEAT = ((0, 0, 0), (120, 28, 109), (237, 105, 37), (252, 255, 164))
LEAST_ALPHA, MOST_ALPHA = 0.35, 0.75


@dataclass(frozen=True)
class Explanation:
    """Why an image got its class.

    Attributes:
        prediction: The answer.
        seen: What the network saw of the image, RGB.
        evidence: Class activation map of the predicted class, float32 (h, w): positive where the image speaks
            for the class, negative where it speaks against it.
    """

    prediction: Prediction
    seen: Image.Image
    evidence: NDArray[np.float32]

    def overlay(self) -> Image.Image:
        """`seen`, with the evidence for the class over it: bright where most of it is, dark where none is."""
        positive = np.maximum(self.evidence, 0)
        share = positive / max(float(positive.max()), 1e-12)
        large = Image.fromarray(share.astype(np.float32)).resize(self.seen.size, Image.Resampling.BILINEAR)
        level = np.clip(np.asarray(large), 0, 1)[..., None]
        places = np.linspace(0, 1, len(HEAT))
        colour = np.stack(
            [np.interp(level[..., 0], places, channel) for channel in zip(*HEAT, strict=True)], -1
        )
        alpha = LEAST_ALPHA + (MOST_ALPHA - LEAST_ALPHA) * level
        mixed = (1 - alpha) * np.asarray(self.seen, np.float64) + alpha * colour
        return Image.fromarray(mixed.round().astype(np.uint8))


@torch.inference_mode()
def explain_images(
    classifier: Classifier, images: ImageDataset, workers: int = 0
) -> Generator[Explanation | BadImage, None, None]:
    """The explanation of each image, in order; for an image that cannot be read, its error.

    Args:
        classifier: The network and its contract. An exported file must have been written `--with cam`.
        images: The images.
        workers: Decoding processes.

    Raises:
        ModelError: The classifier gives no class activation maps.
    """
    check_explains(classifier)
    contract, engine = classifier.contract, classifier.engine
    images = images.in_range(contract.grey)
    loader = evaluation_batches(images, contract.resize, classifier.batch(BATCH), workers)
    with worker_errors(), closing(loader) as batches:
        for loaded in on_device(batches, contract, classifier.device):
            if len(loaded.indices):
                maps = engine.activation_maps(loaded.images).cpu().numpy()
                probabilities, familiarity = (one.cpu().numpy() for one in engine.answer(loaded.images))
                batch = BatchPrediction(loaded.indices.numpy(), probabilities, familiarity, ())
                seen = _shown(loaded.images, contract)
                for number, one in enumerate(classifier.to_predictions(images, batch)):
                    label = contract.classes.index(one.label)
                    yield Explanation(one, Image.fromarray(seen[number]), maps[number, label])
            yield from loaded.bad


def check_explains(classifier: Classifier) -> None:
    """Raise `ModelError` if `classifier` gives no class activation maps."""
    engine = classifier.engine
    if engine.takes == "images":
        raise ModelError(
            f"{engine.model}: cannot be explained, since it prepares images itself; export it with --with "
            "cam, and without --preprocess inside"
        )
    if "cam" not in engine.outputs:
        raise ModelError(f"{engine.model}: has no class activation maps; export it again with --with cam")


def _shown(pixels: Tensor, contract: Contract) -> NDArray[np.uint8]:
    """Normalised pixels (B, 3, H, W) as they were before, uint8 (B, H, W, 3)."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (contract.mean, contract.std))
    levels = (pixels.cpu().float() * std + mean) * 255
    shown: NDArray[np.uint8] = levels.round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    return shown


def places_in(folder: Path, paths: Sequence[str]) -> list[Path]:
    """Where in `folder` to write a PNG about each of the files `paths`: with their folders, as far as they
    differ in them.

    >>> [str(path) for path in places_in(Path("maps"), ["new/cat/1.jpg", "new/dog/1.jpg"])]
    ['maps/cat/1.jpg.png', 'maps/dog/1.jpg.png']
    """
    absolute = [os.path.abspath(path) for path in paths]
    root = os.path.commonpath([os.path.dirname(path) for path in absolute]) if absolute else ""
    return [folder / f"{os.path.relpath(path, root)}.png" for path in absolute]
