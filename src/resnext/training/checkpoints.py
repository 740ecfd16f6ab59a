"""A `State` as one file: tensors in safetensors, the rest as JSON in its header. Nothing to unpickle."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from resnext.training.loop import State

SCHEMA = 1


class CheckpointError(Exception):
    """A checkpoint that cannot be read, or that belongs to another run."""


def save(state: State, path: Path, extra: dict[str, Any]) -> None:
    """Write `state` and `extra` (JSON) to `path`: aside, flushed to the disk, then renamed.

    A crash at any moment leaves either the old file or the new one. Raises `OSError`.
    """
    optimiser = state.optimiser.state_dict()
    tensors: dict[str, Tensor] = _named("network", state.network.state_dict())
    if state.average is not None:
        tensors |= _named("average", state.average.network.state_dict())
    for index, values in optimiser["state"].items():
        tensors |= _named(f"optimiser.{index}", {k: v for k, v in values.items() if v is not None})
    header = {"schema": SCHEMA, "step": state.step, "groups": optimiser["param_groups"], "extra": extra}
    aside = path.with_name(path.name + ".part")
    try:
        save_file(tensors, aside, metadata={"format": "pt", "resnext": json.dumps(header)})
        with open(aside, "rb") as file:
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
    """Fill `state` from `path`; returns `extra`. Raises `CheckpointError`; then `state` is spoilt."""
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads(file.metadata()["resnext"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: not a whole checkpoint ({error})") from None
    if header.get("schema") != SCHEMA:
        raise CheckpointError(f"{path}: schema {header.get('schema')!r}; this version reads {SCHEMA}")
    try:
        state.network.load_state_dict(_under("network", tensors))
        if state.average is not None:
            state.average.network.load_state_dict(_under("average", tensors))
        values: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under("optimiser", tensors).items():
            index, key = name.split(".", 1)
            values.setdefault(int(index), {})[key] = tensor
        state.optimiser.load_state_dict({"state": values, "param_groups": header["groups"]})
    except (RuntimeError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path}: belongs to another network or recipe ({error})") from None
    state.step = header["step"]
    extra: dict[str, Any] = header["extra"]
    return extra


def rotate(newest: Path, previous: Path) -> None:
    """Keep what `newest` is now as `previous`, at no cost and with no moment without either."""
    if newest.exists():
        link(newest, previous)


def link(source: Path, target: Path) -> None:
    """Let `target` be the file that `source` is now (a hard link: later writes replace, never change)."""
    aside = target.with_name(target.name + ".part")
    aside.unlink(missing_ok=True)
    os.link(source, aside)
    os.replace(aside, target)


def _named(prefix: str, tensors: dict[str, Any]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor.contiguous() for name, tensor in tensors.items()}


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name[len(prefix) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(prefix + ".")
    }


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
