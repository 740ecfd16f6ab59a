"""The public functions: create, load, train, evaluate, predict, and what goes with them.

Networks are designed in `resnext.design` and timed in `resnext.bench`.
"""

from resnext.api.datasets import examine, index_images, select
from resnext.api.exports import calibrate, export_model, quantize
from resnext.api.inference import (
    embed,
    evaluate,
    explain,
    find_images,
    load,
    predict,
    predict_many,
    predict_to_file,
)
from resnext.api.meters import latency_meter
from resnext.api.networks import ListedModel, convert, create, from_pretrained, list_models
from resnext.api.training import train, train_events
from resnext.api.tuning import tune
from resnext.doctor import Diagnosis
from resnext.engine import Classifier, EmbeddingSummary, Prediction
from resnext.export import Export
from resnext.recipe import Recipe, TrainOptions
from resnext.reporting import Comparison, compare, write_report
from resnext.run import Evaluation, Run

__all__ = [
    "Classifier",
    "Comparison",
    "Diagnosis",
    "EmbeddingSummary",
    "Evaluation",
    "Export",
    "ListedModel",
    "Prediction",
    "Recipe",
    "Run",
    "TrainOptions",
    "calibrate",
    "compare",
    "convert",
    "create",
    "embed",
    "evaluate",
    "examine",
    "explain",
    "export_model",
    "find_images",
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
    "train",
    "train_events",
    "tune",
    "write_report",
]
