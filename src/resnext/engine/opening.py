"""A model by path or name, opened as a classifier."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import torch

from resnext.catalogue import locate
from resnext.contract import Contract
from resnext.engine.classifier import Classifier
from resnext.engine.engine import Engine, ModelError
from resnext.engine.foreign import ForeignContract
from resnext.engine.ir_file import IrFile
from resnext.engine.onnx_file import OnnxFile
from resnext.engine.onnx_runtime import OnnxRuntimeEngine
from resnext.engine.openvino_engine import OpenVinoEngine
from resnext.engine.program_engine import ProgramEngine
from resnext.engine.program_file import ProgramFile
from resnext.engine.torch_engines import CompiledEngine, FoldedEngine, TorchEngine
from resnext.models import Network
from resnext.recipe.options import EngineName
from resnext.weights import explain_unfinished, load_network

#: Engines of a network in torch, and those of files by suffix; the first is the usual one.
TORCH_ENGINES: tuple[type[TorchEngine], ...] = (TorchEngine, FoldedEngine, CompiledEngine)
Opener = Callable[[Path, ForeignContract | None], Engine]
FILE_ENGINES: dict[str, dict[str, Opener]] = {
    ".onnx": {
        "onnxruntime": lambda path, foreign: OnnxRuntimeEngine(OnnxFile.read(path, foreign)),
        "openvino": lambda path, foreign: OpenVinoEngine(OnnxFile.read(path, foreign)),
    },
    ".pt2": {"pt2": lambda path, foreign: ProgramEngine(ProgramFile.read(path, foreign))},
    ".xml": {"openvino": lambda path, foreign: OpenVinoEngine(IrFile.read(path, foreign))},
}


def open_model(
    model: str | Path,
    device: torch.device | str = "cpu",
    engine: EngineName | None = None,
    foreign: ForeignContract | None = None,
) -> Classifier:
    """The classifier in a run folder, a hub folder, a weights file with its contract, or an exported file, or
    that of a name.

    Args:
        model: Path of the folder or file, or a name of public weights (see `resnext.catalogue.locate`).
        device: Where the classifier computes; exported files do on the CPU.
        engine: What computes it; the usual one for such a model if None.
        foreign: What the user says about an exported file that carries no contract.

    Raises:
        ModelError: If there is no model at that path, or the engine cannot take it.
        EngineMissing: If the engine's library is not installed.
        WeightsError: If the weights do not fit the network.
    """
    if not isinstance(model, str | os.PathLike):
        raise TypeError(
            f"a model is a Classifier, or the path of a run folder, hub folder or weights file, "
            f"not {type(model).__name__}"
        )
    if engine is not None and engine not in get_args(EngineName):
        raise ModelError(f"--engine {engine}: must be one of {', '.join(get_args(EngineName))}")
    if is_exported(model):
        return Classifier(_open_file(Path(model), torch.device(device), engine, foreign))
    if foreign is not None and foreign.given:
        raise ModelError(f"{model}: carries its own contract; leave out {foreign.given}")
    known = {kind.name: kind for kind in TORCH_ENGINES}
    if engine is not None and engine not in known:
        raise ModelError(f"{model}: {engine} computes exported files; `resnext export {model}` makes them")
    network, contract = open_network(model)
    return Classifier(known[engine or TorchEngine.name](network, contract, device))


def is_exported(model: str | Path) -> bool:
    """Whether `model` is an exported file, by the suffix of its name."""
    return os.path.splitext(model)[1].lower() in FILE_ENGINES and not os.path.isdir(model)


def open_network(model: str | Path) -> tuple[Network, Contract]:
    """The network and the contract of a model that is not exported. Raises as `open_model`."""
    located = locate(model)
    path = located.path
    if is_exported(path):
        raise ModelError(
            f"{model}: is an exported model, which cannot be changed or trained; give the run folder, hub "
            "folder or weights file that it was made from"
        )
    if not path.exists():
        raise ModelError(
            f"{model}: there is no such model; give a run folder, a hub folder or a weights file"
        )
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


def _open_file(
    path: Path, device: torch.device, engine: str | None, foreign: ForeignContract | None
) -> Engine:
    if not path.exists():
        raise ModelError(f"{path}: there is no such file")
    if device.type != "cpu":
        raise ModelError(f"{path}: is computed on the CPU; leave out --device {device}")
    known = FILE_ENGINES[path.suffix.lower()]
    if engine is not None and engine not in known:
        raise ModelError(f"{path}: is computed by {' or '.join(known)}, not by --engine {engine}")
    return known[engine or next(iter(known))](path, foreign)
