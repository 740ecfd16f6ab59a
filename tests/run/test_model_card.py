"""The model card has the scores of a run and how sure they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from resnext.contract import Contract, Input, Provenance, Resize
from resnext.metrics import score
from resnext.recipe import named_recipe
from resnext.run import Evaluation
from resnext.run.model_card import model_card


def test_scores_have_their_intervals_and_what_the_most_frequent_class_reaches() -> None:
    contract = Contract(
        ("a", "b"), Input(3, 8, 8), Resize(8, 8), (0.5,) * 3, (0.2,) * 3, Provenance("resnet18")
    )
    labels = np.array([0] * 10 + [1, 1])
    rows = np.repeat(np.array([[0.99, 0.01], [0.01, 0.99]], np.float32), (11, 1), axis=0)
    one = Evaluation("test", score(rows, labels, ("a", "b")), [], labels, rows, train_counts=(2, 1))
    card = model_card(named_recipe("small"), contract, (one, replace(one, split="val", train_counts=())))
    assert "| test | 12 | 91.67 % (64.6 to 98.5 %) | 83.33 % | 0.393" in card
    assert "| val (chose the weights, so optimistic) | 12 | 91.67 % (64.6 to 98.5 %) |  | 0.393" in card
