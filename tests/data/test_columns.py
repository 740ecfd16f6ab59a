"""A table without the usual names of columns is read where only one thing can be meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
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


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"label": ["cat"]}, r"column label holds list.*not one label for each image"),
        ({"label": {"name": "cat"}}, "column label holds list"),
        ({"image": ["1.png"], "label": "cat"}, "column image holds list.*not bytes or paths"),
        ({"label": ["cat"], "breed": "pug"}, "column label holds list"),
        ({"boxes": [[1, 2]], "breed": "pug"}, "no label column; it has image, boxes, breed"),
    ],
)
def test_lists_in_json_are_neither_images_nor_classes(row: dict[str, Any], says: str, tmp_path: Path) -> None:
    """One in a single row makes it so: another column must not take its place."""
    rows = [{"image": f"{i}.png", "label": "cat"} | dict.fromkeys(row, "x") for i in range(4)]
    rows = [{name: value for name, value in one.items() if name in ("image", *row)} for one in rows]
    rows[2] |= row
    with pytest.raises(DataError, match=says):
        read(tmp_path, "\n".join(map(json.dumps, rows)), "t.jsonl")


def test_lists_beside_a_label_are_left_alone(tmp_path: Path) -> None:
    own = {"boxes": [[1, 2]], "size": {"w": 3}}
    rows = [{"image": f"{i}.png", "label": "ab"[i % 2]} | own for i in range(4)]
    images = read(tmp_path, "\n".join(map(json.dumps, rows)), "t.jsonl")
    assert images.classes == ("a", "b")


def test_sparse_json_takes_no_more_memory_than_it_has_text(tmp_path: Path) -> None:
    rows = [{"image": f"{i}.png", "label": "ab"[i % 2], f"c{i}": 1} for i in range(1100)]
    with pytest.raises(DataError, match=r"1,100 rows have 1,102 columns between them, and nearly all"):
        read(tmp_path, "\n".join(map(json.dumps, rows)), "t.jsonl")
    some = [row | {f"d{i}": 1 for i in range(500)} for row in rows]  # half of the fields are filled
    assert len(read(tmp_path, "\n".join(map(json.dumps, some)), "t.jsonl")) == 1100


@pytest.mark.parametrize("name", ["fold", "subset", "Is_Train", "phase"])
def test_what_divides_a_set_is_never_taken_for_classes(name: str, tmp_path: Path) -> None:
    rows = [f"{i}.png,{i % 2}" for i in range(4)]
    with pytest.raises(DataError, match=f"no label column; it has image, {name}"):
        read(tmp_path, "\n".join([f"image,{name}", *rows, ""]))
    rows = [f"{i}.png,{'ab'[i % 2]},{i // 2}" for i in range(4)]
    images = read(tmp_path, "\n".join([f"image,breed,{name}", *rows, ""]))
    assert images.classes == ("a", "b")
    assert any(f"the column {name} of t.csv is not used" in note for note in images.notes)
    assert any("the column breed of t.csv is the label" in note for note in images.notes)


@pytest.mark.parametrize(
    ("values", "are_classes"),
    [("0011", True), ("1122", True), ("0044", False), ("480 640 480 640", False), ("2233", False)],
)
def test_numbers_are_classes_only_where_they_count(values: str, are_classes: bool, tmp_path: Path) -> None:
    numbers = values.split() if " " in values else list(values)
    text = "\n".join(["image,x", *(f"{i}.png,{number}" for i, number in enumerate(numbers)), ""])
    if are_classes:
        assert read(tmp_path, text).classes == tuple(sorted(set(numbers)))
    else:
        with pytest.raises(DataError, match="no label column; it has image, x"):
            read(tmp_path, text)


@pytest.mark.parametrize("form", ["pixel{}", "Pixel {}", "pixel_{}"])
@pytest.mark.parametrize("first", [0, 1])
def test_pixels_are_where_their_names_say(form: str, first: int, tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(16)
    header = ",".join(["label", *(form.format(first + i) for i in order)])
    images = read(tmp_path, f"{header}\n3,{','.join(map(str, order))}\n5,{'255,' * 15}0\n")
    assert [images.open(0).getpixel((i % 4, i // 4)) for i in range(16)] == [(i, i, i) for i in range(16)]


def test_pixels_by_row_and_column_need_not_make_a_square(tmp_path: Path) -> None:
    places = [(row, column) for column in (10, 9, *range(1, 9)) for row in (1, 2)]  # by columns, not in order
    header = ",".join(["label", *(f"{row}x{column}" for row, column in places)])
    values = ",".join(str(10 * row + column) for row, column in places)
    images = read(tmp_path, f"{header}\n3,{values}\n5,{values}\n")
    assert images.open(0).size == (10, 2)
    assert images.open(0).getpixel((8, 1)) == (29, 29, 29)


@pytest.mark.parametrize("numbers", [{*range(17)} - {3}, {*range(17)} - {15}, {*range(2, 18)}])
def test_columns_of_pixels_that_are_not_there(numbers: set[int], tmp_path: Path) -> None:
    header = ",".join(["label", *(f"pixel{i}" for i in sorted(numbers))])
    with pytest.raises(DataError, match=r"has 16 columns of pixels, from pixel\d+ to pixel1\d, and some"):
        read(tmp_path, f"{header}\n3,{'1,' * 15}0\n")
    twice = header.replace("pixel5", "pixel6").replace("pixel6", "pixel06", 1)
    with pytest.raises(DataError, match="or stand there twice"):
        read(tmp_path, f"{twice}\n3,{'1,' * 15}0\n")


def test_a_pixel_that_is_not_there(tmp_path: Path) -> None:
    table = {f"pixel{i}": [1, None if i == 7 else 2] for i in range(16)} | {"label": ["a", "b"]}
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    with pytest.raises(DataError, match="column pixel7 has no pixel in row 1"):
        read_table(tmp_path / "t.parquet")


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


@pytest.mark.parametrize(
    ("rows", "agree"),
    [
        (["0,cat", "1,dog", "0,cat", "1,dog"], True),
        (["0,cat", "0,dog", "1,cow", "1,cow"], False),  # one is coarser
        (["0,cat", "1,dog", "1,cat", "0,dog"], False),
    ],
)
@pytest.mark.parametrize("names", ["label,class", "category,class", "Label,target"])
def test_two_columns_of_labels_must_divide_alike(
    rows: list[str], agree: bool, names: str, tmp_path: Path
) -> None:
    text = "\n".join([f"image,{names}", *(f"{i}.png,{row}" for i, row in enumerate(rows)), ""])
    if agree:
        assert len(read(tmp_path, text).classes) == 2
    else:
        with pytest.raises(DataError, match="are both called like labels, and divide the images differently"):
            read(tmp_path, text)


def test_columns_of_ones_that_say_splits_are_no_classes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the columns train, val of zeros and ones say splits, not classes"):
        read(tmp_path, "path,train,val\n0.png,1,0\n1.png,0,1\n2.png,1,0\n")
    assert read(tmp_path, "path,train,bus\n0.png,1,0\n1.png,0,1\n").classes == ("bus", "train")
