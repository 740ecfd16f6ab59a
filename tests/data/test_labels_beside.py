"""Tables that say the classes of images beside them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from resnext.data import labels_beside
from resnext.data.decode import DataError
from resnext.data.sources import read_splits
from resnext.data.splits import Splits
from resnext.data.tables import load_table

TWO = ("cat", "dog")
#: The folders show other classes than the table says.
NAMES = [f"{folder}/{i}.png" for folder in ("one", "two") for i in range(10)]
LABELS = [TWO[i % 2] for i in range(20)]
Columns = dict[str, list[Any]]
HUB: Columns = {"file_name": NAMES, "label": LABELS}


def write_csv(path: Path, columns: Columns) -> None:
    with open(path.with_suffix(".csv"), "w", newline="") as file:
        csv.writer(file).writerows([list(columns), *zip(*columns.values(), strict=True)])


def write_json_lines(path: Path, columns: Columns) -> None:
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    path.with_suffix(".jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_parquet(path: Path, columns: Columns) -> None:
    pq.write_table(pa.table(columns), path.with_suffix(".parquet"))


WRITERS = [write_csv, write_json_lines, write_parquet]
every_format = pytest.mark.parametrize("write", WRITERS)
Write = Callable[[Path, Columns], None]


@pytest.fixture
def folder(tmp_path: Path, make_folder: Any) -> Path:
    return make_folder(tmp_path / "pets", {"one": 10, "two": 10}, (4, 4))  # type: ignore[no-any-return]


def labels_of(splits: Splits) -> dict[str, str]:
    return {
        key: images.classes[label]
        for _, images in splits.items()
        for key, label in zip(images.keys, images.labels, strict=True)
    }


@every_format
@pytest.mark.parametrize("more", [{}, {"path": ["elsewhere"] * 20, "image": ["x.png"] * 20}])
def test_the_hub_names_images_in_a_table(write: Write, more: Columns, folder: Path) -> None:
    write(folder / "metadata", more | HUB)
    splits = read_splits(str(folder))
    assert labels_of(splits) == dict(zip(NAMES, LABELS, strict=True))
    assert splits.train.open(0).size == (4, 4)


@pytest.mark.parametrize("columns", [HUB, {"file_name": NAMES, "text": LABELS}])
@pytest.mark.parametrize("split", ["train", ""])
def test_it_is_read_once(
    columns: Columns, split: str, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    monkeypatch.setattr(labels_beside, "load_table", lambda path: read.append(path) or load_table(path))
    data = folder
    if split:
        folder.rename(tmp_path / split)
        data = tmp_path
    write_csv(data / split / "metadata", columns)
    read_splits(str(data))
    assert read == [data / split / "metadata.csv"]


@every_format
def test_it_may_say_the_splits_too(write: Write, folder: Path) -> None:
    write(folder / "metadata", HUB | {"split": ["train"] * 15 + ["valid"] * 5})
    assert [(name, len(images)) for name, images in read_splits(str(folder)).items()] == [
        ("train", 15),
        ("val", 5),
    ]


@every_format
def test_it_may_lie_in_the_folder_of_a_split(write: Write, tmp_path: Path, folder: Path) -> None:
    folder.rename(tmp_path / "train")
    write(tmp_path / "train" / "metadata", HUB)
    assert labels_of(read_splits(str(tmp_path))) == dict(zip(NAMES, LABELS, strict=True))
    write(tmp_path / "train" / "metadata", HUB | {"split": ["train"] * 15 + ["test"] * 5})
    with pytest.raises(DataError, match="train: is train by its name, but test by the column split"):
        read_splits(str(tmp_path))


@every_format
@pytest.mark.parametrize(
    "columns",
    [
        {"field": ["licence", "author"], "value": ["free", "nobody"]},
        {"profile_name": ["a"], "label": ["b"]},
        {"file_name": NAMES, "text": ["a caption"] * 20},
    ],
)
def test_a_table_about_something_else_does_not_hide_class_folders(
    write: Write, columns: Columns, folder: Path
) -> None:
    write(folder / "metadata", columns)
    assert read_splits(str(folder)).classes == ("one", "two")


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl", "metadata.parquet"])
@pytest.mark.parametrize("content", [b"about,this,set\nit is free\n", b"", b"\0\1\2\n", b"PAR1"])
def test_nor_does_one_that_is_no_table(name: str, content: bytes, folder: Path) -> None:
    (folder / name).write_bytes(content)
    assert read_splits(str(folder)).classes == ("one", "two")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("metadata.csv", "file_name,label\none/0.png\n", "more or fewer fields"),
        ("metadata.jsonl", '{"file_name": "one/0.png", "label": "cat"}\n{"file', "as JSON lines .line 2: "),
        ("metadata.jsonl", '{"file_name": "a.png", "label": 1}\n{"file_name": 2}', "as JSON lines"),
        ("metadata.jsonl", '["file_name", "label"]', "line 1: the row: must be an object"),
        (
            "metadata.jsonl",
            '{"file_name": "a.png", "label": 1}\n{"file_name": "b"}',
            "without a label: row 1",
        ),
    ],
)
def test_one_that_names_images_is_read_or_refused(name: str, content: str, says: str, folder: Path) -> None:
    (folder / name).write_text(content)
    with pytest.raises(DataError, match=says) as error:
        read_splits(str(folder))
    assert name in str(error.value)


def test_two_tables_of_the_same_images(folder: Path) -> None:
    for write in WRITERS[:2]:
        write(folder / "metadata", HUB)
    with pytest.raises(DataError, match=r"metadata\.csv and metadata\.jsonl name the same images; keep one"):
        read_splits(str(folder))
    write_csv(folder / "metadata", {"about": ["this set"]})
    assert read_splits(str(folder)).classes == TWO


@pytest.mark.parametrize("write", [write_csv, write_parquet])
@pytest.mark.parametrize("place", ["test/", ""])
def test_a_table_called_as_the_folder_beside_it(
    write: Write, place: str, tmp_path: Path, make_folder: Any
) -> None:
    make_folder(tmp_path, {"train/cat": 4, "train/dog": 4, "test": 4}, (4, 4))
    write(tmp_path / "test", {"id": [1, 2]})  # as Kaggle lists what is to be predicted
    assert "left out test, whose images have no labels" in read_splits(str(tmp_path)).notes
    write(tmp_path / "test", {"image": [f"{place}{i}.png" for i in range(4)], "label": LABELS[:4]})
    test = read_splits(str(tmp_path)).test
    assert [test.classes[label] for label in test.labels] == LABELS[:4]
    assert test.open(3).size == (4, 4)


@every_format
def test_the_hub_names_images_of_all_splits_in_one_table(
    write: Write, tmp_path: Path, make_folder: Any
) -> None:
    make_folder(tmp_path, {"train": 4, "validation": 2, "test/images": 3}, (4, 4))
    names = [f"{place}/{i}.png" for place, n in (("train", 4), ("validation", 2)) for i in range(n)]
    write(tmp_path / "metadata", {"file_name": names, "label": ["a", "b"] * 3})
    splits = read_splits(str(tmp_path))
    assert [(name, list(images.keys)) for name, images in splits.items()] == [
        ("train", names[:4]),
        ("val", names[4:]),
    ]
    assert splits.val.open(1).size == (4, 4)
    assert "left out test, whose images have no labels" in splits.notes
