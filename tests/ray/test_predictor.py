"""Batches of paths become the rows of `predict_to_file`, and a bad image is a row of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import resnext
from resnext.engine import Classifier, ModelError
from resnext.errors import UsageError
from resnext.ray import Predictor


@pytest.fixture
def images(make_folder: Any, tmp_path: Path) -> Path:
    folder: Path = make_folder(tmp_path / "new", {"red": 40, "blue": 40})
    return folder


def batch_of(paths: list[str]) -> dict[str, Any]:
    """A batch as Ray gives it."""
    return {"item": np.array(paths, dtype=object)}


@pytest.mark.parametrize("top", [1, 2, 99, None])
@pytest.mark.parametrize("views", ["one", "ten"])
def test_rows_are_those_of_predict(
    views: Any, top: int | None, classifier: Classifier, images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "answers.parquet"
    resnext.predict_to_file(classifier, [images], out, top=top, views=views)
    expected = pq.read_table(out)
    rows = Predictor(classifier, top=top, views=views)(batch_of(expected["picture"].to_pylist()))
    assert rows.schema.remove(rows.schema.get_field_index("error")).equals(expected.schema)
    assert rows.drop(["error"]).equals(expected)
    assert rows["error"].null_count == len(rows) == 80


def test_a_bad_image_is_a_row_with_its_error(classifier: Classifier, images: Path) -> None:
    good = sorted(map(str, images.rglob("*.png")))
    (text := images / "text.png").write_bytes(b"no image")
    paths = [str(text), *good[:63], str(images / "none.png"), str(images), *good[63:], good[0]]
    predictor = Predictor(classifier, top=2)
    rows = predictor(batch_of(paths))
    assert rows["picture"].to_pylist() == paths
    bad = [row for row in rows.to_pylist() if row["error"] is not None]
    assert [row["picture"] for row in bad] == [paths[0], paths[64], paths[65]]
    for row, says in zip(bad, ("is not an image", "there is no such file", "is a folder"), strict=True):
        assert says in row.pop("error")
        row.pop("picture")
        assert {*row.values()} == {None}
    alone = predictor(batch_of(good + good[:1]))
    assert rows.filter(pa.compute.is_null(rows["error"])).equals(alone)


@pytest.mark.parametrize("paths", [[], ["none.png"], ["none.png"] * 130])
def test_batches_without_a_good_image_have_the_same_columns(paths: list[str], classifier: Classifier) -> None:
    rows = Predictor(classifier)(batch_of(paths))
    assert rows["picture"].to_pylist() == paths
    assert rows["error"].null_count == 0
    assert rows.schema.field("set").type == pa.list_(pa.string())
    assert rows.schema.field("probability").type == pa.float32()


def test_addresses_of_a_store_are_read(classifier: Classifier, images: Path) -> None:
    store = fsspec.filesystem("memory")
    path = images / "red" / "0.png"
    store.pipe("/of-ray/0.png", path.read_bytes())
    addresses = ["memory://of-ray/0.png", "memory://of-ray/1.png", "nosuch://x", str(path)]
    stored, gone, nowhere, local = Predictor(classifier)(batch_of(addresses)).to_pylist()
    assert stored | {"picture": str(path)} == local
    assert local["error"] is None
    assert "cannot be fetched" in gone["error"]
    assert "cannot be opened" in nowhere["error"]


def test_names_that_are_no_text_are_written(classifier: Classifier) -> None:
    [row] = Predictor(classifier)(batch_of(["caf\udce9.png"])).to_pylist()
    assert row["picture"].startswith("caf")
    assert "no such file" in row["error"]


def test_other_columns_and_values_are_told(classifier: Classifier, images: Path) -> None:
    path = images / "red" / "0.png"
    assert Predictor(classifier, column="path")({"path": [path], "item": [0]}).num_rows == 1
    with pytest.raises(UsageError, match="column 'item': the batch has none, but 'path', 'bytes'; say which"):
        Predictor(classifier)({"path": [str(path)], "bytes": [b""]})
    with pytest.raises(UsageError, match="column 'item': holds bytes, and must hold paths"):
        Predictor(classifier)({"item": [path.read_bytes()]})
    with pytest.raises(ModelError, match="views"):
        Predictor(classifier, views="two")(batch_of([str(path)]))  # type: ignore[arg-type]
