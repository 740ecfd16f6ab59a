"""The model card has the scores of a run and how sure they are."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

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


@given(st.text(), st.text(), st.lists(st.text(max_size=20), min_size=1, max_size=3, unique=True))
def test_texts_of_others_stay_within_their_lines(name: str, data: str, classes: list[str]) -> None:
    """A card of harmless names has the same lines, and the front matter says the same."""

    def card(contract: Contract) -> list[str]:
        recipe = replace(named_recipe("small"), model="resnet18")
        return re.split("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]", model_card(recipe, contract, ()))

    harmless = Contract(
        tuple(map(str, range(len(classes)))), Input(3, 8, 8), Resize(8, 8), (0.5,) * 3, (0.2,) * 3,
        Provenance("resnet18", weights_licence="no", data="data 0"),
    )  # fmt: skip
    origin = Provenance(name, weights_licence="no", data=f"{data} 0")
    lines, expected = card(replace(harmless, classes=tuple(classes), provenance=origin)), card(harmless)
    assert len(lines) == len(expected)
    assert lines[:3] == ["---", "library_name: timm", 'license: "no"']  # bare, it would be false in YAML
    differing = [line for line, usual in zip(lines, expected, strict=True) if line != usual]
    assert all(line.startswith(("# resnet18 on ", "An image classifier with ")) for line in differing)
    assert not any(re.search(r"(?<!\\)[\[\]`<>!]", line) for line in differing)
