"""Inference: a saved model, opened as a classifier that takes images and gives probabilities."""

from resnext.engine.classifier import BatchPrediction, Classifier, ModelError, Prediction, open_model

__all__ = ["BatchPrediction", "Classifier", "ModelError", "Prediction", "open_model"]
