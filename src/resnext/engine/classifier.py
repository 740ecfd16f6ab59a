"""`Classifier`: a network with its contract, in torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from resnext.contract import Contract
from resnext.data.batches import Crops, evaluation_batches, on_device
from resnext.data.decode import BadPicture, readable
from resnext.data.pictures import Loose, Pictures
from resnext.models import Network
from resnext.weights import read_weights, tell_unfinished

#: How a picture is looked at when it is judged, and the probabilities averaged: as the contract says;
#: mirrored too; four corners and the centre, each mirrored too (the ten crops of Krizhevsky et al. 2012).
Views = Literal["one", "flip", "ten"]
CROPS_OF_VIEWS: dict[Views, Crops] = {"one": "centre", "flip": "centre", "ten": "five"}


class ModelError(Exception):
    """MODEL names nothing that can be opened, or is asked for what it cannot do."""


@dataclass(frozen=True)
class Prediction:
    """The likeliest class of one picture, its probability, and all classes from likely to unlikely.

    `rejected`: the probability is under the contract's threshold, so the answer is "none of these".
    """

    key: str
    label: str
    probability: float
    ranking: tuple[tuple[str, float], ...]
    rejected: bool = False


@dataclass(frozen=True)
class Answers:
    """Of one batch: `probabilities` (n, classes) of the pictures at `indices`; `bad` could not be read."""

    indices: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    bad: tuple[BadPicture, ...]


class Classifier:
    """`network` under `contract`: pictures in, probabilities out. Computes in float32; GPUs may round
    convolutions to TensorFloat-32."""

    def __init__(self, network: Network, contract: Contract, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.network = network.to(self.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.contract = contract

    @torch.inference_mode()
    def classify(
        self,
        pictures: Pictures,
        batch: int = 64,
        workers: int = 0,
        views: Views = "one",
        share: tuple[int, int] = (0, 1),
    ) -> Iterator[Answers]:
        """Answers for all `pictures` in order, `batch` crops at a time, at constant memory.

        `share` (rank, size) leaves every size-th batch to this process.
        """
        if workers < 0:
            raise ModelError(f"--workers {workers}: must be at least 0")
        calibration, classes = self.contract.calibration, len(self.contract.classes)
        temperature = 1.0 if calibration is None else calibration.temperature
        if views not in CROPS_OF_VIEWS:
            raise ModelError(f"--views {views}: must be one of {', '.join(CROPS_OF_VIEWS)}")
        crops = CROPS_OF_VIEWS[views]
        batch = max(1, batch // 5) if crops == "five" else batch
        batches = evaluation_batches(pictures, self.contract.resize, batch, workers, crops, share)
        for data in on_device(batches, self.contract, self.device):
            if len(data.indices):
                seen = [data.pictures] if views == "one" else [data.pictures, data.pictures.flip(-1)]
                answers = [(self.network(x).float() / temperature).softmax(1) for x in seen]
                by_view = torch.stack(answers).view(len(seen), len(data.indices), -1, classes)
                probabilities = by_view.mean((0, 2)).cpu().numpy()
            else:
                probabilities = np.empty((0, classes), np.float32)
            yield Answers(data.indices.numpy(), probabilities, data.bad)

    def predict(self, pictures: Sequence[str | Path | bytes | Image.Image]) -> list[Prediction]:
        """One prediction a picture, in order. Raises `BadPicture` for one that cannot be read."""
        if isinstance(pictures, str | bytes | Path | Image.Image):
            raise TypeError("pictures must be a list, as in predict([picture])")
        loose = Loose(pictures)
        predictions = []
        for answers in self.classify(loose):
            if answers.bad:
                raise answers.bad[0]
            predictions += self.name(loose, answers)
        return predictions

    def name(self, pictures: Pictures, answers: Answers) -> list[Prediction]:
        """`answers` about `pictures` in words."""
        classes, calibration = self.contract.classes, self.contract.calibration
        threshold = 0.0 if calibration is None else calibration.reject_below
        predictions = []
        for index, row in zip(answers.indices, answers.probabilities, strict=True):
            ranking = tuple((classes[i], float(row[i])) for i in np.argsort(-row, kind="stable"))
            label, probability = ranking[0]
            key, rejected = readable(pictures.keys[int(index)]), probability < threshold
            predictions.append(Prediction(key, label, probability, ranking, rejected))
        return predictions


def open_model(model: str | Path, device: torch.device | str = "cpu") -> Classifier:
    """The classifier in a run folder, a hub folder or a weights file with its contract.

    Raises `ModelError` where there is none, `WeightsError` where it does not fit.
    """
    path = Path(model)
    if not path.exists():
        raise ModelError(
            f"{model}: there is no such model; give a run folder, a hub folder or a weights file"
        )
    if (path / "model").is_dir():
        path = path / "model"
    elif hint := tell_unfinished(path):
        raise ModelError(hint)
    elif path.is_dir() and not (path / "config.json").exists():
        raise ModelError(f"{model}: neither a run folder nor a hub folder (no model/, no config.json)")
    network, contract = read_weights(path)
    return Classifier(network, contract, device)
