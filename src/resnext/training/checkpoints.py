"""A `State` as one file: tensors in safetensors, the rest as JSON in its header. Nothing to unpickle."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from resnext.training.loop import State

SCHEMA = 2
#: Stands in the header until the checksum is known.
BLANK = b"?" * 64


class CheckpointError(Exception):
    """A checkpoint that cannot be read, or that belongs to another run."""


@dataclass(frozen=True)
class Snapshot:
    """A state as it was at one step: copies in main memory, which training cannot change any more."""

    tensors: dict[str, Tensor]
    header: dict[str, Any]


def take(state: State, extra: dict[str, Any]) -> Snapshot:
    """Copy `state`; `extra` is JSON that travels with it."""
    optimiser = state.optimiser.state_dict()
    tensors = _named("network", state.network.state_dict())
    if state.average is not None:
        tensors |= _named("average", state.average.network.state_dict())
    for index, values in optimiser["state"].items():
        tensors |= _named(f"optimiser.{index}", {k: v for k, v in values.items() if v is not None})
    header = {"schema": SCHEMA, "step": state.step, "groups": optimiser["param_groups"], "extra": extra}
    return Snapshot(tensors, json.loads(json.dumps(header)))


def write(snapshot: Snapshot, path: Path) -> None:
    """Write `snapshot` to `path`: aside, with a checksum, flushed to the disk, then renamed.

    A crash at any moment leaves either the old file or the new one. Raises `OSError`.
    """
    text = json.dumps(snapshot.header)
    metadata = {"format": "pt", "resnext": text, "sha256": BLANK.decode()}
    aside = path.with_name(path.name + ".part")
    try:
        with ThreadPoolExecutor(1) as threads:  # the disk is slower than the checksum: both at once
            digest = threads.submit(_digest, text, snapshot.tensors)
            save_file(snapshot.tensors, aside, metadata)
            with open(aside, "r+b") as file:
                os.fsync(file.fileno())
                size = int.from_bytes(file.read(8), "little")  # of the header, which follows
                file.seek(8 + file.read(size).index(BLANK))
                file.write(digest.result().encode())
                file.flush()
                os.fsync(file.fileno())
        os.replace(aside, path)
    except SafetensorError as error:  # how a full disk looks through that library
        aside.unlink(missing_ok=True)
        raise OSError(f"{path}: cannot be written ({error})") from None
    except OSError:
        aside.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def load(state: State, path: Path) -> dict[str, Any]:
    """Fill `state` from `path`; returns `extra`.

    Raises `CheckpointError`: for a damaged file before `state` is touched; for a file of another
    network or recipe afterwards, and then `state` is spoilt.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        text, digest = metadata["resnext"], metadata["sha256"]
        whole = _digest(text, tensors) == digest
        header = json.loads(text) if whole else {}
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: not a whole checkpoint ({error})") from None
    if not whole:
        raise CheckpointError(f"{path}: not a whole checkpoint (its checksum does not fit)")
    if header.get("schema") != SCHEMA:
        raise CheckpointError(f"{path}: schema {header.get('schema')!r}; this version reads {SCHEMA}")
    try:
        return fill(state, Snapshot(tensors, header))
    except (RuntimeError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path}: belongs to another network or recipe ({error})") from None


def fill(state: State, snapshot: Snapshot) -> dict[str, Any]:
    """Put `snapshot` into `state`; returns its `extra`.

    Raises `RuntimeError`, `ValueError` or `KeyError` if it is another network's, and `state` is spoilt.
    """
    tensors = snapshot.tensors
    state.network.load_state_dict(_under("network", tensors))
    if state.average is not None:
        state.average.network.load_state_dict(_under("average", tensors))
    params = dict(enumerate(p for group in state.optimiser.param_groups for p in group["params"]))
    values: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _under("optimiser", tensors).items():
        index, key = name.split(".", 1)
        values.setdefault(int(index), {})[key] = _laid_out_as(params[int(index)], tensor)
    state.optimiser.load_state_dict({"state": values, "param_groups": snapshot.header["groups"]})
    state.step = snapshot.header["step"]
    extra: dict[str, Any] = snapshot.header["extra"]
    return extra


class Writer:
    """Writes in a thread, one job after the other, while training goes on; `jobs` have been handed in."""

    def __init__(self) -> None:
        self.jobs = 0
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def submit(self, job: Callable[[], None]) -> None:
        """Start `job` when the one before has ended. Raises what that one raised."""
        self.wait()
        self.jobs += 1
        self._thread = threading.Thread(target=self._run, args=(job,), name="checkpoint")
        self._thread.start()

    def wait(self) -> None:
        """Return when nothing is being written. Raises what the last job raised."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def join(self, seconds: float) -> None:
        """Return when nothing is being written, or after so long. Raises nothing: any thread may ask."""
        if (thread := self._thread) is not None:
            thread.join(seconds)

    def _run(self, job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:  # handed to whoever waits
            self._error = error


def rotate(newest: Path, previous: Path) -> None:
    """Keep what `newest` is now as `previous`, at no cost and with no moment without either."""
    if newest.exists():
        link(newest, previous)


def link(source: Path, target: Path) -> None:
    """Let `target` be the file that `source` is now (a hard link: later writes replace, never change)."""
    aside = target.with_name(target.name + ".part")
    aside.unlink(missing_ok=True)
    try:
        os.link(source, aside)
    except OSError:  # some file systems have no hard links
        shutil.copyfile(source, aside)
    os.replace(aside, target)
    aside.unlink(missing_ok=True)  # left there where both are one file already
    _sync_folder(target.parent)


def _laid_out_as(param: Tensor, tensor: Tensor) -> Tensor:
    """`tensor` with the strides of `param`: fused updates go through the memory of both in one order, and
    files keep none."""
    if tensor.shape != param.shape:
        return tensor
    return torch.empty_strided(param.size(), param.stride(), dtype=tensor.dtype).copy_(tensor)


def _named(prefix: str, tensors: dict[str, Any]) -> dict[str, Tensor]:
    return {
        f"{prefix}.{name}": tensor.detach().clone(memory_format=torch.contiguous_format).cpu()
        for name, tensor in tensors.items()
    }


def _digest(text: str, tensors: dict[str, Tensor]) -> str:
    """SHA-256 over the header's text and each tensor's name, type, shape and digest of its bytes."""

    def of(name: str) -> str:
        tensor = tensors[name]
        values = tensor.reshape(-1).view(torch.uint8).numpy()
        return f"{name} {tensor.dtype} {tuple(tensor.shape)} {hashlib.sha256(values).hexdigest()}\n"  # type: ignore[arg-type]

    with ThreadPoolExecutor(2) as threads:
        lines = "".join(threads.map(of, sorted(tensors)))
    return hashlib.sha256(f"{text}\n{lines}".encode()).hexdigest()


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name[len(prefix) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(prefix + ".")
    }


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows opens no folders
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
