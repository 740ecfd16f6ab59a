"""`Opener`: makes an engine for a model; which there are for a path or name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import torch

from resnext.catalogue import EXPORTS, Located, locate
from resnext.contract import Contract
from resnext.engine.engine import Engine, ModelError
from resnext.engine.exports import exports_of
from resnext.engine.foreign import ForeignContract, refuse_foreign
from resnext.engine.ir_file import IrFile
from resnext.engine.onnx_file import OnnxFile
from resnext.engine.onnx_runtime import OnnxRuntimeEngine
from resnext.engine.openvino_engine import OpenVinoEngine
from resnext.engine.program_engine import ProgramEngine
from resnext.engine.program_file import ProgramFile
from resnext.engine.torch_engines import CompiledEngine, FoldedEngine, TorchEngine
from resnext.models import Network
from resnext.weights import explain_unfinished, load_network

TORCH_ENGINES: tuple[type[TorchEngine], ...] = (TorchEngine, FoldedEngine, CompiledEngine)
#: Engines of exported files by the suffix of their names; the first is the usual one.
FILE_ENGINES: dict[str, dict[str, Callable[[Path, ForeignContract | None], Engine]]] = {
    ".onnx": {
        "onnxruntime": lambda path, foreign: OnnxRuntimeEngine(OnnxFile.read(path, foreign)),
        "openvino": lambda path, foreign: OpenVinoEngine(OnnxFile.read(path, foreign)),
    },
    ".pt2": {"pt2": lambda path, foreign: ProgramEngine(ProgramFile.read(path, foreign))},
    ".xml": {"openvino": lambda path, foreign: OpenVinoEngine(IrFile.read(path, foreign))},
}


@dataclass(frozen=True)
class Opener:
    """Makes an engine for a model.

    Attributes:
        name: Name of the engine.
        path: What it reads.
        open: Makes it. Raises `ModelError` or `EngineMissing`.
        is_slow_to_start: Whether its first batch takes a minute.
    """

    name: str
    path: Path
    open: Callable[[], Engine]
    is_slow_to_start: bool = False


def is_exported(model: str | Path) -> bool:
    """Whether `model` is an exported file, by its suffix. Raises `TypeError` for what is no path."""
    if not isinstance(model, str | os.PathLike):
        raise TypeError(
            "a model is a Classifier, or the path of a run folder, hub folder, weights file or exported "
            f"file, not {type(model).__name__}"
        )
    return os.path.splitext(model)[1].lower() in FILE_ENGINES and not os.path.isdir(model)


def find_openers(
    model: str | Path, device: torch.device, foreign: ForeignContract | None = None
) -> Iterator[Opener]:
    """The openers of the engines that can compute a model, the usual one first.

    Of a run, its exports are among them, if they were made of its present weights.

    Args:
        model: Path of the model, or a name of public weights.
        device: Where it is computed.
        foreign: What the user says about an exported file that carries no contract.

    Raises:
        ModelError: There is no model at that path, or it is exported and the device is not the CPU.
    """
    if is_exported(model):
        yield from _of_file(Path(model), device, foreign)
        return
    refuse_foreign(model, foreign)
    path, opened = _locate(model).path, cache(partial(open_network, model))
    for kind in TORCH_ENGINES:
        yield Opener(kind.name, path, partial(_open_torch, kind, opened, device), kind is CompiledEngine)
    if device.type == "cpu":
        yield from _exports(path)


def open_network(model: str | Path) -> tuple[Network, Contract]:
    """The network and the contract of a model that is not exported.

    Raises:
        ModelError: There is no such model, or it is exported.
        WeightsError: The weights do not fit the network.
    """
    located = _locate(model)
    path = located.path
    if (path / "model").is_dir():
        path = path / "model"
    elif hint := explain_unfinished(path):
        raise ModelError(hint)
    elif path.is_dir() and not (path / "config.json").exists():
        raise ModelError(
            f"{model}: neither a run folder nor a hub folder (no model/, no config.json); give the folder "
            "of a finished run, such as runs/NAME"
        )
    network, contract = load_network(path)
    return network, located.entry.contract if located.entry else contract


def _locate(model: str | Path) -> Located:
    """Where a model that is not exported lies. Raises `ModelError`."""
    located = locate(model)
    if is_exported(located.path):
        raise ModelError(
            f"{model}: is an exported model, which cannot be changed or trained; give the run folder, hub "
            "folder or weights file that it was made from"
        )
    if not located.path.exists():
        raise ModelError(
            f"{model}: there is no such model; give a run folder, a hub folder or a weights file"
        )
    return located


def _of_file(path: Path, device: torch.device, foreign: ForeignContract | None) -> Iterator[Opener]:
    if not path.exists():
        raise ModelError(f"{path}: there is no such file")
    if device.type != "cpu":
        raise ModelError(f"{path}: is computed on the CPU; leave out --device {device}")
    for name, make in FILE_ENGINES[path.suffix.lower()].items():
        yield Opener(name, path, partial(make, path, foreign))


def _open_torch(
    kind: type[TorchEngine], opened: Callable[[], tuple[Network, Contract]], device: torch.device
) -> Engine:
    network, contract = opened()
    return kind(network, contract, device)


def _exports(run: Path) -> Iterator[Opener]:
    """Those of exported files of a run that agreed with its present weights, by the engine that agreed. Files
    in int8 answer a little otherwise, so they are taken by path only."""
    for name, record in exports_of(run)[0].items():
        make, path = FILE_ENGINES.get(Path(name).suffix, {}).get(record.engine), run / EXPORTS / name
        if make is not None and record.takes == "pixels" and record.precision == "float32":
            yield Opener(record.engine, path, partial(make, path, None))
