"""Where else the metrics of a run go: TensorBoard, MLflow, Weights & Biases. Packages are imported on use.

metrics.jsonl is always written and never depends on these.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Protocol

from resnext.recipe import Recipe, dotted_names, get_field
from resnext.run.folder import RunError, RunFolder

LoggerName = Literal["tensorboard", "mlflow", "wandb"]


class LoggerMissing(Exception):
    """A logger that was asked for and whose package is not installed."""


class Logger(Protocol):
    """Takes scalars by name, at ever larger steps."""

    def log(self, step: int, values: dict[str, float]) -> None: ...

    def close(self) -> None: ...


class TensorBoard:
    """Event files in the run's folder `events`."""

    def __init__(self, folder: RunFolder, recipe: Recipe, first_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # What a killed run had written after its last checkpoint is forgotten.
        self.writer = SummaryWriter(str(folder.path / "events"), purge_step=first_step + 1)  # type: ignore[no-untyped-call]

    def log(self, step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        self.writer.close()  # type: ignore[no-untyped-call]


class MLflow:
    """A run of the server or folder that MLFLOW_TRACKING_URI names; a resumed run goes on with its own."""

    def __init__(self, folder: RunFolder, recipe: Recipe, first_step: int) -> None:
        import mlflow

        self.mlflow = mlflow
        known = _known(folder).get("mlflow")
        run = mlflow.start_run(run_id=known, run_name=None if known else folder.path.name)
        if known is None:
            mlflow.log_params(_flat(recipe))
            _remember(folder, "mlflow", run.info.run_id)

    def log(self, step: int, values: dict[str, float]) -> None:
        self.mlflow.log_metrics(values, step=step)

    def close(self) -> None:
        self.mlflow.end_run()


class WeightsAndBiases:
    """A run of the project `resnext` (WANDB_PROJECT says otherwise); a resumed run goes on with its own."""

    def __init__(self, folder: RunFolder, recipe: Recipe, first_step: int) -> None:
        import wandb

        self.run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "resnext"),
            name=folder.path.name,
            id=_known(folder).get("wandb"),
            resume="allow",
            config=_flat(recipe),
            dir=str(folder.path),
        )
        _remember(folder, "wandb", self.run.id)

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
    """`names`, or TensorBoard alone where it is installed and nothing was said. Raises `LoggerMissing`, or
    `RunError` for a name that is none."""
    if not names:
        return ("tensorboard",) if importlib.util.find_spec("tensorboard") else ()
    for name in names:
        if name not in LOGGERS:
            raise RunError(f"--log {name}: is not one of {', '.join(LOGGERS)}")
        if importlib.util.find_spec(name) is None:
            raise LoggerMissing(f"--log {name}: is not installed; pip install 'resnext[{name}]'")
    return tuple(names)


class Loggers:
    """Several as one. One that fails is left out from then on, with a warning in log.txt."""

    def __init__(
        self, names: Sequence[LoggerName], folder: RunFolder, recipe: Recipe, first_step: int
    ) -> None:
        self.folder = folder
        self.open: dict[str, Logger] = {}
        for name in names:
            with self._guard(name):
                self.open[name] = LOGGERS[name](folder, recipe, first_step)

    def log(self, step: int, values: dict[str, float]) -> None:
        for name, logger in list(self.open.items()):
            with self._guard(name):
                logger.log(step, values)

    def close(self) -> None:
        for name, logger in list(self.open.items()):
            with self._guard(name):
                logger.close()

    @contextmanager
    def _guard(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # of a package that we do not know, about a server that we do not know
            self.open.pop(name, None)
            self.folder.log(f"warning: no more is sent to {name}: {type(error).__name__}: {error}")


def _flat(recipe: Recipe) -> dict[str, Any]:
    return {name: get_field(recipe, name) for name in dotted_names()}


def _known(folder: RunFolder) -> dict[str, str]:
    """Names under which the loggers know this run."""
    path = folder.path / "loggers.json"
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    return known


def _remember(folder: RunFolder, logger: str, name: str) -> None:
    folder.write_json("loggers.json", _known(folder) | {logger: name})
