"""ResNeXt: aggregated residual networks, trained, evaluated and used.

>>> import resnext
>>> resnext.create("resnext50_32x4d", classes=10).arch.name
'resnext50_32x4d'

Every error that the package raises on purpose is a `ResnextError`. The names below are imported on first use:
torch takes seconds to import.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from resnext.version import __version__ as __version__

if TYPE_CHECKING:
    from resnext import bench as bench
    from resnext import design as design
    from resnext import experiments as experiments
    from resnext import serve as serve
    from resnext.api import calibrate as calibrate
    from resnext.api import compare as compare
    from resnext.api import convert as convert
    from resnext.api import create as create
    from resnext.api import embed as embed
    from resnext.api import evaluate as evaluate
    from resnext.api import examine as examine
    from resnext.api import explain as explain
    from resnext.api import export_model as export_model
    from resnext.api import from_pretrained as from_pretrained
    from resnext.api import index_images as index_images
    from resnext.api import latency_meter as latency_meter
    from resnext.api import list_models as list_models
    from resnext.api import load as load
    from resnext.api import predict as predict
    from resnext.api import predict_many as predict_many
    from resnext.api import predict_to_file as predict_to_file
    from resnext.api import quantize as quantize
    from resnext.api import select as select
    from resnext.api import train as train
    from resnext.api import tune as tune
    from resnext.api import write_report as write_report
    from resnext.arch import Architecture as Architecture
    from resnext.arch import ArchitectureError as ArchitectureError
    from resnext.bench import BenchError as BenchError
    from resnext.bench import NothingTimed as NothingTimed
    from resnext.catalogue import DamagedWeights as DamagedWeights
    from resnext.catalogue import FetchError as FetchError
    from resnext.catalogue import UnknownWeights as UnknownWeights
    from resnext.contract import Contract as Contract
    from resnext.contract import ContractError as ContractError
    from resnext.data.decode import BadImage as BadImage
    from resnext.data.decode import DataError as DataError
    from resnext.data.hf_datasets import SourceMissing as SourceMissing
    from resnext.data.jpeg import DecoderMissing as DecoderMissing
    from resnext.data.workers import WorkerError as WorkerError
    from resnext.design import DesignError as DesignError
    from resnext.doctor import Diagnosis as Diagnosis
    from resnext.doctor import FindingsFound as FindingsFound
    from resnext.engine import Classifier as Classifier
    from resnext.engine import EngineMissing as EngineMissing
    from resnext.engine import Explanation as Explanation
    from resnext.engine import ForeignContract as ForeignContract
    from resnext.engine import ModelError as ModelError
    from resnext.engine import Prediction as Prediction
    from resnext.errors import PackageMissing as PackageMissing
    from resnext.errors import ResnextError as ResnextError
    from resnext.errors import UsageError as UsageError
    from resnext.experiments import ExperimentError as ExperimentError
    from resnext.experiments.tasks import CannotTime as CannotTime
    from resnext.export import Export as Export
    from resnext.export import ParityError as ParityError
    from resnext.machine import DeviceError as DeviceError
    from resnext.models import FeaturePyramid as FeaturePyramid
    from resnext.models import Network as Network
    from resnext.recipe import Recipe as Recipe
    from resnext.recipe import RecipeError as RecipeError
    from resnext.recipe import TrainOptions as TrainOptions
    from resnext.records import RecordsError as RecordsError
    from resnext.run import Evaluation as Evaluation
    from resnext.run import LoggerMissing as LoggerMissing
    from resnext.run import Run as Run
    from resnext.run import RunError as RunError
    from resnext.run import RunFolderLost as RunFolderLost
    from resnext.run import RunTaken as RunTaken
    from resnext.run import Stopped as Stopped
    from resnext.serve import ServeError as ServeError
    from resnext.training.checkpoints import CheckpointError as CheckpointError
    from resnext.training.heartbeat import PeerFailed as PeerFailed
    from resnext.training.heartbeat import PeerLost as PeerLost
    from resnext.training.launcher import LaunchError as LaunchError
    from resnext.training.loop import Diverged as Diverged
    from resnext.training.rendezvous import PeersDiffer as PeersDiffer
    from resnext.weights import HubNetwork as HubNetwork
    from resnext.weights import SendError as SendError
    from resnext.weights import WeightsError as WeightsError

#: Packages that are attributes of this one without an import of their own.
_PACKAGES = ("bench", "design", "experiments", "serve")
_NAMES_BY_MODULE = {
    "resnext.api": (
        *("calibrate", "compare", "convert", "create", "embed", "evaluate", "examine", "explain"),
        *(
            "export_model",
            "from_pretrained",
            "index_images",
            "latency_meter",
            "list_models",
            "load",
            "predict",
            "predict_many",
            "predict_to_file",
            "quantize",
            "select",
        ),
        *("train", "tune", "write_report"),
    ),
    "resnext.arch": ("Architecture", "ArchitectureError"),
    "resnext.bench": ("BenchError", "NothingTimed"),
    "resnext.catalogue": ("DamagedWeights", "FetchError", "UnknownWeights"),
    "resnext.contract": ("Contract", "ContractError"),
    "resnext.data.decode": ("BadImage", "DataError"),
    "resnext.data.hf_datasets": ("SourceMissing",),
    "resnext.data.jpeg": ("DecoderMissing",),
    "resnext.data.workers": ("WorkerError",),
    "resnext.design": ("DesignError",),
    "resnext.doctor": ("Diagnosis", "FindingsFound"),
    "resnext.engine": (
        "Classifier",
        "EngineMissing",
        "Explanation",
        "ForeignContract",
        "ModelError",
        "Prediction",
    ),
    "resnext.errors": ("PackageMissing", "ResnextError", "UsageError"),
    "resnext.experiments": ("ExperimentError",),
    "resnext.experiments.tasks": ("CannotTime",),
    "resnext.export": ("Export", "ParityError"),
    "resnext.machine": ("DeviceError",),
    "resnext.models": ("FeaturePyramid", "Network"),
    "resnext.recipe": ("Recipe", "RecipeError", "TrainOptions"),
    "resnext.records": ("RecordsError",),
    "resnext.run": ("Evaluation", "LoggerMissing", "Run", "RunError", "RunFolderLost", "RunTaken", "Stopped"),
    "resnext.serve": ("ServeError",),
    "resnext.training.checkpoints": ("CheckpointError",),
    "resnext.training.heartbeat": ("PeerFailed", "PeerLost"),
    "resnext.training.launcher": ("LaunchError",),
    "resnext.training.loop": ("Diverged",),
    "resnext.training.rendezvous": ("PeersDiffer",),
    "resnext.weights": ("HubNetwork", "SendError", "WeightsError"),
}
_MODULE_OF = {name: module for module, names in _NAMES_BY_MODULE.items() for name in names}

__all__ = ["__version__", *_PACKAGES, *_MODULE_OF]


if not TYPE_CHECKING:  # which would take any name for one of the package

    def __getattr__(name: str) -> Any:
        if name in _PACKAGES:
            return importlib.import_module(f"resnext.{name}")
        if name in _MODULE_OF:
            return getattr(importlib.import_module(_MODULE_OF[name]), name)
        raise AttributeError(f"module 'resnext' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
