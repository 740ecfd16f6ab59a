"""From picture files to probabilities: one interface over every kind of artefact."""

from resnext.engine.classifier import Answers, Classifier, ModelError, Prediction, Views, open_model

__all__ = ["Answers", "Classifier", "ModelError", "Prediction", "Views", "open_model"]
