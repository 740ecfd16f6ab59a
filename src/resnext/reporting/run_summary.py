"""`RunSummary`: one finished run as its reports need it, read from its folder."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from resnext.contract import Contract
from resnext.data.decode import DataError, printable
from resnext.data.hf_datasets import SourceMissing
from resnext.data.images import ImageDataset
from resnext.data.sources import read_split
from resnext.metrics import Reliability, Scores, confusion, reliability, score
from resnext.recipe import Recipe
from resnext.run import RunError, RunFolder

#: Number of mistakes that are shown, and the side of their images.
MISTAKES, THUMBNAIL_PX = 24, 112


@dataclass(frozen=True)
class Mistake:
    """A wrong prediction; `image` is a data URI, None where the image was not found."""

    key: str
    truth: str
    predicted: str
    probability: float
    image: str | None


@dataclass(frozen=True)
class RunSummary:
    """One finished run.

    `split` is the split that is reported: test where there is one, else val. `keys` (N), `labels` (N,) and
    `probabilities` (N, classes) are its predictions. `result`, `data` and `environment` are the JSON files of
    these names, and `epochs` the lines of metrics.jsonl that end an epoch.
    """

    folder: Path
    recipe: Recipe
    contract: Contract
    result: dict[str, Any]
    data: dict[str, Any]
    environment: dict[str, Any]
    epochs: list[dict[str, Any]]
    split: str
    keys: list[str]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32]

    @classmethod
    def read(cls, path: Path) -> RunSummary:
        """The run in the folder `path`.

        Raises:
            RunError: It is not finished, or its predictions cannot be read.
        """
        folder = RunFolder(path)
        if not folder.is_finished():
            resume = f"; `resnext train DATA --runs {path.parent} --name {path.name} --resume must` goes on"
            hint = resume if (path / "config.toml").exists() else ""
            raise RunError(f"{path}: is no finished run{hint}")
        contract = folder.contract()
        split = "test" if (path / "predictions" / "test.parquet").exists() else "val"
        predictions = path / "predictions" / f"{split}.parquet"
        try:
            table = pq.read_table(predictions)
            keys, labels = table["key"].to_pylist(), table["label"].to_numpy()
            probabilities = np.stack(table["probabilities"].to_numpy(zero_copy_only=False))
        except (OSError, KeyError, ValueError, pa.ArrowInvalid) as error:
            raise RunError(f"{predictions}: cannot be read ({error})") from None
        if probabilities.ndim != 2 or probabilities.shape[1] != len(contract.classes):
            raise RunError(f"{predictions}: does not fit the classes of contract.json")
        return cls(
            folder=path,
            recipe=folder.recipe(),
            contract=contract,
            result=folder.read_json("result.json"),
            data=folder.read_json("data.json"),
            environment=folder.read_json("environment.json"),
            epochs=[line for line in folder.metrics() if "val_loss" in line],
            split=split,
            keys=keys,
            labels=labels,
            probabilities=probabilities,
        )

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    @property
    def is_optimistic(self) -> bool:
        """Whether the reported split also chose the best epoch."""
        return self.split != "test"

    @cached_property
    def scores(self) -> Scores:
        return score(self.probabilities, self.labels, self.contract.classes)

    @cached_property
    def reliability(self) -> Reliability:
        return reliability(self.probabilities, self.labels)

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        return confusion(self.probabilities, self.labels, len(self.contract.classes))

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(N,) whether the most probable class of each image is its own."""
        correct: NDArray[np.bool_] = self.probabilities.argmax(axis=1) == self.labels
        return correct

    def mistakes(self) -> Iterator[Mistake]:
        """The wrong predictions with most confidence, worst first."""
        predicted, confidence = self.probabilities.argmax(axis=1), self.probabilities.max(axis=1)
        wrong = np.flatnonzero(predicted != self.labels)
        worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:MISTAKES]
        thumbnails = self._thumbnails([self.keys[i] for i in worst])
        classes = self.contract.classes
        for i in worst:
            yield Mistake(
                key=self.keys[i],
                truth=classes[self.labels[i]],
                predicted=classes[predicted[i]],
                probability=float(confidence[i]),
                image=thumbnails.get(self.keys[i]),
            )

    def _thumbnails(self, keys: list[str]) -> dict[str, str | None]:
        """The images with these keys, where exactly one image has the key."""
        images = self._images()
        if images is None:
            return {}
        found: dict[str, list[int]] = {key: [] for key in keys}
        for index, key in enumerate(map(printable, images.keys)):  # predictions have printable keys
            if key in found:
                found[key].append(index)
        unique = sorted((own[0], key) for key, own in found.items() if len(own) == 1)  # streams read in order
        return {key: _thumbnail(images, index) for index, key in unique}

    def _images(self) -> ImageDataset | None:
        """The reported split, if the data are still where training found them."""
        data, fingerprint = self.environment.get("data", ""), self.data["fingerprint"]
        try:
            return read_split(data, self.contract.classes, self.split, fingerprint)[1]
        except (DataError, SourceMissing):
            return None


def _thumbnail(images: ImageDataset, index: int) -> str | None:
    """Image `index`, small, as a data URI."""
    try:
        image = images.open(index)
    except DataError:
        return None
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.LANCZOS)
    file, kind = io.BytesIO(), "png" if max(image.size) <= 40 else "jpeg"
    image.save(file, kind.upper(), quality=85)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
