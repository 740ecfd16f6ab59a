"""`RunSummary`: one finished run as its reports need it, read from its folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from resnext.catalogue import run_of
from resnext.confidence import SetSizes, is_rejected
from resnext.contract import Contract, first_difference
from resnext.engine.exports import ParityRecord, exports_of
from resnext.errors import UsageError
from resnext.metrics import (
    Confusion,
    Outcomes,
    Reliability,
    RiskCoverage,
    Scores,
    majority_rate,
    reliability,
    score_outcomes,
)
from resnext.recipe import Recipe
from resnext.reporting.prediction_table import read_predictions
from resnext.reporting.thumbnails import find_thumbnails, is_on_hub
from resnext.run import RunError, RunFolder
from resnext.run.documents import DataDocument, EnvironmentDocument, EpochLine, ResultDocument
from resnext.run.evaluation import read_data_document
from resnext.statistics import Rate
from resnext.weights import CONFIG_FILE, read_contract

#: Number of mistakes that are shown.
MISTAKES = 24


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

    `split` is the split that is reported: test where there is one, else val. `keys` (N) and `outcomes` (N)
    are of its predictions, `epochs` the lines of metrics.jsonl that end an epoch, `exports` what was made of
    it.
    """

    folder: Path
    recipe: Recipe
    contract: Contract
    result: ResultDocument
    data: DataDocument
    environment: EnvironmentDocument
    epochs: list[EpochLine]
    split: str
    keys: list[str]
    outcomes: Outcomes
    sets: SetSizes | None
    exports: dict[str, ParityRecord]

    @classmethod
    def read(cls, path: Path) -> RunSummary:
        """The run in the folder `path`.

        Raises:
            RunError: It is not finished, or a file of it is damaged; names the file and the field.
        """
        folder = RunFolder(path)
        if not folder.is_finished():
            resume = f"; `resnext train DATA --runs {path.parent} --name {path.name} --resume must` goes on"
            other = "; give the folder of a finished run, such as runs/NAME"
            hint = resume if (path / "config.toml").exists() else other
            raise RunError(f"{path}: is no finished run{hint}")
        contract = _read_contract(folder)
        split = "test" if (path / "predictions" / "test.parquet").exists() else "val"
        predictions = path / "predictions" / f"{split}.parquet"
        try:
            made = read_predictions(predictions, len(contract.classes), contract.calibration)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise RunError(f"{predictions}: cannot be read ({error})") from None
        return cls(
            folder=path,
            recipe=folder.recipe(),
            contract=contract,
            result=folder.read_document("result.json", ResultDocument),
            data=read_data_document(folder, len(contract.classes)),
            environment=folder.read_document("environment.json", EnvironmentDocument),
            epochs=folder.epochs(),
            split=split,
            keys=made.keys,
            outcomes=made.outcomes,
            sets=made.sets,
            exports=exports_of(path)[0],
        )

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    @property
    def is_optimistic(self) -> bool:
        """Whether the reported split also chose the weights."""
        return self.split != "test"

    @property
    def length(self) -> int:
        """Epochs that it went on; how often features were computed, where only the head was fitted."""
        return (self.recipe.epochs or 0) if self.recipe.training.fits == "head" else len(self.epochs)

    @property
    def penalty(self) -> float | None:
        """The penalty of the head that was kept, where only the head was fitted."""
        best = self.result.metrics.best_epoch
        return next((line.penalty for line in self.epochs if line.epoch == best), None)

    @cached_property
    def scores(self) -> Scores:
        return score_outcomes(self.outcomes, self.contract.classes)

    @cached_property
    def reliability(self) -> Reliability:
        return reliability(self.outcomes)

    @cached_property
    def risk_coverage(self) -> RiskCoverage:
        return RiskCoverage.of(self.outcomes)

    @property
    def rejected(self) -> Rate | None:
        """How many images are called "none of these"; None if that is not told by their probability."""
        rejection = None if self.contract.calibration is None else self.contract.calibration.rejection
        if rejection is None or rejection.score != "probability":
            return None
        return Rate(int(is_rejected(self.outcomes.confidence, rejection).sum()), len(self.keys))

    @property
    def majority(self) -> Rate | None:
        """How often the most frequent class of training is the right answer; None if it is not known."""
        return majority_rate(self.outcomes.labels, self.data.train_counts)

    @cached_property
    def confusion(self) -> Confusion:
        return Confusion.of(self.outcomes, len(self.contract.classes))

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(N,) whether the most probable class of each image is its own."""
        return self.outcomes.correct

    def mistakes(self) -> Iterator[Mistake]:
        """The wrong predictions with most confidence, worst first."""
        predicted, confidence = self.outcomes.predicted, self.outcomes.confidence
        wrong = np.flatnonzero(~self.correct)
        worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:MISTAKES]
        keys = [self.keys[i] for i in worst]
        thumbnails = find_thumbnails(
            self.environment.data, self.split, keys, self.contract, self.data.fingerprint
        )
        classes = self.contract.classes
        for i in worst:
            yield Mistake(
                key=self.keys[i],
                truth=classes[self.outcomes.labels[i]],
                predicted=classes[predicted[i]],
                probability=float(confidence[i]),
                image=thumbnails.get(self.keys[i]),
            )

    @property
    def is_on_hub(self) -> bool:
        """Whether the images could only be had over the network, which a report does not use."""
        return is_on_hub(self.environment.data)


def _read_contract(folder: RunFolder) -> Contract:
    """The contract of a run's model, which adds a calibration to that of its training. Raises `RunError` if
    the two differ in anything else: the predictions are by the model's."""
    contract = folder.contract()
    model = read_contract(folder.model) if (folder.model / CONFIG_FILE).exists() else None
    if model is None:
        return contract
    if field := first_difference(contract, replace(model, calibration=contract.calibration)):
        raise RunError(f"{folder.path}: contract.json and model/config.json have different values of {field}")
    return model


def read_runs(runs: Sequence[str | Path], least: int) -> list[RunSummary]:
    """The finished runs in the folders `runs`.

    Raises:
        UsageError: `runs` is one path, or there are fewer than `least`.
        RunError: A run is not finished, or a file of it is damaged.
    """
    if isinstance(runs, str | Path) or len(runs) < least:
        example = ", ".join(repr(f"runs/{name}") for name in ("NAME", "OTHER")[:least])
        raise UsageError(f"runs must be a list of run folders, as in [{example}]")
    return [RunSummary.read(run_of(Path(run)) or Path(run)) for run in runs]
