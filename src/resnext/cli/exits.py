"""What each error means to a shell."""

from __future__ import annotations

import torch

from resnext.api import DesignError, ExperimentError
from resnext.arch import ArchitectureError
from resnext.bench import BenchError, NothingTimed
from resnext.cli.usage import UsageError
from resnext.cli.verbs import Train
from resnext.contract import ContractError
from resnext.data.decode import DataError
from resnext.data.fast import DecoderMissing
from resnext.data.hub import SourceMissing
from resnext.engine import ModelError
from resnext.machine import DeviceError
from resnext.recipe import RecipeError
from resnext.results import ResultsError
from resnext.run import LoggerMissing, RunError, Stopped
from resnext.training.checkpoints import CheckpointError
from resnext.training.launcher import LaunchError
from resnext.training.loop import Diverged
from resnext.training.meeting import PeersDiffer
from resnext.training.pulse import PeerFailed, PeerLost
from resnext.weights import WeightsError

EXIT_CODES: dict[type[Exception], int] = {
    UsageError: 2,
    NothingTimed: 5,
    BenchError: 2,
    ArchitectureError: 2,
    RecipeError: 2,
    ExperimentError: 2,
    ModelError: 2,
    RunError: 2,
    DataError: 3,
    ResultsError: 3,
    WeightsError: 4,
    ContractError: 4,
    Diverged: 4,
    DeviceError: 5,
    LoggerMissing: 5,
    SourceMissing: 5,
    DecoderMissing: 5,
    DesignError: 4,
    PeersDiffer: 2,
    LaunchError: 2,
    Stopped: 75,
    PeerLost: 75,
    PeerFailed: 4,
    CheckpointError: 4,
}


def is_out_of_memory(error: Exception) -> bool:
    """Has torch, or Python, asked for more memory than there is?"""
    words = ("not enough memory", "out of memory", "ALLOC_FAILED")
    allocator = isinstance(error, RuntimeError) and any(word in str(error) for word in words)
    return allocator or isinstance(error, MemoryError | torch.OutOfMemoryError)


def less_memory(options: object) -> str:
    """What to type for it, for the verb that `options` are of."""
    if isinstance(options, Train):
        return "; try a smaller --batch, --data.size-px or --model"
    if hasattr(options, "batch"):
        return "; try a smaller --batch"
    device = getattr(options, "device", "cpu")
    on_gpu = device != "cpu" and (device is not None or torch.accelerator.is_available())
    return "; try --device cpu" if on_gpu else ""
