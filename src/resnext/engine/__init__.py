"""Inference: a model, opened as a classifier that takes images and gives probabilities."""

from resnext.engine.classifier import BatchPrediction, Classifier, Prediction
from resnext.engine.engine import Engine, EngineMissing, ModelError, Output, temperature
from resnext.engine.foreign import ForeignContract
from resnext.engine.openers import is_exported, open_network
from resnext.engine.opening import open_model
from resnext.engine.seal import Seal
from resnext.engine.torch_engines import CompiledEngine, FoldedEngine, TorchEngine

__all__ = [
    "BatchPrediction",
    "Classifier",
    "CompiledEngine",
    "Engine",
    "EngineMissing",
    "FoldedEngine",
    "ForeignContract",
    "ModelError",
    "Output",
    "Prediction",
    "Seal",
    "TorchEngine",
    "is_exported",
    "open_model",
    "open_network",
    "temperature",
]
