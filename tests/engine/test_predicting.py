"""Predictions in files: those of the classifier, each image once, whatever happens on the way."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from resnext.data.decode import BadImage, DataError
from resnext.data.image_files import FoundImages, find_image_files
from resnext.engine import Classifier, ModelError, TableSummary, TorchEngine, list_image_files, predict_images
from resnext.engine import kept_rows as files
from resnext.engine.prediction_formats import FORMATS
from resnext.errors import UsageError
from resnext.models import create


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
    with pytest.raises(
        ModelError, match="was begun with --views one, not with --views flip; type --views one"
    ):
        predict(classifier, pets, out, top=2, views="flip", resume=True)
    with pytest.raises(ModelError, match="was begun with --top 2, not with --top 1"):
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
    found = find_image_files([pets])
    shards = [found.part(number, count) for number in range(count)]
    assert [path for shard in shards for path in shard.paths] == found.paths
    sizes = [len(shard.paths) for shard in shards]
    assert max(sizes) - min(sizes) <= 1
    if count in (3, 150):
        chosen = range(3) if count == 3 else (0, 74)
        predict_images(classifier, list_image_files(found), tmp_path / "whole.csv")
        whole = (tmp_path / "whole.csv").read_text().splitlines()
        rows = []
        for number in chosen:
            predict_images(classifier, list_image_files(shards[number]), tmp_path / f"{number}.csv")
            head, *own = (tmp_path / f"{number}.csv").read_text().splitlines()
            assert head == whole[0]
            rows += [line.split(",")[0] for line in own]
        expected = [line.split(",")[0] for line in whole[1:]]
        assert rows == (expected if count == 3 else [path for n in chosen for path in shards[n].paths])


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_shard_without_images_is_an_empty_table(
    suffix: str, classifier: Classifier, tmp_path: Path
) -> None:
    summary = predict_images(classifier, list_image_files(FoundImages()), tmp_path / f"x{suffix}")
    assert summary.rows == summary.images == 0
    if suffix == ".parquet":
        assert pq.read_table(tmp_path / "x.parquet").num_rows == 0
    else:
        assert len((tmp_path / f"x{suffix}").read_text().splitlines()) == (suffix == ".csv")


def test_what_was_left_out_is_told_again_and_may_not_change(
    classifier: Classifier, pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "WAITING_S", 0.0)
    out = tmp_path / "x.parquet"
    path = Path(find_image_files([pets]).paths[5])
    good = path.read_bytes()
    path.write_bytes(b"no image")
    stamp = path.stat().st_mtime_ns
    options = {"resume": True, "on_bad": "skip"}
    with pytest.raises(KeyboardInterrupt):
        predict(classifier, pets, out, progress=stop_after(64), **options)
    path.write_bytes(good)
    with pytest.raises(DataError, match="which has changed since; put back what it was"):
        predict(classifier, pets, out, **options)
    path.write_bytes(b"no image")
    os.utime(path, ns=(stamp, stamp))
    summary = predict(classifier, pets, out, **options)
    assert (summary.rows, [one.key for one in summary.bad]) == (139, [str(path)])
    assert "has no row of 1 images" in predict(classifier, pets, out, **options).notes[-1]


def test_a_table_that_is_being_written_is_left_alone(
    classifier: Classifier, pets: Path, tmp_path: Path
) -> None:
    out, partial = tmp_path / "x.csv", tmp_path / "x.csv.partial"

    def again(done: int, total: int) -> None:
        for resume in (False, True):
            with pytest.raises(UsageError, match="another process writes it; wait for it"):
                predict(classifier, pets, out, resume=resume)

    assert predict(classifier, pets, out, progress=again).rows == 140
    before = out.read_bytes()
    with pytest.raises(UsageError, match="was removed or replaced while it was written") as caught:
        predict(classifier, pets, out, progress=lambda done, total: partial.unlink(missing_ok=True))
    assert not hasattr(caught.value, "__notes__")
    assert out.read_bytes() == before


def test_an_unknown_suffix_is_named(classifier: Classifier, pets: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"out.xml: must end in .csv, .jsonl, .parquet"):
        predict(classifier, pets, tmp_path / "out.xml")
