"""Experiment trackers: TensorBoard, MLflow, Weights & Biases. Their packages are imported when they are used.

metrics.jsonl is always written and does not depend on them.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from resnext.errors import ResnextError
from resnext.recipe import Recipe, dotted_names, get_field
from resnext.recipe.options import LoggerName
from resnext.run.folder import RunFolder


class LoggerMissing(ResnextError):
    """A logger was asked for whose package is not installed."""

    exit_code = 5


class Logger(Protocol):
    """Takes scalars by name, at increasing steps."""

    def log(self, step: int, values: dict[str, float]) -> None: ...

    def close(self) -> None: ...


class TensorBoard:
    """Event files in the folder `events` of the run."""

    def __init__(self, folder: RunFolder, recipe: Recipe, first_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # `purge_step` drops what a killed run had written after its last checkpoint.
        self.writer = SummaryWriter(str(folder.path / "events"), purge_step=first_step + 1)  # type: ignore[no-untyped-call]

    def log(self, step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        self.writer.close()  # type: ignore[no-untyped-call]


class MLflow:
    """A run on the server, or in the folder, that MLFLOW_TRACKING_URI names; a resumed run continues its
    own."""

    def __init__(self, folder: RunFolder, recipe: Recipe, first_step: int) -> None:
        import mlflow

        self.mlflow = mlflow
        known = _read_ids(folder).get("mlflow")
        run = mlflow.start_run(run_id=known, run_name=None if known else folder.path.name)
        if known is None:
            mlflow.log_params(_flat(recipe))
            _write_id(folder, "mlflow", run.info.run_id)

    def log(self, step: int, values: dict[str, float]) -> None:
        self.mlflow.log_metrics(values, step=step)

    def close(self) -> None:
        self.mlflow.end_run()


class WeightsAndBiases:
    """A run of the project `resnext`, or the one that WANDB_PROJECT names; a resumed run continues its
    own."""

    def __init__(self, folder: RunFolder, recipe: Recipe, first_step: int) -> None:
        import wandb

        self.run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "resnext"),
            name=folder.path.name,
            id=_read_ids(folder).get("wandb"),
            resume="allow",
            config=_flat(recipe),
            dir=str(folder.path),
        )
        _write_id(folder, "wandb", self.run.id)

    def log(self, step: int, values: dict[str, float]) -> None:
        self.run.log(values, step=step)

    def close(self) -> None:
        self.run.finish()


LOGGERS: dict[LoggerName, Callable[[RunFolder, Recipe, int], Logger]] = {
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
    "wandb": WeightsAndBiases,
}


def choose_loggers(names: Sequence[LoggerName]) -> tuple[LoggerName, ...]:
    """The loggers to use: `names`, or if it is empty TensorBoard where it is installed.

    Raises `LoggerMissing`.
    """
    if not names:
        return ("tensorboard",) if importlib.util.find_spec("tensorboard") else ()
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise LoggerMissing(f"--log {name}: is not installed; pip install 'resnext[{name}]'")
    return tuple(names)


class Loggers:
    """Several loggers as one. A logger that fails is dropped, with a warning in the run's log."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._open: dict[str, Logger] = {}

    @classmethod
    def open(cls, names: Sequence[LoggerName], folder: RunFolder, recipe: Recipe, first_step: int) -> Loggers:
        """The loggers called `names`, for a run that starts or resumes at `first_step`."""
        loggers = cls(folder.log)
        for name in names:
            with loggers._guard(name):
                loggers._open[name] = LOGGERS[name](folder, recipe, first_step)
        return loggers

    def log(self, step: int, values: dict[str, float]) -> None:
        for name, logger in list(self._open.items()):
            with self._guard(name):
                logger.log(step, values)

    def close(self) -> None:
        for name, logger in list(self._open.items()):
            with self._guard(name):
                logger.close()

    @contextmanager
    def _guard(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # packages and servers of others raise errors of any class
            self._open.pop(name, None)
            self._warn(f"warning: no more is sent to {name}: {type(error).__name__}: {error}")


def _flat(recipe: Recipe) -> dict[str, Any]:
    return {name: get_field(recipe, name) for name in dotted_names()}


def _read_ids(folder: RunFolder) -> dict[str, str]:
    """The ids that the loggers have given this run."""
    exists = (folder.path / "loggers.json").exists()
    return folder.read_document("loggers.json", dict[str, str]) if exists else {}


def _write_id(folder: RunFolder, logger: str, run_id: str) -> None:
    folder.write_json("loggers.json", _read_ids(folder) | {logger: run_id})
