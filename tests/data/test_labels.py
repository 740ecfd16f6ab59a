"""Each row of a table gets the class that it says, or an error that names the row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from resnext.data.decode import DataError
from resnext.data.labels import label_column

NAN = float("nan")


def named(*names: Any) -> dict[str, str]:
    """Metadata of a table whose labels have class names."""
    return {"huggingface": json.dumps({"info": {"features": {"label": {"names": list(names)}}}})}


def read(labels: Any, metadata: dict[str, str] | None = None) -> list[str]:
    """The class of each row by name."""
    table = pa.table({"label": labels}).replace_schema_metadata(metadata)
    indices, classes = label_column(table, "label", Path("t.parquet"))
    assert list(classes) == sorted(set(classes))
    return [classes[i] for i in indices]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["dog", "cat"], ["dog", "cat"]),
        ([1, 10, 0], ["1", "10", "0"]),
        ([1.0, 10.0, 0.0], ["1", "10", "0"]),  # as pandas writes whole numbers that once had a gap
        (["1.0", "10.0", "0"], ["1", "10", "0"]),
        ([0.5, 1.0], ["0.5", "1.0"]),
        (["007", "7"], ["007", "7"]),
        ([b"cat", b"dog"], ["cat", "dog"]),
        ([True, False], ["True", "False"]),
        (["None", "NA"], ["None", "NA"]),
        ([2**60 + 1, 2**60], [str(2**60 + 1), str(2**60)]),
        ([f"{2**60 + 1}.0", f"{2**60}.0"], [str(2**60 + 1), str(2**60)]),
    ],
)
def test_labels_are_what_they_say(labels: list[Any], classes: list[str]) -> None:
    assert read(labels) == classes


def test_a_table_that_pandas_wrote_is_read_as_the_one_it_was(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"label": [0, 1, 2, 1]})
    frame.astype(float).to_parquet(tmp_path / "t.parquet")
    frame.astype(float).to_csv(tmp_path / "t.csv", index=False)
    as_text = pa.table({"label": (tmp_path / "t.csv").read_text().split()[1:]})
    for table in (pq.read_table(tmp_path / "t.parquet"), as_text):
        assert label_column(table, "label", Path("t"))[1] == ("0", "1", "2")


@pytest.mark.parametrize("labels", [[1, 0, 1], [1.0, 0.0, 1.0], ["eel", "cat", "eel"]])
def test_names_of_classes_stand_for_their_numbers(labels: list[Any]) -> None:
    assert read(labels, named("cat", "eel")) == ["eel", "cat", "eel"]


@pytest.mark.parametrize("labels", [[-1, -1], [-1.0, -1.0], ["-1", "-1"]])
@pytest.mark.parametrize("metadata", [None, named("cat", "dog")])
def test_all_unlabelled(labels: list[Any], metadata: dict[str, str] | None) -> None:
    table = pa.table({"label": labels}).replace_schema_metadata(metadata)
    indices, classes = label_column(table, "label", Path("t"))
    assert classes == ()
    np.testing.assert_array_equal(indices, [-1, -1])


@pytest.mark.parametrize(
    ("labels", "metadata", "says"),
    [
        (["a", None, "b", None], None, r"2 rows without a label: rows 1, 3 \(from 0\)"),
        (["a", "", "b"], None, r"row 1 \(from 0\)"),
        (["a", " ", "b"], None, r"row 1 \(from 0\)"),
        (["1.0", "nan", "0.0"], None, r"row 1 \(from 0\)"),
        ([1.0, NAN, 0.0, NAN, NAN, NAN], None, r"4 rows without a label: rows 1, 3, 4 and 1 more \(from 0\)"),
        ([1.0, float("inf")], None, r"row 1 \(from 0\)"),
        ([0, 1, -1], None, r"is -1 in row 2 \(from 0\), which says that an image has no label"),
        (["0", "-1", "1"], None, r"is -1 in row 1"),
        ([0, 1, -1], named("a", "b"), r"is -1 in row 2"),
        ([0, 1, 2], named("a", "b"), r"2 is not one of the 2 named classes, in row 2 \(from 0\)"),
        (["a", "c", "b"], named("a", "b"), r"c is not one of the 2 named classes, in row 1 \(from 0\)"),
        ([0.5, 0.0], named("a", "b"), r"0\.5 is not one of the 2 named classes, in row 0"),
        ([0, 1], named("a", "a"), "name several classes of label 'a'"),
        ([0, 1], named("a", 7), "do not name the classes of label by words"),
        ([0, 1], {"huggingface": "{"}, "metadata cannot be read"),
        ([0, 1], {"huggingface": '{"info": [1]}'}, "metadata cannot be read"),
        (["cat", "ca\u200bt"], None, "differ by characters that look alike only"),
        (["cat", "c\u0430t"], None, "differ by characters that look alike only"),  # a Cyrillic a
        (["cat", "\uff43at"], None, "differ by characters that look alike only"),  # a wide c
        (["cat", "cat ", "dog"], None, "the classes 'cat' and 'cat ' differ by blanks only"),
        ([[0], [1]], None, "not one label for each image"),
    ],
)
def test_a_label_that_is_not_certain_is_an_error(
    labels: list[Any], metadata: dict[str, str] | None, says: str
) -> None:
    with pytest.raises(DataError, match=says) as error:
        read(labels, metadata)
    assert "t.parquet" in str(error.value)
