"""Predictions of a network under its contract."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.special import softmax

from resnext import api
from resnext.arch import Architecture
from resnext.contract import Calibration, Contract, Input, Provenance, Rejection, Resize
from resnext.data.stored_images import UnlabelledImages
from resnext.engine import Classifier, ModelError, TorchEngine
from resnext.errors import UsageError
from resnext.models import create
from resnext.recipe.options import TrainOptions
from resnext.run import evaluate_images
from resnext.training.loop import Diverged

CONTRACT = Contract(
    ("a", "b", "c"), Input(3, 16, 16), Resize(16, 16), (0.5,) * 3, (0.25,) * 3, Provenance("resnet11")
)
NETWORK = create(Architecture.from_name("resnet11+template=8", 3))


def test_a_calibrated_prediction_has_its_temperature_and_threshold() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), np.uint8)
    images = [Image.fromarray(values) for values in noise]
    plain = Classifier(TorchEngine(NETWORK, CONTRACT)).predict(images)
    assert not any(prediction.rejected for prediction in plain)
    probabilities = np.array([[dict(one.ranking)[name] for name in CONTRACT.classes] for one in plain])
    expected = softmax(np.log(probabilities) / 2.0, axis=1)
    threshold = float(np.median(expected.max(axis=1)))
    calibrated = replace(CONTRACT, calibration=Calibration(2.0, Rejection("probability", threshold)))
    answers = Classifier(TorchEngine(NETWORK, calibrated)).predict(images)
    for prediction, row in zip(answers, expected, strict=True):
        assert prediction.probability == pytest.approx(row.max(), abs=1e-5)
        assert prediction.label == CONTRACT.classes[row.argmax()]
        assert prediction.rejected == (prediction.probability < threshold)


def test_one_image_alone_is_refused() -> None:
    for one in ("1.jpg", Path("1.jpg"), b"...", Image.new("RGB", (8, 8))):
        with pytest.raises(TypeError, match=r"as in predict\(\[image\]\)"):
            Classifier(TorchEngine(NETWORK, CONTRACT)).predict(one)  # type: ignore[arg-type]


def test_options_without_effect_and_unknown_choices_are_refused() -> None:
    classifier = Classifier(TorchEngine(NETWORK, CONTRACT))
    with pytest.raises(TypeError, match="leave out device"):
        api.evaluate(classifier, "digits", device="cpu")
    with pytest.raises(TypeError, match="leave out device"):
        next(api.predict_many(classifier, ["digits"], device="cpu"))
    with pytest.raises(UsageError, match="--on-bad raise: must be fail or skip"):
        evaluate_images(classifier, UnlabelledImages([]), "test", on_bad="raise")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="--on-bad Fail"):
        TrainOptions(on_bad="Fail")  # type: ignore[arg-type]


def test_no_probability_is_ever_anything_but_a_number() -> None:
    """Finite weights, too, may give outputs that are not."""
    network = create(Architecture.from_name("resnet11+template=8", 3))
    with torch.no_grad():
        network.fc.weight.fill_(3e38)
        network.fc.bias.fill_(3e38)
    classifier = Classifier(TorchEngine(network, CONTRACT))
    image = Image.new("RGB", (16, 16), "white")
    with pytest.raises(Diverged, match="its outputs are not finite"):
        classifier.predict([image])
    with pytest.raises(Diverged, match="its outputs are not finite"):
        list(classifier.classify(UnlabelledImages([image])))
    with pytest.raises(Diverged, match="test: the network's outputs are not finite"):
        evaluate_images(classifier, UnlabelledImages([image]), "test")


def test_a_contract_of_another_network_is_refused() -> None:
    grey = replace(CONTRACT, input=Input(1, 16, 16), mean=(0.5,), std=(0.5,))
    for contract in (grey, replace(CONTRACT, classes=("a", "b"))):
        with pytest.raises(ModelError, match="has 3 channels and 3 classes, its contract"):
            TorchEngine(NETWORK, contract)
    with pytest.raises(ModelError, match="images have 3"):
        TorchEngine(create(Architecture.from_name("resnet11+template=8", 3, in_channels=1)), grey)


def test_very_large_crops_come_in_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resnext.engine.classifier.MAX_BATCH_PIXELS", 2 * 16**2)
    images = UnlabelledImages([Image.new("RGB", (16, 16))] * 5)
    batches = list(Classifier(TorchEngine(NETWORK, CONTRACT)).classify(images))
    assert [len(batch.indices) for batch in batches] == [2, 2, 1]
    monkeypatch.setattr("resnext.engine.classifier.MAX_BATCH_PIXELS", 1)
    assert len(list(Classifier(TorchEngine(NETWORK, CONTRACT)).classify(images, views="ten"))) == 5
