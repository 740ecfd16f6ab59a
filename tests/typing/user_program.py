"""A program that uses the package, as type checkers see it: `make types`. It is checked, never run."""

from collections.abc import Iterator
from pathlib import Path
from typing import assert_type

from torch import Tensor

import resnext
from resnext.design import Design, DesignSpace


def train_and_use(images: Path) -> str:
    run = resnext.train(images, epochs=3, training__lr=0.2)
    assert_type(run, resnext.Run)
    assert_type(run.folder, Path)
    classifier = resnext.load(run.folder, "cpu")
    assert_type(classifier, resnext.Classifier)
    assert_type(classifier.contract, resnext.Contract)
    evaluation = resnext.evaluate(classifier, images)
    assert_type(evaluation, resnext.Evaluation)
    assert_type(evaluation.scores.top1_error, float)
    [first, *_] = resnext.predict(classifier, ["1.jpg", b"", Path("2.jpg")])
    assert_type(first, resnext.Prediction)
    assert_type(first.probability, float)
    assert_type(resnext.export_model(run.folder), resnext.Export)
    return first.label


def many(model: str) -> Iterator[str]:
    for answer in resnext.predict_many(model, ["new"], workers=2):
        if isinstance(answer, resnext.BadImage):
            yield str(answer)
        else:
            assert_type(answer, resnext.Prediction)
            yield answer.label


def networks(images: Tensor) -> list[Tensor]:
    network = resnext.create("resnext50_32x4d", classes=10)
    assert_type(network, resnext.HubNetwork)
    pyramid = resnext.create("resnext50_32x4d", features_only=True, out_indices=(1, 2))
    assert_type(pyramid, resnext.FeaturePyramid)
    space = DesignSpace(resnext.Architecture.from_name("resnet50"), frozenset({"width"}))
    found = resnext.design.design_networks(space, resnext.design.Budget(params=25_000_000))
    assert_type(found, list[Design])
    return [network(images)]


def mistakes() -> None:
    """What a type checker must find; an ignore without an error is one."""
    resnext.create("resnet50", classes="ten")  # type: ignore[call-overload]
    resnext.evaluate("run", "images", views="twelve")  # type: ignore[arg-type]
    resnext.creat("resnet50")  # type: ignore[attr-defined]
    try:
        resnext.load("run")
    except resnext.ResnextError as error:
        assert_type(error.exit_code, int)
