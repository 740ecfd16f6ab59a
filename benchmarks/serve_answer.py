"""What the servers of `serve_load.py` send back, whichever they are: the same network and pre-processing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from resnext.engine import Classifier
from resnext.engine.classifier import BatchPrediction

#: Most images of a batch, and seconds that the first waits for others.
BATCH, WAIT_S = 32, 0.01


def answer(classifier: Classifier, prepared: Sequence[Any]) -> list[dict[str, Any]]:
    """The likeliest class of each image."""
    batch: BatchPrediction = classifier.answer(prepared)
    named = classifier.name_classes([""] * len(prepared), batch)
    return [{"label": one.label, "probability": one.probability} for one in named]
