"""What is certain about a layout is read, the rest refused; public sets: `test_public_layouts.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from resnext.data.decode import DataError
from resnext.data.sources import read_splits

TWO = ("cat", "dog")


LISTED = "0.png\tn2\t0\t0\t3\t3\n1.png\tn1\t0\t0\t3\t3\n"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("caf\u00e9.png\tn1\n".encode("cp1252"), "cannot be read as text .*save it as UTF-8"),
        (b"0.png\tn1\n", r"images/0\.png is 'n2' in row 0 and 'n1' in row 2"),
        (b"2.png\t\n", "1 rows without a label: row 2"),
        (b"2.png\tN1\n", "'N1' and 'n1' differ by case only"),
        (b"../2.png\tn1\n", "a line is not the name of an image"),
        (b"..\\2.png\tn1\n", "a line is not the name of an image"),
        (b"2.png\n", "a line is not the name of an image"),
    ],
)
def test_a_list_of_which_two_things_could_be_meant(
    more: bytes, says: str, tmp_path: Path, make_folder: Any
) -> None:
    make_folder(tmp_path, {"train/n1": 3, "train/n2": 3, "val/images": 3}, (4, 4))
    (tmp_path / "val" / "val_annotations.txt").write_bytes(LISTED.encode() + more)
    with pytest.raises(DataError, match=says) as error:
        read_splits(str(tmp_path))
    assert "val_annotations.txt" in str(error.value)


def test_listed_images_may_lie_beside_their_list(tmp_path: Path, make_folder: Any) -> None:
    make_folder(tmp_path, {"train/n1": 3, "train/n2": 3, "val": 2}, (4, 4))
    (tmp_path / "val" / "val_annotations.txt").write_text(LISTED)
    found = read_splits(str(tmp_path))
    assert list(found.val.keys) == ["0.png", "1.png"]
    assert found.val.labels.tolist() == [1, 0]
    assert found.val.open(1).size == (4, 4)


def test_one_name_in_two_unicode_forms_is_one_class(tmp_path: Path, make_folder: Any) -> None:
    joined, apart = "caf\u00e9", "cafe\u0301"
    make_folder(tmp_path / "beside", {joined: 10, apart: 10, "dog": 10}, (4, 4))
    assert read_splits(str(tmp_path / "beside")).classes == (joined, "dog")
    make_folder(tmp_path / "splits", {f"train/{joined}": 5, "train/dog": 5, f"val/{apart}": 2}, (4, 4))
    assert read_splits(str(tmp_path / "splits")).val.labels.tolist() == [0, 0]


def test_files_without_a_suffix_are_looked_into(tmp_path: Path, make_folder: Any) -> None:
    make_folder(tmp_path, {"cat": 10, "dog": 10}, (4, 4))
    for i in range(5):
        (tmp_path / "cat" / f"{i}.png").rename(tmp_path / "cat" / str(i))
    (tmp_path / "cat" / "LICENSE").write_text("free")
    found = read_splits(str(tmp_path))
    assert sum(len(images) for _, images in found.items()) == 20
    assert any("5 files whose names have no suffix" in note for note in found.notes)


ROWS = [(f"{name}/{i}.png", name) for name in TWO for i in range(10)]
CSV = "image,label\n" + "".join(f"{path},{name}\n" for path, name in ROWS)


@pytest.mark.parametrize(
    "stored",
    [
        CSV.encode("utf-8-sig"),
        CSV.encode("utf-16"),
        CSV.replace(",", ";").encode(),
        CSV.replace(",", "\t").encode(),
        CSV.replace(",", ", ").encode(),
        CSV.replace("/", "\\").encode(),
        CSV.replace("image", "file_name").encode(),
    ],
)
@pytest.mark.parametrize("name", ["T.CSV", "folder/metadata.csv"])
def test_tables_of_many_programs(stored: bytes, name: str, tmp_path: Path, make_folder: Any) -> None:
    table = tmp_path / name
    make_folder(table.parent, {"cat": 10, "dog": 10}, (4, 4))
    table.write_bytes(stored)
    found = read_splits(str(table))
    assert found.classes == TWO
    assert found.notes == ("no splits: divided into 16 train, 2 val, 2 test",)
    assert found.train.open(0).size == (4, 4)


def test_windows_letters(tmp_path: Path) -> None:
    rows = "".join(f"{n}{i}.png,{n}\n" for n in ("caf\u00e9", "dog") for i in range(10))
    (tmp_path / "t.csv").write_bytes(f"image,label\n{rows}".encode("cp1252"))
    assert read_splits(str(tmp_path / "t.csv")).classes == ("caf\u00e9", "dog")


def test_a_column_that_looks_like_splits_is_said(tmp_path: Path) -> None:
    text = "image,label,is_valid\n" + "".join(f"{path},{name},False\n" for path, name in ROWS)
    (tmp_path / "t.csv").write_text(text)
    assert any("is_valid" in note and "split" in note for note in read_splits(str(tmp_path / "t.csv")).notes)
