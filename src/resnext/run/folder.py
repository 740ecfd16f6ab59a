"""The run folder: everything about one run. Only loggers and reports write there by other code."""

from __future__ import annotations

import errno
import json
import os
import shutil
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from resnext.contract import Contract
from resnext.errors import ResnextError
from resnext.files import as_it_is, find_link, naming, replacing, write_whole
from resnext.models import Network
from resnext.names import printable
from resnext.parsing import MAX_TOML_BYTES, build, read_json, read_json_lines, read_text, show
from resnext.recipe import MAX_EPOCHS, Recipe
from resnext.run.documents import EpochLine, StatusDocument, to_json_text
from resnext.run.locks import lock_file
from resnext.run.status_file import StatusFile
from resnext.training import checkpoints
from resnext.training.checkpoints import Snapshot
from resnext.weights import write_hub_folder

Document = TypeVar("Document")
#: Key of the temperature of the probabilities, in the metadata of a table of predictions.
TEMPERATURE_KEY = "temperature"


class RunError(ResnextError):
    """A run folder that cannot be used as asked."""

    exit_code = 2


class RunFolderLost(RunError, OSError):
    """A run folder was moved or removed while its run trained."""

    exit_code = 5


class RunTaken(RunError):
    """Another process trains this run as well, where there are no locks to keep it out."""

    exit_code = 5


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

    @abstractmethod
    def close(self) -> None:
        """Let go of what is kept open between two writes."""


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

    def close(self) -> None:
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
        self._status = StatusFile(path / "status.json")

    @classmethod
    def draft(cls, root: Path, files: Mapping[str, str | bytes]) -> RunFolder:
        """A new folder with `files` in `root`, under a hidden name until it is published.

        Raises:
            RunError: `root` is no folder.
            OSError: `root` may not be written.
        """
        folder = cls(root / f".new-{uuid.uuid4().hex}")
        try:
            root.mkdir(parents=True, exist_ok=True)
            folder.path.mkdir()
            folder.checkpoints.mkdir()
            for name, content in files.items():
                folder.write(name, content)
        except (FileNotFoundError, NotADirectoryError, FileExistsError) as error:
            raise RunError(
                f"{error.filename}: is not a folder that a run can lie in; say another with --runs"
            ) from None
        except BaseException:  # a full disk, or a signal
            folder.discard()
            raise
        return folder

    def publish(self, name: str | None, default: str) -> RunFolder:
        """The folder at its place: `name`, or `default` with a number if that name is taken.

        The folder appears there complete, by one rename. A lock on this folder stays with it. Raises
        `RunError` if `name` is taken.
        """
        for number in range(1, 100_000):
            path = self.path.with_name(name or (default if number == 1 else f"{default}-{number}"))
            if _rename_to_free(self.path, path):
                return RunFolder(path)
            if name is not None:  # nothing was there when the scan began
                raise RunError(
                    f"{path}: another process has just started a run of this name; give another --name"
                )
        raise name_taken_error(self.path.with_name(default))

    def discard(self) -> None:
        """Remove the folder, as far as that is possible."""
        shutil.rmtree(self.path, ignore_errors=True)

    def is_finished(self) -> bool:
        """Whether the run has its result."""
        return (self.path / "result.json").exists()

    def reopen(self) -> None:
        """Let a finished run continue: remove its result and report, which are not those of more epochs."""
        for name in ("result.json", "report.html"):
            (self.path / name).unlink(missing_ok=True)

    def remove_incomplete(self) -> None:
        """Remove what is left of a run that died before its first step, as those of earlier versions could.

        Raises `RunError` if more is there, or another process trains it.
        """
        if self.path.exists():
            self._check_incomplete()
            with self.lock():
                self._check_incomplete()  # another process may have been here since
                shutil.rmtree(self.path)

    def _check_incomplete(self) -> None:
        own = {"checkpoints", "config.toml", "contract.json", "environment.json", "lock"}
        entries = {p.name.removesuffix(".part") for p in self.path.iterdir()} if self.path.is_dir() else {""}
        has_begun = self.checkpoints.is_dir() and not any(self.checkpoints.iterdir())
        if not (has_begun and entries <= own):
            raise RunError(f"{self.path}: exists but is no run; give another --name")

    @contextmanager
    def lock(self) -> Iterator[str]:
        """A context that keeps other processes out of this run.

        Yields:
            A warning if there are no locks here, else an empty string.

        Raises:
            RunError: Another process trains this run, or something in the folder is a link.
        """
        with ExitStack() as held:
            if link := find_link(self.path, skipped="wandb"):  # it links its own files to each other
                raise RunError(f"{link}: is a link, and nothing is written through links; remove it")
            try:
                problem = held.enter_context(lock_file(self.path / "lock"))
            except BlockingIOError:
                raise RunError(
                    f"{self.path}: another process is training this run; stop it, or give another --name"
                ) from None
            yield f"{problem}: make sure that no other process trains this run" if problem else ""

    @contextmanager
    def name_loss(self) -> Iterator[None]:
        """A context in which an `OSError` or `RunError` becomes `RunFolderLost` if the folder is gone."""
        try:
            yield
        except (OSError, RunError) as error:
            if self.checkpoints.is_dir():
                raise
            raise RunFolderLost(
                f"{self.checkpoints}: is gone; the run folder was moved or removed while it trained ({error})"
            ) from error

    def check_own(self) -> None:
        """Raise `RunTaken` if another process has set status.json since this one did.

        Where there are no locks, this is how the earlier of two processes that train one run is told, before
        each of its writes.
        """
        if self._status.is_replaced():
            raise RunTaken(
                f"{self.path}: another process has begun to train this run, and there are no locks here that "
                "would have kept it out; it goes on, and this process has ended. Train one run in one process"
            )

    # Files that are written once

    def write(self, name: str, content: str | bytes) -> None:
        """Write the file `name`, through a temporary file that is renamed."""
        self.check_own()
        write_whole(self.path / name, content)

    def write_json(self, name: str, value: Any) -> None:
        self.write(name, to_json_text(value))

    def read_json(self, name: str) -> Any:
        """The JSON in the file `name`. Raises `RunError`."""
        try:
            return read_json(self.path / name)
        except (OSError, ValueError) as error:
            raise RunError(f"{self.path / name}: cannot be read ({error})") from None

    def read_document(self, name: str, kind: type[Document]) -> Document:
        """The JSON in the file `name` as a type of `resnext.run.documents`.

        Raises:
            RunError: The file cannot be read, or a field is missing or wrong; names it.
        """
        try:
            return build(kind, self.read_json(name), name.removesuffix(".json"))
        except ValueError as error:
            raise RunError(f"{self.path / name}: {error}") from None

    def recipe(self) -> Recipe:
        """The recipe of this run, with every field filled. Raises `RunError`."""
        try:
            return Recipe.from_toml(read_text(self.path / "config.toml", MAX_TOML_BYTES))
        except (OSError, ValueError) as error:
            raise RunError(f"{self.path / 'config.toml'}: {error}") from None

    def contract(self) -> Contract:
        """The contract of this run's network. Raises `RunError`."""
        try:
            return Contract.loads(read_text(self.path / "contract.json"))
        except (OSError, ValueError) as error:
            raise RunError(f"{self.path / 'contract.json'}: {error}") from None

    def write_model(self, network: Network, contract: Contract, card: str) -> None:
        """Write the folder model/ in the hub layout, through a temporary folder that is renamed."""
        self.check_own()
        temporary = self.path / "model.part"
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(self.model, ignore_errors=True)  # left where the end of a run was interrupted
        write_hub_folder(temporary, network, contract, card)
        os.replace(temporary, self.model)

    def write_predictions(
        self,
        split: str,
        keys: list[str],
        labels: NDArray[np.int64],
        probabilities: NDArray[np.float32],
        temperature: float,
    ) -> None:
        """Write predictions/{split}.parquet: key, label, probabilities; in its metadata, temperature."""
        self.check_own()
        (self.path / "predictions").mkdir(exist_ok=True)
        table = pa.table({"key": keys, "label": labels, "probabilities": list(probabilities)})
        table = table.replace_schema_metadata({TEMPERATURE_KEY: repr(temperature)})
        with replacing(self.path / "predictions" / f"{split}.parquet") as file:
            pq.write_table(table, file)

    # Files that grow or change while the run trains

    def save_checkpoint(self, snapshot: Snapshot, is_best: bool) -> None:
        """Write `snapshot` as `last`, and as `best` if it is; the former `last` becomes `previous`."""
        self.check_own()
        checkpoints.keep_as_previous(self.last, self.previous)
        checkpoints.write_snapshot(snapshot, self.last)
        if is_best:
            checkpoints.hard_link(self.last, self.best)

    def set_status(self, state: str, why: str = "") -> None:
        self.check_own()
        self._status.write(state, why)

    def close(self) -> None:
        self._status.close()

    def confirm_finished(self) -> None:
        """Set the status of a finished run to `finished`, in case its process ended before it could do so."""
        try:
            state = self.read_document("status.json", StatusDocument).state
        except RunError:
            state = "lost"
        if state != "finished":
            self.set_status("finished")
            self.close()

    def log(self, text: str) -> None:
        self.check_own()
        now = datetime.now().isoformat(sep=" ", timespec="seconds")
        path = self.path / "log.txt"
        with naming(path), open(path, "a", encoding="utf-8", opener=as_it_is) as file:
            file.writelines(f"{now}  {printable(line)}\n" for line in text.splitlines())

    def add_metrics(self, records: Iterable[dict[str, Any]]) -> None:
        self.check_own()
        path = self.path / "metrics.jsonl"
        with naming(path), open(path, "a", encoding="utf-8", opener=as_it_is) as file:
            file.writelines(json.dumps(record) + "\n" for record in records)

    def sync_metrics(self) -> None:
        if (self.path / "metrics.jsonl").exists():
            with open(self.path / "metrics.jsonl", "r+b", opener=as_it_is) as file:
                os.fsync(file.fileno())

    def metrics(self) -> Iterator[dict[str, Any]]:
        """The lines of metrics.jsonl, without a last one that is half written. Raises `RunError`."""
        path = self.path / "metrics.jsonl"
        if not path.exists():
            return
        try:
            for number, line in enumerate(read_json_lines(path), start=1):
                for name, value in (("step", line.get("step")), ("epoch", line.get("epoch", 0))):
                    if type(value) is not int or value < 0:
                        raise ValueError(f"line {number}: {name} must be a whole number, not {show(value)}")
                yield line
        except (OSError, ValueError) as error:
            raise RunError(f"{path}: {error}; mend or remove it") from None

    def epoch_metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl about whole epochs. Raises `RunError`."""
        lines = list(islice((line for line in self.metrics() if "val_loss" in line), MAX_EPOCHS + 1))
        if len(lines) > MAX_EPOCHS:
            raise RunError(f"{self.path / 'metrics.jsonl'}: has more than {MAX_EPOCHS:,} epochs")
        return lines

    def epochs(self) -> list[EpochLine]:
        """As `epoch_metrics`, as typed values. Raises `RunError`, which names the field."""
        try:
            lines = self.epoch_metrics()
            return [build(EpochLine, line, f"epoch {number}") for number, line in enumerate(lines, start=1)]
        except ValueError as error:
            raise RunError(f"{self.path / 'metrics.jsonl'}: {error}") from None

    def truncate_metrics(self, step: int, epochs: int) -> None:
        """Drop metrics after `step`, and of epochs after `epochs`: the resumed run writes them again."""
        self.check_own()
        with replacing(self.path / "metrics.jsonl") as file:
            for record in self.metrics():
                if record["step"] <= step and record.get("epoch", 0) <= epochs:
                    file.write(json.dumps(record).encode() + b"\n")


def _rename_to_free(folder: Path, path: Path) -> bool:
    """Rename `folder` to `path` unless something is there; returns whether it was renamed."""
    if os.path.lexists(path):  # `rename` would replace an empty folder
        return False
    try:
        folder.rename(path)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            return False
        raise
    return True


def name_taken_error(path: Path) -> RunError:
    """The error for a new run at `path`, where a run exists already."""
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
        value = RunFolder(self.folder).read_json("result.json")
        if not isinstance(value, dict):
            raise RunError(f"{self.folder / 'result.json'}: must be an object, not {show(value)}")
        return value

    @property
    def recipe(self) -> Recipe:
        """Its recipe, with every field filled. Raises `RunError`."""
        return RunFolder(self.folder).recipe()

    @property
    def contract(self) -> Contract:
        """Its classes and pre-processing. Raises `RunError`."""
        return RunFolder(self.folder).contract()
