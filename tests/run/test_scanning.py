"""What the look at all images says before training, and how far the range of deep grey reaches."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from safetensors.torch import load_file

from resnext import api
from resnext.contract import GreyRange
from resnext.data.decode import DataError
from resnext.data.grey import GreyValues
from resnext.data.images import Blank, Scan
from resnext.recipe import Recipe, TrainOptions, named_recipe, override
from resnext.reporting.thumbnails import find_thumbnails
from resnext.run import RunError, RunStarted, StepEnd, Stopped
from resnext.run.scanning import blank_notes, choose_grey, grey_notes

pytestmark = pytest.mark.usefixtures("no_reports")
RECIPE = override(
    named_recipe("small"),
    model="resnet11+template=8",
    epochs=2,
    batch=4,
    precision="float32",
    data__size_px=16,
)
#: Images larger than these are decoded in workers, smaller ones are kept on the device.
LARGE = override(RECIPE, data__size_px=72, data__decoder="exact")


def found(values: tuple[float, float] | None = None, blank: Blank | None = None) -> Scan:
    """The scan of a split whose deep grey images hold such values, or that has none."""
    scan = Scan({}, np.ones(1, np.int64), (0, 0, 0), (1, 1, 1), blank=blank or Blank())
    if values is None:
        return scan
    held = GreyValues(*values, "low.png", "large.png", values, has_floats=False, has_whole=True)
    return replace(scan, grey_values=held, grey=held.choose())


def test_train_says_the_range_if_it_can() -> None:
    train, val = found((0, 900)), found((0, 60_000))
    assert choose_grey({"train": train, "val": val}, None) == GreyRange(0, 1023)
    assert choose_grey({"train": found(), "val": val}, None) == GreyRange(0, 65535)
    assert choose_grey({"train": found(), "val": found()}, None) is None
    assert choose_grey({"train": train, "val": val}, GreyRange(5, 10)) == GreyRange(5, 10)
    with pytest.raises(DataError, match=r"^train: deep grey .* -1 \(low.png\) to 900 .*--data.grey -1 900"):
        choose_grey({"train": found((-1, 900)), "val": val}, None)


def test_what_is_told_of_the_range() -> None:
    train, val = found((0, 900)), found((0, 60_000))
    assert [*grey_notes({"train": train, "val": found((3, 4))}, GreyRange(0, 1023))] == [
        "deep grey images: 0 is black, 1,023 is white (the largest value is 900)"
    ]
    assert [*grey_notes({"train": train, "val": val}, GreyRange(100, 1023))] == [
        "deep grey images: 100 is black, 1,023 is white (values reach from 0 to 900: what lies outside is "
        "cut off)",
        "deep grey images of val: values reach from 0 to 60,000: what lies outside is cut off",
    ]
    (told,) = grey_notes({"train": found()}, GreyRange(0, 9))
    assert told.startswith("data.grey: no image is deep grey")
    assert [*grey_notes({"train": found()}, None)] == []


def test_blank_images_are_told_and_at_most_five_named() -> None:
    one, many = Blank(1, ("x.png",)), Blank(7, tuple("abcde"))
    assert [*blank_notes({"train": found(), "val": found()})] == []
    assert [*blank_notes({"train": found(), "val": found(blank=one)})] == [
        "1 image is one colour throughout: x.png; it is kept"
    ]
    assert [*blank_notes({"train": found(blank=many), "val": found(blank=one)})] == [
        "8 images are one colour throughout: a, b, c, d, e, ...; they are kept"
    ]


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Signed values as of CT, beside an image of 8 bits."""
    root, random = tmp_path_factory.mktemp("ct"), np.random.default_rng(0)
    for split, count in (("train", 9), ("val", 4), ("test", 4)):
        for number, label in enumerate(("bone", "lung")):
            folder = root / split / label
            folder.mkdir(parents=True)
            for i in range(count):
                values = random.integers(-1024, 1500, (20, 20)) + 1500 * (1 - number)
                Image.fromarray(values.astype(np.int32)).save(folder / f"{i}.tif")
            Image.fromarray(random.integers(0, 256, (20, 20), dtype=np.uint8)).save(folder / "photo.png")
    return root


SAID = override(RECIPE, data__grey=(-1000, 2000))


@pytest.fixture(scope="module")
def whole(ct: Path, tmp_path_factory: pytest.TempPathFactory, no_reports: None) -> Path:
    return api.train(ct, SAID, name="whole", runs=tmp_path_factory.mktemp("runs")).folder


def test_a_range_that_is_not_certain_is_asked_for_before_training(ct: Path, tmp_path: Path) -> None:
    for options in ({}, {"on_bad": "skip"}):
        with pytest.raises(DataError, match=r"say it with --data\.grey -1024 2999") as refused:
            api.train(ct, RECIPE, runs=tmp_path, **options)
        assert refused.value.exit_code == 3
    assert [*tmp_path.iterdir()] == []


def test_evaluation_and_prediction_see_what_training_saw(ct: Path, whole: Path) -> None:
    """All give the probabilities that the run gave at its end."""
    table = pq.read_table(whole / "predictions" / "test.parquet").to_pydict()
    evaluation = api.evaluate(whole, ct, split="test")
    assert evaluation.keys == table["key"]
    by_run = np.array(table["probabilities"])
    assert by_run.shape == evaluation.probabilities.shape
    np.testing.assert_allclose(evaluation.probabilities, by_run, atol=1e-6)
    paths = [ct / "test" / key for key in evaluation.keys]
    opened = [Image.open(path) for path in paths]
    for images in (paths, [path.read_bytes() for path in paths], opened):
        ours = [dict(one.ranking)["bone"] for one in api.predict(whole, images)]
        np.testing.assert_allclose(ours, evaluation.probabilities[:, 0], atol=1e-6)
    several = api.predict_many(whole, [ct / "test"], workers=2)
    ours = sorted(dict(one.ranking)["bone"] for one in several if isinstance(one, api.Prediction))
    np.testing.assert_allclose(ours, sorted(evaluation.probabilities[:, 0]), atol=1e-6)
    other = replace(api.load(whole).contract, grey=GreyRange(-1000, 8000))
    classifier = api.load(whole)
    classifier.contract = other
    assert not np.allclose(api.evaluate(classifier, ct, split="test").probabilities, by_run, atol=1e-3)


def test_the_network_that_is_shipped_carries_the_range(whole: Path) -> None:
    assert api.load(whole / "model").contract.grey == GreyRange(-1000, 2000)
    assert "-1,000 is black and 2,000 white" in (whole / "model" / "README.md").read_text()
    assert "grey = [\n    -1000.0,\n    2000.0,\n]" in (whole / "config.toml").read_text()


def test_a_report_shows_the_images(ct: Path, whole: Path) -> None:
    """Judged alone, they would be left out."""
    keys = ["bone/0.tif", "lung/photo.png"]
    assert find_thumbnails(str(ct), "test", keys, api.load(whole).contract, "").keys() == {*keys}


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    "recipe", [SAID, override(LARGE, data__grey=(-1000, 2000))], ids=["kept", "read again"]
)
def test_a_stopped_run_resumes_to_the_bit(recipe: Recipe, workers: int, ct: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"runs": tmp_path, "workers": workers}
    undisturbed = api.train(ct, recipe, name="whole", **options)
    with pytest.raises(Stopped):
        train_until(3, ct, recipe, TrainOptions("stopped", tmp_path, workers=workers))
    again = override(recipe, data__grey=None)  # the range of the run counts
    resumed = api.train(ct, again, name="stopped", resume="must", **options)
    assert resumed.contract.grey == GreyRange(-1000, 2000)
    assert resumed.result["metrics"] == undisturbed.result["metrics"]
    ours, theirs = (load_file(run.folder / "model" / "model.safetensors") for run in (resumed, undisturbed))
    assert all((ours[name] == theirs[name]).all() for name in theirs)
    with pytest.raises(RunError, match=r"data\.grey: \(0\.0, 9\.0\) now, \(-1000\.0, 2000\.0\) in the run"):
        api.train(ct, override(recipe, data__grey=(0, 9)), name="stopped", resume="must", **options)


def train_until(step: int, data: Path, recipe: Recipe, options: TrainOptions) -> None:
    for event in api.train_events(str(data), recipe, options):
        if isinstance(event, StepEnd) and event.step.step == step:
            signal.raise_signal(signal.SIGTERM)


def test_a_run_without_a_range_goes_on_without_one(tmp_path: Path) -> None:
    """As a version that did not know of ranges has begun it: each image is judged alone."""
    random = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 2)):
        for label in "ab":
            (tmp_path / "data" / split / label).mkdir(parents=True)
            for i in range(count):
                values = random.integers(0, 4000, (16, 16)).astype(np.uint16)
                Image.fromarray(values).save(tmp_path / "data" / split / label / f"{i}.png")
    started = api.train(tmp_path / "data", RECIPE, runs=tmp_path, name="new", epochs=1)
    assert started.contract.grey == GreyRange(0, 4095)
    for name in ("contract.json", "config.toml"):
        path = started.folder / name
        if name == "contract.json":
            value = json.loads(path.read_text())
            del value["grey"]
            path.write_text(json.dumps(value))
        else:
            path.write_text(override(Recipe.from_toml(path.read_text()), data__grey=None).to_toml())
    run = api.train(tmp_path / "data", RECIPE, runs=tmp_path, name="new", resume="must")
    assert run.contract.grey is None
    assert "grey" not in json.loads((run.folder / "contract.json").read_text())
    classifier = api.load(run.folder)
    dark, bright = (Image.fromarray(np.full((16, 16), value, np.uint16)) for value in (4095, 65535))
    levels = [Image.fromarray(np.full((16, 16), value, np.uint8)) for value in (16, 255)]
    wide, eight = (classifier.predict(images) for images in ([dark, bright], levels))
    assert [one.ranking for one in wide] == [one.ranking for one in eight]


def test_weights_keep_their_range(ct: Path, whole: Path, tmp_path: Path) -> None:
    told: list[RunStarted] = []

    def note(event: object) -> None:
        if isinstance(event, RunStarted):
            told.append(event)

    run = api.train(ct, RECIPE, runs=tmp_path, weights=whole, on_event=note)
    assert run.contract.grey == GreyRange(-1000, 2000)
    assert ("data.grey", "as the weights were trained") in {(c.field, c.why) for c in told[0].choices}
    assert (
        told[0]
        .notes[0]
        .startswith("deep grey images: -1,000 is black, 2,000 is white (values reach from -1,024")
    )
