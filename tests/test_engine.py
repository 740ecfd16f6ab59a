"""What a network's answers become under its contract."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax

from resnext import api
from resnext.arch import Architecture
from resnext.contract import Calibration, Contract, Input, Provenance, Resize
from resnext.data.pictures import Loose
from resnext.engine import Classifier, ModelError
from resnext.models import create
from resnext.run import Order, RunError, evaluate_pictures

CONTRACT = Contract(
    ("a", "b", "c"), Input(3, 16, 16), Resize(16, 16), (0.5,) * 3, (0.25,) * 3, Provenance("resnet11")
)
NETWORK = create(Architecture.from_name("resnet11+template=8", 3))


def test_a_calibrated_answer_is_cooled_and_rejected_under_its_threshold() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), np.uint8)
    pictures = [Image.fromarray(values) for values in noise]
    plain = Classifier(NETWORK, CONTRACT).predict(pictures)
    assert not any(answer.rejected for answer in plain)
    chances = np.array([[dict(answer.ranking)[name] for name in CONTRACT.classes] for answer in plain])
    expected = softmax(np.log(chances) / 2.0, axis=1)
    threshold = float(np.median(expected.max(axis=1)))
    calibrated = replace(CONTRACT, calibration=Calibration(2.0, threshold))
    for answer, chance in zip(Classifier(NETWORK, calibrated).predict(pictures), expected, strict=True):
        assert answer.probability == pytest.approx(chance.max(), abs=1e-5)
        assert answer.label == CONTRACT.classes[chance.argmax()]
        assert answer.rejected == (answer.probability < threshold)


def test_one_picture_alone_is_not_taken_apart() -> None:
    for one in ("1.jpg", Path("1.jpg"), b"...", Image.new("RGB", (8, 8))):
        with pytest.raises(TypeError, match=r"as in predict\(\[picture\]\)"):
            Classifier(NETWORK, CONTRACT).predict(one)  # type: ignore[arg-type]


def test_what_would_have_no_effect_or_is_no_choice_is_refused() -> None:
    classifier = Classifier(NETWORK, CONTRACT)
    with pytest.raises(TypeError, match="leave out device"):
        api.evaluate(classifier, "digits", device="cpu")
    with pytest.raises(TypeError, match="leave out device"):
        next(api.predict_many(classifier, ["digits"], device="cpu"))
    with pytest.raises(ModelError, match="--on-bad raise: must be one of fail, skip"):
        evaluate_pictures(classifier, Loose([]), "test", on_bad="raise")  # type: ignore[arg-type]
    with pytest.raises(RunError, match="--on-bad Fail"):
        Order("digits", on_bad="Fail")  # type: ignore[arg-type]
