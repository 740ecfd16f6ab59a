"""Checkpoints: a `TrainState` in one safetensors file, with the rest as JSON in its header. No pickle is
read."""

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
from typing import Annotated, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from resnext.errors import ResnextError
from resnext.files import as_it_is, check_ordinary, naming
from resnext.parsing import MAX_INTEGER, Extensible, Range, build, parse_json, show
from resnext.training.loop import TrainState

SCHEMA = 2
#: Placeholder in the header until the checksum is known.
BLANK = b"?" * 64


class CheckpointError(ResnextError):
    """A checkpoint that cannot be read, or that belongs to another run."""

    exit_code = 4


@dataclass(frozen=True)
class Snapshot:
    """A copy of a state at one step, in main memory, which training cannot change any more."""

    tensors: dict[str, Tensor]
    header: dict[str, Any]


def take_snapshot(state: TrainState, extra: dict[str, Any]) -> Snapshot:
    """A copy of `state`; `extra` is JSON that is stored with it."""
    optimiser = state.optimiser.state_dict()
    tensors = _with_prefix("network", state.network.state_dict())
    if state.average is not None:
        tensors |= _with_prefix("average", state.average.network.state_dict())
    for index, values in optimiser["state"].items():
        tensors |= _with_prefix(f"optimiser.{index}", {k: v for k, v in values.items() if v is not None})
    header = {"schema": SCHEMA, "step": state.step, "groups": optimiser["param_groups"], "extra": extra}
    return Snapshot(tensors, json.loads(json.dumps(header)))


def write_snapshot(snapshot: Snapshot, path: Path) -> None:
    """Write `snapshot` to a file beside `path`, with a checksum, sync it to the disk, then rename it to
    `path`.

    A crash at any moment leaves either the old file or the new one. Raises `OSError`.
    """
    text = json.dumps(snapshot.header)
    metadata = {"format": "pt", "resnext": text, "sha256": BLANK.decode()}
    aside = path.with_name(path.name + ".part")
    aside.unlink(missing_ok=True)  # a link there would be written through
    try:
        with naming(path), ThreadPoolExecutor(1) as threads:  # beside the writing, which takes longer
            digest = threads.submit(_digest, text, snapshot.tensors)
            save_file(snapshot.tensors, aside, metadata)
            with open(aside, "r+b", opener=as_it_is) as file:
                os.fsync(file.fileno())
                size = int.from_bytes(file.read(8), "little")  # of the header that follows
                file.seek(8 + file.read(size).index(BLANK))
                file.write(digest.result().encode())
                file.flush()
                os.fsync(file.fileno())
        os.replace(aside, path)
    except SafetensorError as error:  # how safetensors reports a full disk
        aside.unlink(missing_ok=True)
        raise OSError(f"{path}: cannot be written ({error})") from None
    except OSError:
        aside.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def load_checkpoint(state: TrainState, path: Path) -> dict[str, Any]:
    """Load the checkpoint at `path` into `state`, and return its `extra`.

    Raises `CheckpointError`. A damaged file is noticed before `state` changes; with a file of another network
    or recipe, `state` is unusable afterwards.
    """
    try:
        check_ordinary(path)
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        text, digest = metadata["resnext"], metadata["sha256"]
        whole = _digest(text, tensors) == digest
        header = parse_json(text) if whole else {}
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path}: not a complete checkpoint ({error})") from None
    if not whole:
        raise CheckpointError(f"{path}: not a complete checkpoint (its checksum does not match)")
    if not isinstance(header, dict) or header.get("schema") != SCHEMA:
        raise CheckpointError(
            f"{path}: is of another schema than {SCHEMA}, which this version reads; resume the run with the "
            "version that wrote it"
        )
    try:
        build(_Header, header, "header")
        _check_groups(state, header["groups"])
        return restore_snapshot(state, Snapshot(tensors, header))
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: belongs to another network or recipe ({error})") from None


@dataclass(frozen=True)
class _Header(Extensible):
    """The JSON of a checkpoint."""

    step: Annotated[int, Range(0, MAX_INTEGER)]
    groups: list[dict[str, Any]]
    extra: dict[str, Any]


def _check_groups(state: TrainState, groups: list[dict[str, Any]]) -> None:
    """Raises `ValueError` if a setting of the optimiser is not a number although `state` has one there."""
    for own, stored in zip(state.optimiser.param_groups, groups, strict=True):
        for name, value in own.items():
            if isinstance(value, int | float) and not isinstance(stored.get(name), int | float | None):
                raise ValueError(f"groups.{name} is {show(stored[name])}")


def restore_snapshot(state: TrainState, snapshot: Snapshot) -> dict[str, Any]:
    """Load `snapshot` into `state`, and return its `extra`.

    Raises `RuntimeError`, `ValueError` or `KeyError` if it belongs to another network; `state` is unusable
    then.
    """
    tensors = snapshot.tensors
    state.network.load_state_dict(_without_prefix("network", tensors))
    if state.average is not None:
        state.average.network.load_state_dict(_without_prefix("average", tensors))
    params = dict(enumerate(p for group in state.optimiser.param_groups for p in group["params"]))
    values: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _without_prefix("optimiser", tensors).items():
        index, key = name.split(".", 1)
        values.setdefault(int(index), {})[key] = _with_strides_of(params[int(index)], tensor)
    state.optimiser.load_state_dict({"state": values, "param_groups": snapshot.header["groups"]})
    state.step = snapshot.header["step"]
    extra: dict[str, Any] = snapshot.header["extra"]
    return extra


class BackgroundWriter:
    """Runs jobs, one at a time, in a thread while training continues; `jobs` counts those submitted."""

    def __init__(self) -> None:
        self.jobs = 0
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def submit(self, job: Callable[[], None]) -> None:
        """Start `job` once the previous one has ended. Raises what that one raised."""
        self.wait()
        self.jobs += 1
        self._thread = threading.Thread(target=self._run, args=(job,), name="checkpoint")
        self._thread.start()

    def check(self) -> None:
        """Raise what the last job raised, if it has failed by now."""
        if self._error is not None:
            self.wait()

    def wait(self) -> None:
        """Wait until nothing is being written. Raises what the last job raised."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            try:
                raise error
            finally:
                del error  # it holds this frame by its traceback: a cycle

    def join(self, seconds: float) -> None:
        """Wait until nothing is being written, at most `seconds`. Raises nothing, and may be called from any
        thread."""
        if (thread := self._thread) is not None:
            thread.join(seconds)

    def _run(self, job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:  # raised again in the thread that waits
            self._error = error


def keep_as_previous(newest: Path, previous: Path) -> None:
    """Make `previous` the file that `newest` is now, without copying; one of the two exists at every
    moment."""
    if newest.exists():
        hard_link(newest, previous)


def hard_link(source: Path, target: Path) -> None:
    """Make `target` a hard link to `source`. Checkpoints are replaced, never changed, so the two stay
    independent."""
    aside = target.with_name(target.name + ".part")
    aside.unlink(missing_ok=True)
    try:
        os.link(source, aside)
    except OSError:  # some file systems have no hard links
        shutil.copyfile(source, aside)
    os.replace(aside, target)
    aside.unlink(missing_ok=True)  # `replace` does nothing if both are one file already
    _sync_folder(target.parent)


def _with_strides_of(param: Tensor, tensor: Tensor) -> Tensor:
    """`tensor` with the strides of `param`. Fused updates walk through the memory of both in one order, and
    files do not store strides."""
    if tensor.shape != param.shape:
        return tensor
    return torch.empty_strided(param.size(), param.stride(), dtype=tensor.dtype).copy_(tensor)


def _with_prefix(prefix: str, tensors: dict[str, Any]) -> dict[str, Tensor]:
    return {
        f"{prefix}.{name}": tensor.detach().clone(memory_format=torch.contiguous_format).cpu()
        for name, tensor in tensors.items()
    }


def _digest(text: str, tensors: dict[str, Tensor]) -> str:
    """SHA-256 of the header's text, and of the name, type, shape and bytes of each tensor."""

    def of(name: str) -> str:
        tensor = tensors[name]
        values = tensor.reshape(-1).view(torch.uint8).numpy()
        return f"{name} {tensor.dtype} {tuple(tensor.shape)} {hashlib.sha256(values).hexdigest()}\n"  # type: ignore[arg-type]

    with ThreadPoolExecutor(2) as threads:
        lines = "".join(threads.map(of, sorted(tensors)))
    return hashlib.sha256(f"{text}\n{lines}".encode()).hexdigest()


def _without_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name[len(prefix) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(prefix + ".")
    }


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # a folder cannot be opened on Windows
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
