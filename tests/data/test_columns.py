"""A table without the usual names of columns is read where only one thing can be meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from resnext.data.decode import DataError
from resnext.data.images import ImageDataset
from resnext.data.tables import read_table


def read(folder: Path, text: str, name: str = "t.csv") -> ImageDataset:
    (folder / name).write_text(text)
    return read_table(folder / name)[None]


@pytest.fixture
def folder(tmp_path: Path, make_folder: Any) -> Path:
    """`train/0.png` to `train/3.png`."""
    return make_folder(tmp_path, {"train": 4}, (4, 4))  # type: ignore[no-any-return]


ROWS = "".join(f"{i},{'pug' if i < 2 else 'dingo'}\n" for i in range(4))


def test_what_was_guessed_is_said(folder: Path) -> None:
    images = read(folder, f"id,breed\n{ROWS}")
    assert list(images.keys) == [f"train/{i}.png" for i in range(4)]
    assert [images.classes[label] for label in images.labels] == ["pug", "pug", "dingo", "dingo"]
    assert images.notes == (
        "0 in t.csv is train/0.png, and so on",
        "the column breed of t.csv is the label: it has no other",
    )
    images = read(folder, "image,pug,dingo\n0,1,0\n1,0,1.0\n2,0,1\n")
    assert [images.classes[label] for label in images.labels] == ["pug", "dingo", "dingo"]
    assert "each class is a column of t.csv: pug, dingo" in images.notes


def test_a_guess_about_images_in_the_table_is_said(tmp_path: Path) -> None:
    table = pa.table({"image": [b"1", b"2", b"3", b"4"], "breed": ["pug", "pug", "eel", "eel"]})
    pq.write_table(table, tmp_path / "t.parquet")
    images = read_table(tmp_path / "t.parquet")[None]
    assert images.classes == ("eel", "pug")
    assert images.notes == ("the column breed of t.parquet is the label: it has no other",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"id,breed\n{ROWS}9,pug\n", "no image column"),  # a file that is not there
        (f"id,breed\n{ROWS}0,pug\n", "no image column"),  # an image twice: perhaps no names
        ("id,number,label\n0,0,x\n1,1,y\n", "no image column"),  # two columns that could be names
        ("id,breed\ntrain/0.png,pug\n9,pug\n", "no image column"),
        (f"id,breed\n{'x' * 5000},pug\n", "no image column"),  # longer than a path can be
        ("id,breed\n0,pug\n1,dingo\n2,dingo\n", "no label column"),  # a word that stands once
        ("id,size\n0,1.5\n1,1.5\n", "no label column"),
        ("id,a,b\n0,1,0\n1,1,1\n2,0,0\n", r"several ones or none in rows 1, 2 \(from 0\); an image has one"),
        ("id,a,b\n0,1,0\n1,7,0\n", "no label column"),
    ],
)
def test_what_is_not_certain_is_refused(text: str, says: str, folder: Path) -> None:
    with pytest.raises(DataError, match=says):
        read(folder, text)


def test_names_mean_files_only_if_each_means_one(folder: Path, make_folder: Any) -> None:
    named = f"image,label\n{ROWS}"
    assert read(folder, named).keys[0] == "train/0.png"
    assert read(folder, "image,label\ntrain/7.png,x\n0,y\n").keys[0] == "train/7.png"  # missing, as given
    assert read(folder, "image,label\n0.jpg,x\n1,y\n").keys[0] == "0.jpg"  # another suffix
    long = "x" * 5000
    assert read(folder, f"image,label\n{long},x\n0,y\n").keys[0] == long
    make_folder(folder, {"test": 1}, (4, 4))
    assert read(folder, named).keys[0] == "0"  # of two files
    assert read(folder, "image,label\ntrain/0,x\ntrain/1,y\n").keys[0] == "train/0.png"
    make_folder(folder, {"a/b/c": 5}, (4, 4))
    assert read(folder, "image,label\n4,x\n").keys[0] == "4"  # too deep


def test_json_lines_are_a_table(folder: Path) -> None:
    rows = [{"file_name": f"train/{i}.png", "label": i % 2} for i in range(4)]
    images = read(folder, "\n".join(map(json.dumps, rows)), "metadata.jsonl")
    assert images.classes == ("0", "1")
    assert images.open(3).size == (4, 4)
    for text in ('{"file_name": "a.png", "label": 1}\n{"file_', "[1]"):
        with pytest.raises(DataError, match="cannot be read as JSON lines"):
            read(folder, text, "metadata.jsonl")


def test_pixels_in_columns(tmp_path: Path) -> None:
    names = [f"pixel{i}" for i in range(16)]
    header = ",".join(["label", *names])
    images = read(tmp_path, f"{header}\n3,{','.join(map(str, range(16)))}\n5,{'255,' * 15}0\n")
    assert images.classes == ("3", "5")
    assert images.open(0).getpixel((2, 1)) == (6, 6, 6)
    with pytest.raises(DataError, match="not a whole number from 0 to 255"):
        read(tmp_path, f"{header}\n3,{'256,' * 15}0\n")
    with pytest.raises(DataError, match="17 columns of pixels, which are not those of a square"):
        read(tmp_path, f"{header},pixel16\n3,{'1,' * 16}0\n")
