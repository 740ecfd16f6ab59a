"""From picture files to probabilities, by what a run or anything else has left as a model."""

from resnext.engine.classifier import Answers, Classifier, ModelError, Prediction, Views, open_model

__all__ = ["Answers", "Classifier", "ModelError", "Prediction", "Views", "open_model"]
