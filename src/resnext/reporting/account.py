"""`Account`: what is to be told of one finished run, read from its folder."""

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
from resnext.data.decode import DataError, readable
from resnext.data.hub import SourceMissing
from resnext.data.pictures import Pictures
from resnext.data.sources import read_split
from resnext.metrics import Reliability, Scores, confusion, reliability, score
from resnext.recipe import Recipe
from resnext.run import RunError, RunFolder

#: Mistakes that are shown, and the side of their pictures.
MISTAKES, THUMBNAIL_PX = 24, 112


@dataclass(frozen=True)
class Mistake:
    """A wrong answer; `picture` is a data URI, None where the picture could not be found."""

    key: str
    truth: str
    answer: str
    probability: float
    picture: str | None


@dataclass(frozen=True)
class Account:
    """One run. `split` is the split whose figures count: test where there is one, else val.

    `keys` (N), `labels` (N,) and `probabilities` (N, classes) are its predictions.
    """

    folder: Path
    recipe: Recipe
    contract: Contract
    result: dict[str, Any]
    about: dict[str, Any]
    environment: dict[str, Any]
    epochs: list[dict[str, Any]]
    split: str
    keys: list[str]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32]

    @classmethod
    def read(cls, path: Path) -> Account:
        """The account of the finished run in `path`. Raises `RunError`."""
        folder = RunFolder(path)
        if not folder.is_finished():
            go_on = f"; `resnext train DATA --runs {path.parent} --name {path.name} --resume must` goes on"
            hint = go_on if (path / "config.toml").exists() else ""
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
            about=folder.read_json("data.json"),
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
        """Has the split of these figures chosen the epoch?"""
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
    def right(self) -> NDArray[np.bool_]:
        """(N,) whether each picture's likeliest class is its own."""
        right: NDArray[np.bool_] = self.probabilities.argmax(axis=1) == self.labels
        return right

    def mistakes(self) -> Iterator[Mistake]:
        """The wrong answers given with most confidence, worst first."""
        answers, confidence = self.probabilities.argmax(axis=1), self.probabilities.max(axis=1)
        wrong = np.flatnonzero(answers != self.labels)
        worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:MISTAKES]
        thumbnails = self._thumbnails([self.keys[i] for i in worst])
        classes = self.contract.classes
        for i in worst:
            yield Mistake(
                key=self.keys[i],
                truth=classes[self.labels[i]],
                answer=classes[answers[i]],
                probability=float(confidence[i]),
                picture=thumbnails.get(self.keys[i]),
            )

    def _thumbnails(self, keys: list[str]) -> dict[str, str | None]:
        """The pictures called `keys`, as far as they are found, and no others are called so too."""
        pictures = self._pictures()
        if pictures is None:
            return {}
        places: dict[str, list[int]] = {key: [] for key in keys}
        for place, key in enumerate(map(readable, pictures.keys)):  # as predictions have them
            if key in places:
                places[key].append(place)
        alone = sorted((of[0], key) for key, of in places.items() if len(of) == 1)  # as streams like it
        return {key: _thumbnail(pictures, place) for place, key in alone}

    def _pictures(self) -> Pictures | None:
        """The judged split, if the data still lie where training found them."""
        data, trained_on = self.environment.get("data", ""), self.about["fingerprint"]
        try:
            return read_split(data, self.contract.classes, self.split, trained_on)[1]
        except (DataError, SourceMissing):
            return None


def _thumbnail(pictures: Pictures, index: int) -> str | None:
    """Picture `index`, small, as a data URI."""
    try:
        image = pictures.open(index)
    except DataError:
        return None
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "PNG" if max(image.size) <= 40 else "JPEG", quality=85)
    kind = "png" if max(image.size) <= 40 else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
