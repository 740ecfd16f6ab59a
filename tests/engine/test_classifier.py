"""Predictions of a network under its contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.special import logsumexp, softmax
from torch import Tensor

from resnext import api
from resnext.arch import Architecture
from resnext.confidence import is_rejected
from resnext.contract import Calibration, Contract, Input, PredictionSets, Provenance, Rejection, Resize
from resnext.data.preprocess import five_crops
from resnext.data.stored_images import UnlabelledImages
from resnext.engine import Classifier, Engine, EngineMissing, ModelError, Prediction, TorchEngine
from resnext.engine import classifier as module
from resnext.engine.engine import Output, Takes, rejection_of
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


class Levels(Engine):
    """An engine whose logits are the three mean levels of an image, from 0 to 1."""

    name = "levels"

    def __init__(self, contract: Contract = CONTRACT, takes: Takes = "pixels") -> None:
        super().__init__("levels", contract, frozenset({"logits"}), takes=takes)

    def compute_all(self, pixels: Tensor, outputs: Sequence[Output]) -> list[Tensor]:
        if self.takes == "images":
            pixels = pixels.permute(0, 3, 1, 2).double() / 255
        else:
            pixels = pixels.double() * 0.25 + 0.5
        return [pixels.mean((2, 3)).float() for _ in outputs]


def levels_of(image: Image.Image) -> np.ndarray[Any, Any]:
    return np.asarray(image).mean((0, 1)) / 255


def some_images(count: int) -> list[Image.Image]:
    noise = np.random.default_rng(0).integers(0, 256, (count, 16, 16, 3), np.uint8)
    return [Image.fromarray(values) for values in noise]


@pytest.mark.parametrize("takes", ["pixels", "images"])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_processes_share_the_batches(takes: Takes, size: int) -> None:
    """Each takes every so-manieth; what cannot be read is told in its place."""
    images = some_images(9)
    sources: list[Any] = [*images]
    for bad in (2, 6, 7):  # 6 and 7 are a whole batch
        sources[bad] = b"no image"
    classifier = Classifier(Levels(takes=takes))
    numbers = [[0, 1], [3], [4, 5], [], [8]]
    for rank in range(size):
        batches = list(classifier.classify(UnlabelledImages(sources), 2, shard=(rank, size)))
        assert [batch.indices.tolist() for batch in batches] == numbers[rank::size]
        assert [len(batch.bad) for batch in batches] == [0, 1, 0, 2, 0][rank::size]
        for batch in batches:
            assert (batch.probabilities.shape, batch.familiarity.shape) == (
                (n := len(batch.indices), 3),
                (n,),
            )
            for row, familiar, index in zip(
                batch.probabilities, batch.familiarity, batch.indices, strict=True
            ):
                np.testing.assert_allclose(row, softmax(levels_of(images[index])), atol=1e-6)
                assert familiar == row.max()
    prepared = [classifier.prepare(encoded(one), "x") for one in images[:3]]
    answer = classifier.answer(prepared)
    assert answer.indices.tolist() == [0, 1, 2]
    np.testing.assert_allclose(
        answer.probabilities, softmax([levels_of(one) for one in images[:3]], axis=1), atol=1e-6
    )


def encoded(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_what_an_engine_takes_is_what_is_prepared() -> None:
    wide = Image.new("RGB", (40, 20))
    assert Classifier(Levels()).prepare(encoded(wide), "x").shape == (3, 16, 16)
    assert Classifier(Levels(takes="images")).prepare(encoded(wide), "x").shape == (20, 40, 3)
    with pytest.raises(ModelError, match="in one view; leave out --views"):
        list(Classifier(Levels(takes="images")).classify(UnlabelledImages([wide]), views="flip"))
    with pytest.raises(ModelError, match="is an exported model"):
        _ = Classifier(Levels()).network
    assert Classifier(TorchEngine(NETWORK, CONTRACT)).network is NETWORK


def test_views_are_averaged() -> None:
    """Of ten: the four corners and the centre, each mirrored too."""
    contract = replace(CONTRACT, resize=Resize(18, 16))
    images = [one.resize((27, 20)) for one in some_images(7)]
    classifier = Classifier(TorchEngine(NETWORK, contract))
    squares = {"one": [4], "flip": [4], "ten": [0, 1, 2, 3, 4]}
    plain = Classifier(TorchEngine(NETWORK, CONTRACT))  # of squares of 16 px
    for views, chosen in squares.items():
        batches = list(classifier.classify(UnlabelledImages(images), 10, views=views))  # type: ignore[arg-type]
        got = np.concatenate([batch.probabilities for batch in batches])
        for row, image in zip(got, images, strict=True):
            crops = [five_crops(image, contract.resize)[number] for number in chosen]
            if views != "one":
                crops += [crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for crop in crops]
            own = [dict(one.ranking) for one in plain.predict(crops)]
            expected = np.mean([[one[name] for name in CONTRACT.classes] for one in own], axis=0)
            np.testing.assert_allclose(row, expected, atol=1e-5)
        if views == "ten":
            assert [len(batch.indices) for batch in batches] == [2, 2, 2, 1]


def test_how_many_crops_are_computed_together() -> None:
    classifier = Classifier(Levels())
    assert [classifier.batch(most) for most in (1, 64, 100)] == [1, 64, 100]
    assert [classifier.batch(most, "ten") for most in (1, 3, 9, 64)] == [1, 1, 1, 12]
    large = replace(CONTRACT, input=Input(3, 1024, 1024), resize=Resize(1024, 1024))
    assert Classifier(Levels(large)).batch(1000) == 64
    with pytest.raises(ModelError, match="--workers -1"):
        list(classifier.classify(UnlabelledImages(some_images(1)), workers=-1))


def test_64_images_are_classified_at_once_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    original = module.evaluation_batches

    def note(images: Any, resize: Any, batch: int, workers: int, *more: Any) -> Any:
        asked.append(workers)
        return original(images, resize, batch, workers, *more)

    monkeypatch.setattr(module, "evaluation_batches", note)
    batches = list(Classifier(Levels()).classify(UnlabelledImages(some_images(65))))
    assert [len(batch.indices) for batch in batches] == [64, 1]
    assert asked == [0]


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_how_familiar_an_image_looks_by_each_score(temperature: float) -> None:
    images = some_images(3)
    logits = np.array([levels_of(image) for image in images])
    shares = softmax(logits / temperature, axis=1)
    for score, expected in (("probability", shares.max(axis=1)), ("energy", logsumexp(logits, axis=1))):
        calibration = Calibration(temperature, Rejection(score, 0.5))  # type: ignore[arg-type]
        classifier = Classifier(Levels(replace(CONTRACT, calibration=calibration)))
        (batch,) = classifier.classify(UnlabelledImages(images))
        np.testing.assert_allclose(batch.familiarity, expected, atol=1e-6)
        np.testing.assert_allclose(batch.probabilities, shares, atol=1e-6)
    features = replace(CONTRACT, calibration=Calibration(1.0, Rejection("clipped", 0.5, clip=1.0)))
    with pytest.raises(ModelError, match="lacks what its contract rejects images by") as caught:
        Classifier(Levels(features)).predict(images)
    assert (caught.value.exit_code, EngineMissing.exit_code) == (2, 5)


def test_a_contract_without_a_rejection_rejects_nothing() -> None:
    for contract in (CONTRACT, replace(CONTRACT, calibration=Calibration(2.0))):
        assert rejection_of(contract).score == "probability"
        assert not is_rejected(np.zeros(2, np.float32), rejection_of(contract)).any()
        (answer,) = Classifier(Levels(contract)).predict(some_images(1))
        assert (answer.rejected, answer.set) == (False, ())
    sets = replace(CONTRACT, calibration=Calibration(1.0, sets=PredictionSets(0.9, 0.3)))
    (answer,) = Classifier(Levels(sets)).predict(some_images(1))
    assert answer.set == tuple(name for name, share in answer.ranking if share >= 0.3)
    assert Prediction("x", "a", 0.5, ()).rejected is False


def test_no_familiarity_is_ever_anything_but_a_number() -> None:
    class Unfamiliar(Levels):
        def answer(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
            probabilities, familiarity = super().answer(pixels)
            return probabilities, familiarity * float("inf")

    with pytest.raises(Diverged, match="its outputs are not finite"):
        Classifier(Unfamiliar()).predict(some_images(1))


def test_one_image_alone_is_refused() -> None:
    for one in ("1.jpg", Path("1.jpg"), b"...", Image.new("RGB", (8, 8)), BytesIO(b"...")):
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
