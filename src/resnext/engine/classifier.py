"""`Classifier`: a network together with its contract, in torch."""

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

from resnext.catalogue import locate
from resnext.contract import Contract
from resnext.data.decode import BadImage
from resnext.data.images import ImageDataset
from resnext.data.loaders import Crops, evaluation_batches, on_device
from resnext.data.stored_images import ImageSource, UnlabelledImages
from resnext.data.workers import worker_errors
from resnext.errors import ResnextError
from resnext.models import Network
from resnext.names import encodable
from resnext.recipe.options import Views
from resnext.training.loop import Diverged
from resnext.weights import explain_unfinished, load_network

#: Which crops of an image each of `Views` takes.
CROPS_OF_VIEWS: dict[Views, Crops] = {"one": "centre", "flip": "centre", "ten": "five"}
#: Most pixels of a batch: as many as 64 crops of 1,024 px have.
MAX_BATCH_PIXELS = 2**26


class ModelError(ResnextError):
    """A model that cannot be opened, or that cannot do what it is asked for."""

    exit_code = 2


@dataclass(frozen=True)
class Prediction:
    """The predicted class of one image.

    Attributes:
        key: Name of the image.
        label: The most probable class.
        probability: Its probability, from 0 to 1.
        ranking: (class, probability) of all classes, the most probable first.
        rejected: Whether the probability is below the threshold of the contract, so that the answer is "none
            of these".
    """

    key: str
    label: str
    probability: float
    ranking: tuple[tuple[str, float], ...]
    rejected: bool = False


@dataclass(frozen=True)
class BatchPrediction:
    """Probabilities for one batch of images.

    Attributes:
        indices: Places of the images in their data set, int64 (B,).
        probabilities: float32 (B, classes); each row sums to 1.
        bad: Errors of the images that could not be read and are therefore missing.
    """

    indices: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    bad: tuple[BadImage, ...]


class Classifier:
    """A network that takes images and gives probabilities of the classes in its contract.

    It computes in float32; GPUs may round the inputs of convolutions to TensorFloat-32.

    Args:
        network: The network; it is moved to `device` and put in evaluation mode.
        contract: Its classes, preprocessing and calibration.
        device: Where it computes.

    Raises:
        ModelError: If the contract is not that of such a network, or is not about colour images.

    >>> from resnext.arch import Architecture
    >>> from resnext.contract import Input, Provenance, Resize
    >>> from resnext.models import create
    >>> classes, size = ("cat", "dog"), Input(3, 16, 16)
    >>> contract = Contract(classes, size, Resize(16, 16), (0.5,) * 3, (0.25,) * 3, Provenance("resnet11"))
    >>> network = create(Architecture.from_name("resnet11+template=8", 2))
    >>> [prediction] = Classifier(network, contract).predict([Image.new("RGB", (20, 16))])
    >>> prediction.key, prediction.label in classes
    ('image 0', True)
    """

    def __init__(self, network: Network, contract: Contract, device: torch.device | str = "cpu") -> None:
        channels, classes = contract.input.channels, len(contract.classes)
        if (channels, classes) != (network.arch.in_channels, network.arch.classes) or channels != 3:
            own = f"{network.arch.in_channels} channels and {network.arch.classes} classes"
            raise ModelError(
                f"{network.arch.name}: has {own}, its contract {channels} and {classes}; images have 3"
            )
        self.device = torch.device(device)
        self.network = network.to(self.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.contract = contract

    @torch.inference_mode()
    def classify(
        self,
        images: ImageDataset,
        batch: int = 64,
        workers: int = 0,
        views: Views = "one",
        shard: tuple[int, int] = (0, 1),
    ) -> Generator[BatchPrediction, None, None]:
        """Probabilities for all `images`, batch by batch in their order, at constant memory.

        Args:
            images: The images to classify.
            batch: Crops in a batch, fewer where they are very large.
            workers: Number of decoding processes; 0 decodes in this one.
            views: Views of each image whose probabilities are averaged.
            shard: (rank, world size): this process classifies every `world size`-th batch, from batch `rank`
                on.

        Raises:
            ModelError: If `workers` is negative or `views` is unknown.
            WorkerError: If the decoding processes cannot start, or one of them died.
            Diverged: If the network's outputs are not finite.
        """
        if workers < 0:
            raise ModelError(f"--workers {workers}: must be at least 0")
        if views not in CROPS_OF_VIEWS:
            raise ModelError(f"--views {views}: must be one of {', '.join(CROPS_OF_VIEWS)}")
        crops = CROPS_OF_VIEWS[views]
        batch = min(batch, MAX_BATCH_PIXELS // self.contract.resize.crop_px**2)
        batch = max(1, batch // 5) if crops == "five" else max(1, batch)
        images = images.in_range(self.contract.grey)
        loader = evaluation_batches(images, self.contract.resize, batch, workers, crops, shard)
        with worker_errors(), closing(loader) as batches:
            for loaded in on_device(batches, self.contract, self.device):
                probabilities = self._probabilities(loaded.images, len(loaded.indices), views)
                yield BatchPrediction(loaded.indices.numpy(), probabilities, loaded.bad)

    def _probabilities(self, crops: torch.Tensor, count: int, views: Views) -> NDArray[np.float32]:
        """Probabilities (count, classes) of `count` images, whose crops are (count * crops, 3, H, W)."""
        calibration, classes = self.contract.calibration, len(self.contract.classes)
        temperature = 1.0 if calibration is None else calibration.temperature
        if count == 0:  # all images of the batch were bad
            return np.empty((0, classes), np.float32)
        inputs = [crops] if views == "one" else [crops, crops.flip(-1)]
        outputs = [(self.network(x).float() / temperature).softmax(1) for x in inputs]
        by_view = torch.stack(outputs).view(len(inputs), count, -1, classes)
        probabilities: NDArray[np.float32] = by_view.mean((0, 2)).cpu().numpy()
        if not np.isfinite(probabilities).all():
            raise Diverged(
                f"{self.network.arch.name}: its outputs are not finite: its weights have diverged. Train "
                "again with a third of --training.lr"
            )
        return probabilities

    def predict(self, images: Sequence[ImageSource]) -> list[Prediction]:
        """The prediction for each image, in order.

        Args:
            images: Paths, encoded images (bytes, or files open in binary mode), Pillow images, or NumPy
                arrays of uint8: grey (H, W), or RGB (H, W, 3). OpenCV's are BGR: give `array[..., ::-1]`.

        Raises:
            BadImage: If an image cannot be read.
            Diverged: If the network's outputs are not finite.
            TypeError: If an image is of another type, or `images` is one image, not a list.
        """
        if isinstance(images, str | bytes | Path | Image.Image | np.ndarray) or hasattr(images, "read"):
            raise TypeError("images must be a list, as in predict([image]), or predict(list(batch))")
        dataset = UnlabelledImages(list(images))
        predictions = []
        for batch in self.classify(dataset):
            if batch.bad:
                raise batch.bad[0]
            predictions += self.to_predictions(dataset, batch)
        return predictions

    def to_predictions(self, images: ImageDataset, batch: BatchPrediction) -> list[Prediction]:
        """A `Prediction` for each image of `batch`, which `classify` has given for `images`."""
        classes, calibration = self.contract.classes, self.contract.calibration
        threshold = 0.0 if calibration is None else calibration.reject_below
        predictions = []
        for index, row in zip(batch.indices, batch.probabilities, strict=True):
            ranking = tuple((classes[i], float(row[i])) for i in np.argsort(-row, kind="stable"))
            label, probability = ranking[0]
            key, rejected = encodable(images.keys[int(index)]), probability < threshold
            predictions.append(Prediction(key, label, probability, ranking, rejected))
        return predictions


def open_model(model: str | Path, device: torch.device | str = "cpu") -> Classifier:
    """The classifier in a run folder, a hub folder or a weights file with its contract, or that of a name.

    Args:
        model: Path of the folder or file, or a name of public weights (see `resnext.catalogue.locate`).
        device: Where the classifier computes.

    Raises:
        ModelError: If there is no model at that path.
        WeightsError: If the weights do not fit the network.
    """
    if not isinstance(model, str | os.PathLike):
        raise TypeError(
            f"a model is a Classifier, or the path of a run folder, hub folder or weights file, "
            f"not {type(model).__name__}"
        )
    located = locate(model)
    path = located.path
    if not path.exists():
        raise ModelError(
            f"{model}: there is no such model; give a run folder, a hub folder or a weights file"
        )
    if (path / "model").is_dir():
        path = path / "model"
    elif hint := explain_unfinished(path):
        raise ModelError(hint)
    elif path.is_dir() and not (path / "config.json").exists():
        raise ModelError(
            f"{model}: neither a run folder nor a hub folder (no model/, no config.json); give the folder "
            "of a finished run, such as runs/NAME"
        )
    network, contract = load_network(path)
    return Classifier(network, located.entry.contract if located.entry else contract, device)
