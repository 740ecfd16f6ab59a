"""`Classifier`: images in, predictions out, whatever engine computes them."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from resnext.confidence import in_sets, is_rejected
from resnext.contract import Contract
from resnext.data.decode import BadImage, decode
from resnext.data.images import ImageDataset
from resnext.data.loaders import Crops, evaluation_batches, on_device
from resnext.data.preprocess import normalise, resize_and_crop, to_tensor
from resnext.data.stored_images import ImageSource, UnlabelledImages
from resnext.data.workers import worker_errors
from resnext.engine.engine import Engine, ModelError, rejection_of
from resnext.engine.torch_engines import TorchEngine
from resnext.models import Network
from resnext.names import encodable
from resnext.recipe.options import Views
from resnext.training.loop import Diverged

#: Which crops of an image each of `Views` takes.
CROPS_OF_VIEWS: dict[Views, Crops] = {"one": "centre", "flip": "centre", "ten": "five"}
#: Probabilities (B, classes), and how familiar each image looks (B,), both float32.
Answers = tuple[NDArray[np.float32], NDArray[np.float32]]
#: Most pixels of a batch: as many as 64 crops of 1,024 px have.
MAX_BATCH_PIXELS = 2**26


@dataclass(frozen=True)
class Prediction:
    """The predicted class of one image.

    Attributes:
        key: Name of the image.
        label: The most probable class.
        probability: Its probability, from 0 to 1.
        ranking: (class, probability) of all classes, the most probable first.
        rejected: Whether it looks too little like the classes, by the contract, so that the answer is "none
            of these".
        set: The classes of its prediction set, the most probable first; empty if the contract promises none.
    """

    key: str
    label: str
    probability: float
    ranking: tuple[tuple[str, float], ...]
    rejected: bool = False
    set: tuple[str, ...] = ()


@dataclass(frozen=True)
class BatchPrediction:
    """Probabilities for one batch of images.

    Attributes:
        indices: Places of the images in their data set, int64 (B,).
        probabilities: float32 (B, classes); each row sums to 1.
        familiarity: float32 (B,), by the score of the contract's rejection: larger where an image looks more
            like those of the classes.
        bad: Errors of the images that could not be read and are therefore missing.
    """

    indices: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    familiarity: NDArray[np.float32]
    bad: tuple[BadImage, ...]


class Classifier:
    """Takes images and gives probabilities of the classes in the contract of its engine.

    Args:
        engine: What computes the network.
        note: Why it does, for people.

    Attributes:
        engine: What computes the network.
        note: Why it does, or that its form was chosen on another processor; empty if there is nothing to say.
        contract: Its classes, preprocessing and calibration.
        device: Where it takes its pixels.

    >>> from resnext.arch import Architecture
    >>> from resnext.contract import Input, Provenance, Resize
    >>> from resnext.models import create
    >>> classes, size = ("cat", "dog"), Input(3, 16, 16)
    >>> contract = Contract(classes, size, Resize(16, 16), (0.5,) * 3, (0.25,) * 3, Provenance("resnet11"))
    >>> network = create(Architecture.from_name("resnet11+template=8", 2))
    >>> [prediction] = Classifier(TorchEngine(network, contract)).predict([Image.new("RGB", (20, 16))])
    >>> prediction.key, prediction.label in classes
    ('image 0', True)
    """

    def __init__(self, engine: Engine, note: str = "") -> None:
        self.engine = engine
        self.note = note
        self.contract: Contract = engine.contract
        self.device: torch.device = engine.device

    @property
    def network(self) -> Network:
        """The network as a torch module. Raises `ModelError` for a model that holds none."""
        if not isinstance(self.engine, TorchEngine):
            raise ModelError(
                f"{self.engine.model}: is an exported model, which cannot be changed or trained; give the "
                "run folder, hub folder or weights file that it was made from"
            )
        return self.engine.network

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
        if self.engine.takes == "images":
            yield from self._classify_whole(images.in_range(self.contract.grey), batch, views, shard)
            return
        crops, batch = CROPS_OF_VIEWS[views], self.batch(batch, views)
        images = images.in_range(self.contract.grey)
        loader = evaluation_batches(images, self.contract.resize, batch, workers, crops, shard)
        with worker_errors(), closing(loader) as batches:
            for loaded in on_device(batches, self.contract, self.device):
                answers = self._answer(loaded.images, len(loaded.indices), views)
                yield BatchPrediction(loaded.indices.numpy(), *answers, loaded.bad)

    def _classify_whole(
        self, images: ImageDataset, batch: int, views: Views, shard: tuple[int, int]
    ) -> Generator[BatchPrediction, None, None]:
        """As `classify`, with an engine that takes one decoded image at a time."""
        if views != "one":
            raise ModelError(f"{self.engine.model}: prepares images itself, in one view; leave out --views")
        rank, size = shard
        for start in range(rank * batch, len(images), size * batch):
            indices, answers, bad = [], [self._no_answers()], []
            for index in range(start, min(start + batch, len(images))):
                try:
                    image = np.array(images.open(index).convert("RGB"))
                except BadImage as error:
                    bad.append(error)
                    continue
                indices.append(index)
                answers.append(self._finite(*self.engine.answer(torch.from_numpy(image)[None])))
            probabilities, familiarity = (np.concatenate(some) for some in zip(*answers, strict=True))
            yield BatchPrediction(np.array(indices, np.int64), probabilities, familiarity, tuple(bad))

    def batch(self, most: int, views: Views = "one") -> int:
        """Images of a batch that has `most` crops, fewer where they are very large."""
        crops = max(1, min(most, MAX_BATCH_PIXELS // self.contract.resize.crop_px**2))
        return max(1, crops // 5) if CROPS_OF_VIEWS[views] == "five" else crops

    def prepare(self, image: bytes, key: str) -> torch.Tensor:
        """One encoded image as `answer` takes it; any thread may call this.

        Args:
            image: The encoded image.
            key: Its name in an error.

        Returns:
            uint8 (3, H, W), cropped as the contract says; where the engine takes images, (H, W, 3) of any
            size.

        Raises:
            BadImage: If the image cannot be read.
        """
        decoded = decode(image, key, self.contract.grey)
        if self.engine.takes == "images":
            return torch.from_numpy(np.array(decoded))
        return to_tensor(resize_and_crop(decoded, self.contract.resize))

    @torch.inference_mode()
    def answer(self, prepared: Sequence[torch.Tensor]) -> BatchPrediction:
        """Probabilities for images that `prepare` has prepared, in one batch.

        Raises:
            Diverged: If the network's outputs are not finite.
        """
        if self.engine.takes == "images":
            answers = [self._finite(*self.engine.answer(image[None])) for image in prepared]
            probabilities, familiarity = (np.concatenate(some) for some in zip(*answers, strict=True))
        else:
            probabilities, familiarity = self._answer(self._pixels(prepared), len(prepared), "one")
        return BatchPrediction(np.arange(len(prepared)), probabilities, familiarity, ())

    @torch.inference_mode()
    def activation_maps(self, prepared: Sequence[torch.Tensor]) -> NDArray[np.float32]:
        """Class activation maps (B, classes, h, w) of images that `prepare` has prepared.

        Raises:
            ModelError: The classifier gives no class activation maps.
        """
        maps: NDArray[np.float32] = self.engine.activation_maps(self._pixels(prepared)).cpu().numpy()
        return maps

    def _pixels(self, prepared: Sequence[torch.Tensor]) -> torch.Tensor:
        """What the engine takes of prepared images: float32 (B, 3, H, W), channels last."""
        images = torch.stack(list(prepared)).to(self.device)
        images = normalise(images, self.contract.mean, self.contract.std)
        return images.contiguous(memory_format=torch.channels_last)

    def _answer(self, crops: torch.Tensor, count: int, views: Views) -> Answers:
        """Probabilities (count, classes) and familiarity (count,) of `count` images, whose crops are
        (count * crops, 3, H, W)."""
        if count == 0:  # all images of the batch were bad
            return self._no_answers()
        inputs = [crops] if views == "one" else [crops, crops.flip(-1)]
        outputs = zip(*(self.engine.answer(x) for x in inputs), strict=True)
        means = (torch.stack(o).view(len(inputs), count, -1, *o[0].shape[1:]).mean((0, 2)) for o in outputs)
        return self._finite(*means)

    def _no_answers(self) -> Answers:
        return np.empty((0, len(self.contract.classes)), np.float32), np.empty(0, np.float32)

    def _finite(self, *outputs: torch.Tensor) -> Answers:
        """Probabilities and familiarity in NumPy. Raises `Diverged` if they are not finite."""
        probabilities, familiarity = (one.cpu().numpy() for one in outputs)
        if not (np.isfinite(probabilities).all() and np.isfinite(familiarity).all()):
            raise Diverged(
                f"{self.engine.model}: its outputs are not finite: its weights have diverged. Train "
                "again with a third of --training.lr"
            )
        return probabilities, familiarity

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
        return self.name_classes([images.keys[int(index)] for index in batch.indices], batch)

    def name_classes(self, keys: Sequence[str], batch: BatchPrediction) -> list[Prediction]:
        """A `Prediction` for each image of `batch`; `keys` are their names."""
        classes, calibration = self.contract.classes, self.contract.calibration
        rejected = is_rejected(batch.familiarity, rejection_of(self.contract))
        sets = None if calibration is None else calibration.sets
        held = None if sets is None else in_sets(batch.probabilities, sets)
        predictions = []
        for place, (key, row) in enumerate(zip(keys, batch.probabilities, strict=True)):
            order = np.argsort(-row, kind="stable")
            ranking = tuple((classes[i], float(row[i])) for i in order)
            label, probability = ranking[0]
            predictions.append(
                Prediction(
                    key=encodable(key),
                    label=label,
                    probability=probability,
                    ranking=ranking,
                    rejected=bool(rejected[place]),
                    set=() if held is None else tuple(classes[i] for i in order if held[place, i]),
                )
            )
        return predictions
