"""Inference: a model, opened as a classifier: images in, probabilities or embeddings out."""

from resnext.engine.calibration import CalibrationFit, Calibrator, OutlierTrial
from resnext.engine.classifier import BatchPrediction, Classifier, Prediction
from resnext.engine.embedding import EmbeddingSummary, embed_images
from resnext.engine.engine import Engine, EngineMissing, ModelError, Output, Takes, rejection_of, temperature
from resnext.engine.explaining import Explanation, check_explains, explain_images, places_in
from resnext.engine.foreign import ForeignContract
from resnext.engine.image_list import ImageList, find_images_to_embed, list_image_files
from resnext.engine.openers import is_exported, open_network
from resnext.engine.opening import open_model
from resnext.engine.predicting import predict_images
from resnext.engine.seal import Seal
from resnext.engine.tables import TableSummary
from resnext.engine.torch_engines import CompiledEngine, FoldedEngine, TorchEngine

__all__ = [
    "BatchPrediction",
    "CalibrationFit",
    "Calibrator",
    "Classifier",
    "CompiledEngine",
    "EmbeddingSummary",
    "Engine",
    "EngineMissing",
    "Explanation",
    "FoldedEngine",
    "ForeignContract",
    "ImageList",
    "ModelError",
    "OutlierTrial",
    "Output",
    "Prediction",
    "Seal",
    "TableSummary",
    "Takes",
    "TorchEngine",
    "check_explains",
    "embed_images",
    "explain_images",
    "find_images_to_embed",
    "is_exported",
    "list_image_files",
    "open_model",
    "open_network",
    "places_in",
    "predict_images",
    "rejection_of",
    "temperature",
]
