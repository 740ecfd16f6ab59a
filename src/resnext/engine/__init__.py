"""Inference: a saved model, opened as a classifier: images in, probabilities or embeddings out."""

from resnext.engine.classifier import BatchPrediction, Classifier, ModelError, Prediction, open_model
from resnext.engine.embedding import EmbeddingSummary, embed_images
from resnext.engine.embedding_images import find_images_to_embed

__all__ = [
    "BatchPrediction",
    "Classifier",
    "EmbeddingSummary",
    "ModelError",
    "Prediction",
    "embed_images",
    "find_images_to_embed",
    "open_model",
]
