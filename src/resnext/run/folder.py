"""The run folder: everything about one run, and the only code that writes there."""

from __future__ import annotations

import json
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from resnext.contract import Contract, ContractError
from resnext.errors import ResnextError
from resnext.models import Network
from resnext.recipe import Recipe, RecipeError
from resnext.run.locks import lock_file
from resnext.training import checkpoints
from resnext.training.checkpoints import Snapshot
from resnext.weights import write_hub_folder


class RunError(ResnextError):
    """A run folder that cannot be used as asked."""

    exit_code = 2


class RunWriter(ABC):
    """What every process writes while it trains; only that of the main process has an effect."""

    @abstractmethod
    def set_status(self, state: str, why: str = "") -> None:
        """Set status.json to `running`, `finished`, `resumable` or `failed`, and why."""

    @abstractmethod
    def log(self, text: str) -> None:
        """Append `text` to log.txt, with the time."""

    @abstractmethod
    def add_metrics(self, records: Iterable[dict[str, Any]]) -> None:
        """Append lines to metrics.jsonl."""

    @abstractmethod
    def sync_metrics(self) -> None:
        """Sync metrics.jsonl to the disk: no checkpoint may be newer than the metrics."""


class NullRunWriter(RunWriter):
    """The writer of a process that is not the main process: it writes nothing."""

    def set_status(self, state: str, why: str = "") -> None:
        pass

    def log(self, text: str) -> None:
        pass

    def add_metrics(self, records: Iterable[dict[str, Any]]) -> None:
        pass

    def sync_metrics(self) -> None:
        pass


class RunFolder(RunWriter):
    """`runs/<name>/`: recipe, contract, log, metrics, checkpoints, predictions, result and model."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.last = self.checkpoints / "last.safetensors"
        self.previous = self.checkpoints / "previous.safetensors"
        self.best = self.checkpoints / "best.safetensors"
        self.model = path / "model"

    @classmethod
    def create(cls, root: Path, name: str | None, default: str) -> RunFolder:
        """A new folder: `root/name`, or `root/default` with a number if that name is taken.

        Raises:
            RunError: `name` is taken, or `root` is no folder.
            OSError: `root` may not be written.
        """
        try:
            root.mkdir(parents=True, exist_ok=True)
            for number in range(1, 100_000):
                path = root / (name or (default if number == 1 else f"{default}-{number}"))
                try:
                    path.mkdir()
                    (path / "checkpoints").mkdir()
                    return cls(path)
                except FileExistsError:
                    if name is not None:
                        break
        except (FileNotFoundError, NotADirectoryError, FileExistsError) as error:
            raise RunError(
                f"{error.filename}: is not a folder that a run can lie in; say another with --runs"
            ) from None
        raise name_taken_error(root / (name or default))

    def is_finished(self) -> bool:
        """Whether the run has its result."""
        return (self.path / "result.json").exists()

    def reopen(self) -> None:
        """Let a finished run continue: its result is no longer that of its recipe."""
        for name in ("result.json", "report.html"):
            (self.path / name).unlink(missing_ok=True)

    def remove_incomplete(self) -> None:
        """Remove what is left of a run that died before its first step. Raises `RunError` if more is
        there."""
        if not self.path.exists():
            return
        own = {"checkpoints", "config.toml", "contract.json", "environment.json", "lock"}
        entries = {p.name.removesuffix(".part") for p in self.path.iterdir()} if self.path.is_dir() else {""}
        has_begun = self.checkpoints.is_dir() and not any(self.checkpoints.iterdir())
        if not (has_begun and entries <= own):
            raise RunError(f"{self.path}: exists but is no run; give another --name")
        shutil.rmtree(self.path)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes out of this run inside. Raises `RunError` if another one trains it."""
        with ExitStack() as held:
            try:
                problem = held.enter_context(lock_file(self.path / "lock"))
            except BlockingIOError:
                raise RunError(f"{self.path}: another process is training this run") from None
            if problem:
                self.log(f"warning: {problem}; make sure that no other process trains this run")
            yield

    # Files that are written once

    def write(self, name: str, text: str) -> None:
        """Write the file `name`, through a temporary file that is renamed."""
        temporary = self.path / f"{name}.part"
        # JSON reads the escaped bytes of a path that is not UTF-8 as the same path.
        with open(temporary, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.path / name)

    def write_json(self, name: str, value: Any) -> None:
        self.write(name, json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def read_json(self, name: str) -> Any:
        """The JSON in the file `name`. Raises `RunError`."""
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(f"{self.path / name}: cannot be read ({error})") from None

    def recipe(self) -> Recipe:
        """The recipe of this run, with every field filled. Raises `RunError`."""
        try:
            return Recipe.from_toml((self.path / "config.toml").read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, RecipeError) as error:
            raise RunError(f"{self.path / 'config.toml'}: {error}") from None

    def contract(self) -> Contract:
        """The contract of this run's network. Raises `RunError`."""
        try:
            return Contract.loads((self.path / "contract.json").read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, ContractError) as error:
            raise RunError(f"{self.path / 'contract.json'}: {error}") from None

    def write_model(self, network: Network, contract: Contract, card: str) -> None:
        """Write the folder model/ in the hub layout, through a temporary folder that is renamed."""
        temporary = self.path / "model.part"
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(self.model, ignore_errors=True)  # left by an end that was interrupted
        write_hub_folder(temporary, network, contract, card)
        os.replace(temporary, self.model)

    def write_predictions(
        self, split: str, keys: list[str], labels: NDArray[np.int64], probabilities: NDArray[np.float32]
    ) -> None:
        """Write predictions/{split}.parquet: key, label, probabilities."""
        (self.path / "predictions").mkdir(exist_ok=True)
        table = pa.table({"key": keys, "label": labels, "probabilities": list(probabilities)})
        pq.write_table(table, self.path / "predictions" / f"{split}.parquet")

    # Files that grow or change while the run trains

    def save_checkpoint(self, snapshot: Snapshot, is_best: bool) -> None:
        """Write `snapshot` as `last`, and as `best` if it is; the former `last` becomes `previous`."""
        checkpoints.keep_as_previous(self.last, self.previous)
        checkpoints.write_snapshot(snapshot, self.last)
        if is_best:
            checkpoints.hard_link(self.last, self.best)

    def set_status(self, state: str, why: str = "") -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        value = {"state": state, "why": why, "time_utc": now, "pid": os.getpid()}
        self.write_json("status.json", value)

    def confirm_finished(self) -> None:
        """Set the status of a finished run to `finished`, if the end of its process left another one."""
        try:
            state = self.read_json("status.json")["state"]
        except (RunError, KeyError, TypeError):
            state = "lost"
        if state != "finished":
            self.set_status("finished")

    def log(self, text: str) -> None:
        now = datetime.now().isoformat(sep=" ", timespec="seconds")
        with open(self.path / "log.txt", "a", encoding="utf-8") as file:
            file.writelines(f"{now}  {line}\n" for line in text.splitlines())

    def add_metrics(self, records: Iterable[dict[str, Any]]) -> None:
        with open(self.path / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.writelines(json.dumps(record) + "\n" for record in records)

    def sync_metrics(self) -> None:
        if (self.path / "metrics.jsonl").exists():
            with open(self.path / "metrics.jsonl", "r+b") as file:
                os.fsync(file.fileno())

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl, without a last one that is half written."""
        records = []
        if (self.path / "metrics.jsonl").exists():
            for line in (self.path / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
                try:
                    records.append(json.loads(line))
                except ValueError:
                    break
        return records

    def epoch_metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl about whole epochs."""
        return [record for record in self.metrics() if "val_loss" in record]

    def truncate_metrics(self, step: int, epochs: int) -> None:
        """Drop metrics after `step`, and of epochs after `epochs`: the resumed run writes them again."""
        kept = [
            record for record in self.metrics() if record["step"] <= step and record.get("epoch", 0) <= epochs
        ]
        self.write("metrics.jsonl", "".join(json.dumps(record) + "\n" for record in kept))


def name_taken_error(path: Path) -> RunError:
    """The error for a new run at `path`, where there is one."""
    return RunError(
        f"{path}: a run of this name exists, and runs are never overwritten. "
        "Give another --name, or --resume auto to resume it"
    )


@dataclass(frozen=True)
class Run:
    """A finished run.

    Of the processes that trained it together, `is_main_process` is true of the one that wrote its files.
    """

    folder: Path
    is_main_process: bool = True

    @property
    def result(self) -> dict[str, Any]:
        """Its result: metrics, cost, times, versions. Raises `RunError`."""
        value: dict[str, Any] = RunFolder(self.folder).read_json("result.json")
        return value

    @property
    def recipe(self) -> Recipe:
        """Its recipe, with every field filled. Raises `RunError`."""
        return RunFolder(self.folder).recipe()

    @property
    def contract(self) -> Contract:
        """Its classes and pre-processing. Raises `RunError`."""
        return RunFolder(self.folder).contract()
