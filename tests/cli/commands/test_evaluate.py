"""`resnext evaluate`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from resnext import api
from resnext.cli.commands.evaluate import print_scores
from resnext.data.stored_images import UnlabelledImages
from resnext.metrics import score

pytestmark = pytest.mark.usefixtures("no_reports")


def test_the_pictures_a_model_was_trained_on_do_not_judge_it(
    tmp_path: Path, make_folder: Any, run: Callable[..., int], quick: list[str]
) -> None:
    data = make_folder(tmp_path / "data", {"a": 20, "b": 20})
    assert run("train", data, "--runs", tmp_path, "--name", "x", *quick) == 0
    assert api.evaluate(tmp_path / "x", data).split == "test"
    assert api.evaluate(tmp_path / "x", data).scores.count == 4
    make_folder(data, {"a": 21, "b": 20})  # other images: all of them are new as far as we know
    assert api.evaluate(tmp_path / "x", data).scores.count == 41


def test_more_views_of_each_picture(
    trained: Path, colours: Path, tmp_path: Path, run: Callable[..., int]
) -> None:
    """Mirrored images change nothing once mirror images are averaged in; one view is not enough for it."""
    image = Image.open(colours / "val" / "a" / "0.png")
    mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    classifier, pair = api.load(trained), UnlabelledImages([image, mirrored])
    for views, equal in (("one", False), ("flip", True), ("ten", True)):
        answers = next(classifier.classify(pair, views=views)).probabilities
        assert np.allclose(answers[0], answers[1], atol=1e-6) == equal
        assert np.allclose(answers.sum(1), 1, atol=1e-5)
    assert run("evaluate", trained, colours, "--views", "ten", "--json", tmp_path / "ten.json") == 0
    assert json.loads((tmp_path / "ten.json").read_text())["count"] == 6


def test_a_class_without_images_is_not_judged(capsys: pytest.CaptureFixture[str]) -> None:
    print_scores(score(np.array([[0.9, 0.1]], np.float32), np.array([0]), ("cat", "dog")))
    rows = {words[0]: words[1:] for words in map(str.split, capsys.readouterr().out.splitlines()) if words}
    assert rows["dog"] == ["not", "judged"]
    assert rows["cat"][0] == "1"
