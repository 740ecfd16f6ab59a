"""Explanations: exact maps, shown where the evidence is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from resnext.contract import Contract
from resnext.data.decode import BadImage
from resnext.data.stored_images import UnlabelledImages
from resnext.engine import (
    Classifier,
    Explanation,
    ModelError,
    Prediction,
    TorchEngine,
    explain_images,
    open_model,
    places_in,
)
from resnext.export import Source
from resnext.export.onnx_format import OnnxFormat
from resnext.models import Network


def explain(classifier: Classifier, pets: Path) -> list[Explanation]:
    paths = sorted(map(str, pets.rglob("*.png")))[:70]
    return [
        one for one in explain_images(classifier, UnlabelledImages(paths)) if isinstance(one, Explanation)
    ]


def test_the_mean_of_a_map_and_the_bias_are_the_logit(
    network: Network, contract: Contract, pets: Path
) -> None:
    classifier = Classifier(TorchEngine(network, contract))
    explanations = explain(classifier, pets)
    assert len(explanations) == 70
    answers = classifier.predict([one.prediction.key for one in explanations])
    assert [one.prediction.label for one in explanations] == [answer.label for answer in answers]
    for one in explanations[:5]:
        [batch] = classifier.classify(UnlabelledImages([one.prediction.key]))
        temperature = contract.calibration.temperature if contract.calibration else 1.0
        log_ratio = np.log(batch.probabilities[0]) * temperature
        label = contract.classes.index(one.prediction.label)
        pixels = (np.asarray(one.seen, np.float32) / 255 - 0.5) / 0.5
        with torch.no_grad():
            logits = network(torch.from_numpy(pixels).permute(2, 0, 1)[None])[0].numpy()
            bias = float(network.fc.bias[label])
        assert one.evidence.mean() + bias == pytest.approx(float(logits[label]), abs=1e-4)
        assert np.allclose(logits - logits.mean(), log_ratio - log_ratio.mean(), atol=1e-3)


def test_an_exported_file_gives_the_same(
    network: Network, contract: Contract, pets: Path, tmp_path: Path
) -> None:
    path, blind = tmp_path / "small.onnx", tmp_path / "blind.onnx"
    OnnxFormat().write(Source("small", network, contract, "5" * 64, ("probabilities", "cam")), path)
    ours = explain(Classifier(TorchEngine(network, contract)), pets)
    theirs = explain(open_model(path), pets)
    for one, other in zip(ours, theirs, strict=True):
        assert one.prediction.label == other.prediction.label
        np.testing.assert_allclose(one.evidence, other.evidence, atol=1e-4)
    OnnxFormat().write(Source("small", network, contract, "5" * 64), blind)
    with pytest.raises(ModelError, match="export it again with --with cam"):
        explain(open_model(blind), pets)


def test_the_overlay_is_bright_where_the_evidence_is() -> None:
    evidence = np.full((4, 4), -1, np.float32)
    evidence[0, 3] = 2
    answer = Prediction("x", "a", 1.0, (("a", 1.0),))
    shown = np.asarray(Explanation(answer, Image.new("RGB", (32, 32), (90, 90, 90)), evidence).overlay())
    assert shown[2, 29].sum() > 2 * shown[29, 2].sum()
    assert (shown[29, 2] < 90).all()
    nothing = Explanation(answer, Image.new("RGB", (32, 32)), np.full((4, 4), -1, np.float32)).overlay()
    assert np.asarray(nothing).max() == 0


def test_an_image_that_cannot_be_read_is_its_error(classifier: Classifier, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    [error] = explain_images(classifier, UnlabelledImages([tmp_path / "bad.png"]))
    assert isinstance(error, BadImage)


def test_places_stay_in_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "maps"
    for paths in (["/a/b/1.jpg", "/a/c/1.jpg"], ["../x.png"], ["x.png", "../y/x.png", "x.jpg"]):
        places = places_in(folder, paths)
        assert len(set(places)) == len(paths)
        assert all(place.resolve().is_relative_to(folder) for place in places)
