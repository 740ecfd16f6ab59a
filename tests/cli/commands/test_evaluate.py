"""`resnext evaluate`."""

from __future__ import annotations

import json
import re
import resource
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from resnext import api
from resnext.cli.commands.evaluate import print_evaluation
from resnext.data.folders import describe_unread
from resnext.data.stored_images import UnlabelledImages
from resnext.metrics import score
from resnext.run import Evaluation, RunError

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


def test_files_that_are_left_out_of_the_scores_are_told(
    trained: Path, colours: Path, tmp_path: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """As `train` tells them: of a folder of splits, of one without, and of a table; also beside JSON."""
    data = tmp_path / "data"
    shutil.copytree(colours, data)
    (data / "val" / "a" / "phone.heic").touch()
    assert run("evaluate", trained, data, "--json", "-") == 0
    output = capsys.readouterr()
    note = "note: left out " + describe_unread(["a/phone.heic"])
    assert note in output.err
    assert json.loads(output.out)["count"] == 6
    assert run("evaluate", trained, data / "val") == 0
    assert note in capsys.readouterr().err
    assert run("evaluate", trained, colours) == 0
    assert "left out" not in capsys.readouterr().err
    (data / "all.csv").write_text("path,label,fold\nval/a/0.png,a,1\nval/b/0.png,b,2\n")
    assert run("evaluate", trained, data / "all.csv") == 0
    assert "note: the column fold of all.csv is not used" in capsys.readouterr().err


def test_on_a_full_disk_the_old_scores_stay_and_the_file_is_named(
    trained: Path, colours: Path, tmp_path: Path, run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "scores.json"
    out.write_text("old")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, limit[1]))
    try:
        assert run("evaluate", trained, colours, "--workers", "0", "--json", out) == 5
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert capsys.readouterr().err.splitlines()[-1] == f"resnext: {out}: file too large"
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def shown(
    capsys: pytest.CaptureFixture[str],
    rows: NDArray[np.float32],
    labels: Sequence[int],
    *classes: str,
    **more: Any,
) -> str:
    """What `evaluate` prints about these probabilities."""
    scores = score(rows, np.array(labels), classes)
    print_evaluation(Evaluation("test", scores, [], np.array(labels), rows, **more))
    return capsys.readouterr().out


def test_a_class_without_images_is_not_judged(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, np.array([[0.9, 0.1]], np.float32), [0], "cat", "dog")
    rows = {words[0]: words[1:] for words in map(str.split, text.splitlines()) if words}
    assert rows["dog"] == ["not", "judged"]
    assert rows["cat"][0] == "1"


def test_rates_have_intervals_or_too_few_images(capsys: pytest.CaptureFixture[str]) -> None:
    """The ends are Wilson's, by hand for 1 of 2 and 10 of 10."""
    rows = np.repeat(np.array([[0.99, 0.01], [0.01, 0.99]], np.float32), (11, 1), axis=0)
    text = shown(capsys, rows, [0] * 10 + [1, 1], "cat", "dog", train_counts=(30, 20))
    assert "top-1 91.67 %  (64.6 to 98.5 %; error 8.33 %)" in text
    assert "base  83.33 %  (always answering the most frequent training class)" in text
    assert re.search(r"cat +10 +90\.9 \(62\.3-98\.4\) +100\.0 \(72\.2-100\.0\) +95\.2", text)
    assert re.search(r"dog +2 +100\.0 \(too few\) +50\.0 \(too few\) +66\.7", text)
    assert "too few: images to tell, as the interval is wider than 50 points" in text
    assert "ECE   7.33 %  (calibration error; too few images to tell" in text
    text = shown(capsys, rows, [0] * 10 + [1, 1], "cat", "dog")
    assert "base" not in text  # nobody knows what was trained on
    text = shown(capsys, np.repeat(rows[[0, -1]], 20, axis=0), [0] * 20 + [1] * 20, "cat", "dog")
    assert "too few: " not in text


def test_top_5_of_fewer_than_ten_classes_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    for count, is_shown in ((9, False), (10, True)):
        text = shown(capsys, np.eye(count, dtype=np.float32), range(count), *"abcdefghij"[:count])
        assert ("top-5" in text) == is_shown


def test_long_names_fit_into_80_columns_of_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"{'the same beginning ' * 9}{i}{' the same end' * 9}" for i in range(3)]
    text = shown(
        capsys, np.eye(3, dtype=np.float32).repeat(99_999, axis=0), [0] * 199_998 + [1] * 99_999, *names
    )
    lines = [line.rstrip() for line in text.splitlines() if "…" in line]
    assert len({line.split("  ")[0] for line in lines}) == 3
    assert max(map(len, lines)) <= 80


def test_a_run_tells_its_majority_and_other_models_do_not(
    trained: Path, colours: Path, tmp_path: Path, run: Callable[..., int]
) -> None:
    """Also in the JSON; damaged counts are named."""
    assert run("evaluate", trained, colours, "--json", tmp_path / "x.json") == 0
    value = json.loads((tmp_path / "x.json").read_text())
    assert value["majority_error"] == pytest.approx(200 / 3)
    assert value["ece_interval"][0] <= value["ece"] <= value["ece_interval"][1]
    assert api.evaluate(trained / "model", colours).majority is None
    assert api.evaluate(api.load(trained), colours).majority is None
    shutil.copytree(trained, tmp_path / "old")
    data = json.loads((trained / "data.json").read_text())
    assert data["train_counts"] == [len([*(colours / "train" / name).iterdir()]) for name in "abc"]
    (tmp_path / "old" / "data.json").write_text(json.dumps({**data, "train_counts": [1]}))
    with pytest.raises(RunError, match=r"data\.json: data\.train_counts: 1 values for the 3 classes"):
        api.evaluate(tmp_path / "old", colours)
    data.pop("train_counts")
    (tmp_path / "old" / "data.json").write_text(json.dumps(data))
    assert api.evaluate(tmp_path / "old", colours).majority is None
