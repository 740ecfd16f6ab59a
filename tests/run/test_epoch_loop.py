"""Which epoch's weights are shipped: the best by val, whatever test says, and no other's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from resnext import api
from resnext.recipe import named_recipe, override
from resnext.run import evaluator
from resnext.run.evaluation import Evaluation, evaluate_images

pytestmark = pytest.mark.usefixtures("no_reports")
RECIPE = override(named_recipe("small"), model="resnet11+template=8", epochs=3, batch=4)
#: Errors after each epoch: val says that the second is best, test the third.
SAID = {"val": [30.0, 10.0, 20.0], "test": [30.0, 20.0, 5.0]}


def test_the_weights_of_the_epoch_that_is_best_by_val_are_shipped(
    make_folder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for split, images in (("train", 8), ("val", 5), ("test", 5)):
        make_folder(tmp_path / "data" / split, {"a": images, "b": images})
    said = {split: iter(errors) for split, errors in SAID.items()}
    found: list[Evaluation] = []
    weights: list[dict[str, torch.Tensor]] = []

    def scored(classifier: Any, images: Any, split: str, **more: Any) -> Evaluation:
        own = evaluate_images(classifier, images, split, **more)
        error = next(said[split], None)
        if split == "val" and error is not None:
            found.append(own)
            weights.append({k: v.clone() for k, v in classifier.engine.network.state_dict().items()})
        return own if error is None else replace(own, scores=replace(own.scores, top1_error=error))

    monkeypatch.setattr(evaluator, "evaluate_images", scored)
    run = api.train(str(tmp_path / "data"), RECIPE, name="x", runs=tmp_path)
    assert run.result["metrics"]["best_epoch"] == 2
    shipped = load_file(run.folder / "model" / "model.safetensors")
    assert [all(torch.equal(own[k], shipped[k]) for k in shipped) for own in weights] == [False, True, False]
    again = api.evaluate(run.folder / "model", tmp_path / "data", split="val", device="cpu")
    assert again.scores.top1_error == found[1].scores.top1_error
    assert (again.probabilities.argmax(1) == found[1].probabilities.argmax(1)).all()
