"""The run folder: where everything about one run lies, and the only code that writes there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from resnext.contract import Contract, ContractError
from resnext.models import Network
from resnext.recipe import Recipe, RecipeError
from resnext.run.locks import hold
from resnext.training import checkpoints
from resnext.training.checkpoints import Snapshot
from resnext.weights import write_hub_folder


class RunError(Exception):
    """A run folder that cannot be used as asked."""


def taken(path: Path) -> RunError:
    """That a run lies at `path` already."""
    return RunError(
        f"{path}: a run of this name is there, and runs are never overwritten. "
        "Give another --name, or --resume auto to go on with it"
    )


class RunFolder:
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
        """A fresh folder: `root/name`, or `root/default` with a number if that is taken.

        Raises `RunError` if `name` is taken or `root` is no folder, `OSError` if it may not be written.
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
        raise taken(root / (name or default))

    def is_finished(self) -> bool:
        """Does the run have its result?"""
        return (self.path / "result.json").exists()

    def reopen(self) -> None:
        """Let a finished run go on: its result is no longer that of the recipe."""
        for name in ("result.json", "report.html"):
            (self.path / name).unlink(missing_ok=True)

    def remove_beginning(self) -> None:
        """Remove what a run leaves that dies before its first step. Raises `RunError` if more is there."""
        if not self.path.exists():
            return
        own = {"checkpoints", "config.toml", "contract.json", "environment.json", "lock"}
        entries = {p.name.removesuffix(".part") for p in self.path.iterdir()} if self.path.is_dir() else {""}
        begun = self.checkpoints.is_dir() and not any(self.checkpoints.iterdir())
        if not (begun and entries <= own):
            raise RunError(f"{self.path}: is there but is no run; give another --name")
        shutil.rmtree(self.path)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes out of this run while entered. Raises `RunError` if one is in it."""
        with ExitStack() as held:
            try:
                problem = held.enter_context(hold(self.path / "lock"))
            except BlockingIOError:
                raise RunError(f"{self.path}: another process is training this run") from None
            if problem:
                self.log(f"warning: {problem}; keep other processes out yourself")
            yield

    # Written once

    def write(self, name: str, text: str) -> None:
        """Write the file `name`: aside, then renamed."""
        aside = self.path / f"{name}.part"
        # A path that is not UTF-8 is spelt out, which JSON reads as the same path.
        with open(aside, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, self.path / name)

    def write_json(self, name: str, value: Any) -> None:
        self.write(name, json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def read_json(self, name: str) -> Any:
        """The JSON in the file `name`. Raises `RunError`."""
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(f"{self.path / name}: cannot be read ({error})") from None

    def recipe(self) -> Recipe:
        """The recipe of this run, every field filled. Raises `RunError`."""
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
        """model/ in the hub layout: aside, then renamed."""
        aside = self.path / "model.part"
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(self.model, ignore_errors=True)  # of an end that was cut short
        write_hub_folder(aside, network, contract, card)
        os.replace(aside, self.model)

    # Written along the way

    def keep(self, snapshot: Snapshot, is_best: bool) -> None:
        """Write a checkpoint as `last`, and as `best` if it is; what was `last` is `previous`."""
        checkpoints.rotate(self.last, self.previous)
        checkpoints.write(snapshot, self.last)
        if is_best:
            checkpoints.link(self.last, self.best)

    def set_status(self, state: str, why: str = "") -> None:
        """status.json: `running`, `finished`, `resumable` or `failed`, and why."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        value = {"state": state, "why": why, "time_utc": now, "pid": os.getpid()}
        self.write_json("status.json", value)

    def confirm_finished(self) -> None:
        """Say so in status.json, if the end of this run's process left it otherwise."""
        try:
            state = self.read_json("status.json")["state"]
        except (RunError, KeyError, TypeError):
            state = "lost"
        if state != "finished":
            self.set_status("finished")

    def log(self, text: str) -> None:
        """Add `text` to log.txt with the time."""
        now = datetime.now().isoformat(sep=" ", timespec="seconds")
        with open(self.path / "log.txt", "a", encoding="utf-8") as file:
            file.writelines(f"{now}  {line}\n" for line in text.splitlines())

    def add_metrics(self, records: Iterable[dict[str, Any]]) -> None:
        """Add lines to metrics.jsonl."""
        with open(self.path / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.writelines(json.dumps(record) + "\n" for record in records)

    def sync_metrics(self) -> None:
        """Flush metrics.jsonl to the disk: no checkpoint may be newer than what is told of it."""
        if (self.path / "metrics.jsonl").exists():
            with open(self.path / "metrics.jsonl", "r+b") as file:
                os.fsync(file.fileno())

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl; a half-written last one is left out."""
        records = []
        if (self.path / "metrics.jsonl").exists():
            for line in (self.path / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
                try:
                    records.append(json.loads(line))
                except ValueError:
                    break
        return records

    def cut_metrics(self, step: int, epochs: int) -> None:
        """Forget metrics after `step` and of more than so many epochs: a resumed run writes them again."""
        kept = [
            record for record in self.metrics() if record["step"] <= step and record.get("epoch", 0) <= epochs
        ]
        self.write("metrics.jsonl", "".join(json.dumps(record) + "\n" for record in kept))

    def write_predictions(
        self, split: str, keys: list[str], labels: NDArray[np.int64], probabilities: NDArray[np.float32]
    ) -> None:
        """predictions/{split}.parquet: key, label, probabilities."""
        (self.path / "predictions").mkdir(exist_ok=True)
        table = pa.table({"key": keys, "label": labels, "probabilities": list(probabilities)})
        pq.write_table(table, self.path / "predictions" / f"{split}.parquet")


class Onlooker(RunFolder):
    """The folder in the hands of a process that does not lead: nothing is written, and nothing is read."""

    def write(self, name: str, text: str) -> None:
        pass

    def write_model(self, network: Network, contract: Contract, card: str) -> None:
        pass

    def log(self, text: str) -> None:
        pass

    def add_metrics(self, records: Iterable[dict[str, Any]]) -> None:
        pass

    def sync_metrics(self) -> None:
        pass

    def metrics(self) -> list[dict[str, Any]]:
        return []

    def write_predictions(
        self, split: str, keys: list[str], labels: NDArray[np.int64], probabilities: NDArray[np.float32]
    ) -> None:
        pass
