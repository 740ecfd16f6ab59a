"""Predictions in files: those of the classifier, each image once, whatever happens on the way."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from resnext.data.decode import BadImage
from resnext.data.image_files import find_image_files
from resnext.engine import Classifier, ModelError, TableSummary, TorchEngine, list_image_files, predict_images
from resnext.engine import kept_rows as files
from resnext.engine.prediction_formats import FORMATS
from resnext.errors import UsageError
from resnext.models import create
from resnext.recipe.options import ImageShard


def predict(classifier: Classifier, pets: Path, out: Path, **options: Any) -> TableSummary:
    return predict_images(classifier, list_image_files(find_image_files([pets])), out, **options)


def stop_after(count: int) -> Callable[[int, int], None]:
    """A `progress` that ends the run when so many images are done."""

    def progress(done: int, total: int) -> None:
        if done >= count:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("views", ["one", "flip", "ten"])
def test_rows_are_the_answers_of_the_classifier(
    views: Any, classifier: Classifier, pets: Path, tmp_path: Path
) -> None:
    out = tmp_path / "x.parquet"
    assert predict(classifier, pets, out, top=None, views=views).rows == 140
    images = list_image_files(find_image_files([pets])).parts[0].images
    answers = [
        answer
        for batch in classifier.classify(images, views=views)
        for answer in classifier.to_predictions(images, batch)
    ]
    rows = pq.read_table(out).to_pylist()
    assert [row["picture"] for row in rows] == [answer.key for answer in answers]
    assert [row["probability"] for row in rows] == [answer.probability for answer in answers]
    assert [dict(zip(classifier.contract.classes, row["probabilities"], strict=True)) for row in rows] == [
        dict(answer.ranking) for answer in answers
    ]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("stops", [(1,), (64, 100, 129), (64, 64, 139), (140,)])
@pytest.mark.parametrize("views", ["one", "ten"])
def test_a_stopped_run_goes_on_to_the_same_bytes(
    views: Any,
    stops: tuple[int, ...],
    suffix: str,
    classifier: Classifier,
    pets: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(files, "WAITING_S", 0.0)
    whole, out = tmp_path / f"whole{suffix}", tmp_path / f"cut{suffix}"
    predict(classifier, pets, whole, top=2, views=views)
    for count in stops:
        with pytest.raises(KeyboardInterrupt) as error:
            predict(classifier, pets, out, top=2, views=views, resume=True, progress=stop_after(count))
        assert any("--resume goes on" in note for note in error.value.__notes__)
        assert not out.exists()
    assert predict(classifier, pets, out, top=2, views=views, resume=True).rows == 140
    assert out.read_bytes() == whole.read_bytes()
    assert {path.name for path in tmp_path.glob(f"*{suffix}*")} == {out.name, whole.name}


def test_an_error_leaves_the_old_file_and_the_rows_so_far(
    classifier: Classifier, pets: Path, tmp_path: Path
) -> None:
    out, bad = tmp_path / "x.csv", pets / "train" / "zebra" / "0.png"
    bad.parent.mkdir()
    out.write_text("old")
    bad.write_bytes(b"no image")
    with pytest.raises(BadImage) as error:
        predict(classifier, pets, out)
    assert error.value.__notes__ == [
        f"{out}.partial holds the rows so far; the same command with --resume goes on"
    ]
    assert out.read_text() == "old"
    with pytest.raises(UsageError, match=r"x\.csv\.partial: has the rows of a run that was stopped"):
        predict(classifier, pets, out)
    summary = predict(classifier, pets, out, resume=True, on_bad="skip")
    assert (summary.rows, len(summary.bad)) == (140, 1)
    assert len(list(csv.DictReader(out.read_text().splitlines()))) == 140


def test_another_model_or_other_options_are_told(classifier: Classifier, pets: Path, tmp_path: Path) -> None:
    out, arch, contract = tmp_path / "x.jsonl", classifier.network.arch, classifier.contract
    with pytest.raises(KeyboardInterrupt):
        predict(classifier, pets, out, top=2, progress=stop_after(64))
    other = Classifier(TorchEngine(create(arch, 2), contract))
    with pytest.raises(ModelError, match=r"holds predictions of .* with other weights"):
        predict(other, pets, out, top=2, resume=True)
    with pytest.raises(ModelError, match="was begun with --views one, not flip; type that again"):
        predict(classifier, pets, out, top=2, views="flip", resume=True)
    with pytest.raises(ModelError, match="was begun with --top 2, not 1"):
        predict(classifier, pets, out, top=1, resume=True)
    assert predict(classifier, pets, out, top=2, resume=True).rows == 140


def test_a_finished_table_of_parquet_is_left_as_it_is(
    classifier: Classifier, pets: Path, tmp_path: Path
) -> None:
    out = tmp_path / "x.parquet"
    predict(classifier, pets, out)
    before = out.stat().st_mtime_ns
    assert predict(classifier, pets, out, resume=True).resumed_at == 140
    assert out.stat().st_mtime_ns == before
    (pets / "test" / "dog" / "0.png").touch()
    with pytest.raises(Exception, match="holds predictions of other images"):
        predict(classifier, pets, out, resume=True)


@pytest.mark.parametrize("count", [1, 3, 64, 140, 150])
def test_shards_one_after_the_other_are_the_whole(
    count: int, classifier: Classifier, pets: Path, tmp_path: Path
) -> None:
    images = list_image_files(find_image_files([pets]))
    shards = [images.shard(ImageShard(number, count)) for number in range(count)]
    keys = [key for shard in shards for part in shard.parts for key in part.images.keys]
    assert keys == list(images.parts[0].images.keys)
    sizes = [len(shard) for shard in shards]
    assert max(sizes) - min(sizes) <= 1
    if count == 3:
        predict_images(classifier, images, tmp_path / "whole.jsonl")
        for number, shard in enumerate(shards):
            predict_images(classifier, shard, tmp_path / f"{number}.jsonl")
        lines = [line for n in range(3) for line in (tmp_path / f"{n}.jsonl").read_text().splitlines()]
        kept = [line.split('"probability"')[0] for line in lines]
        whole = (tmp_path / "whole.jsonl").read_text().splitlines()
        assert kept == [line.split('"probability"')[0] for line in whole]


def test_an_unknown_suffix_is_named(classifier: Classifier, pets: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"out.xml: must end in .csv, .jsonl, .parquet"):
        predict(classifier, pets, tmp_path / "out.xml")
