"""Tables that nobody would have meant."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from resnext.data.decode import BadImage, DataError
from resnext.data.sources import read_splits
from resnext.data.tables import read_table


def test_a_table_of_a_million_columns_is_refused_at_once(tmp_path: Path) -> None:
    names = ",".join(f"c{i}" for i in range(10**6))
    (tmp_path / "x.csv").write_text(f"{names}\n" + "1," * (10**6 - 1) + "1\n")
    with pytest.raises(DataError, match="has 1,000,000 columns, and at most 10,000 are read"):
        read_table(tmp_path / "x.csv")
    (tmp_path / "y.csv").write_text(",".join(f"c{i}" for i in range(9000)) + "\n" + "1," * 8999 + "1\n")
    with pytest.raises(DataError, match=r"no image column; it has c0, c1, .* and 8,980 more") as error:
        read_table(tmp_path / "y.csv")
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize(
    "text",
    [
        "\nimage,label\na.png,x\nb.png,y\n",
        "\r\n  \r\nimage;label\r\na.png;x\r\n\r\nb.png;y\r\n",
        " image , label \na.png,x\nb.png,y\n",
        '"image",\tlabel\na.png,x\nb.png,y\n\n  \n',
    ],
)
def test_blank_lines_and_blanks_around_names_of_columns_mean_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(text.encode())
    images = read_table(tmp_path / "t.csv")[None]
    assert list(images.keys) == ["a.png", "b.png"]
    assert [images.classes[label] for label in images.labels] == ["x", "y"]


def test_a_table_is_the_same_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many rows as fit, one more, and odd ones in different parts."""
    monkeypatch.setattr("resnext.data.csv_files.ROWS", 4)
    lines = [f"{i}.png,{'xy'[i % 2]}" for i in range(9)]
    for count in (4, 8, 9):
        (tmp_path / "t.csv").write_text("\n".join(["image,label", *lines[:count], ""]))
        images = read_table(tmp_path / "t.csv")[None]
        assert list(images.keys) == [f"{i}.png" for i in range(count)]
        assert images.labels.tolist() == [i % 2 for i in range(count)]
    lines[1], lines[7] = "1.png", "7.png,x,y"
    (tmp_path / "t.csv").write_text("\n".join(["image,label", *lines, ""]))
    with pytest.raises(DataError, match=r"more or fewer fields than the header line has: rows 1, 7 \(from 0"):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize("name", ["a" * 300, "a/" * 3000, "a\0b"])
def test_a_text_that_is_no_name_of_a_file_is_a_missing_file(name: str, tmp_path: Path) -> None:
    """Even to ask whether such a file exists is an error to some systems."""
    for path in (name, name + "\\1.jpg"):
        pq.write_table(pa.table({"path": [path, "1.jpg"], "label": ["cat", "dog"]}), tmp_path / "x.parquet")
        [images] = read_table(tmp_path / "x.parquet").values()
        assert images.stored_size(0) == -1
        with pytest.raises(BadImage):
            images.open(0)


def _write(folder: Path, rows: list[str], header: str = "path,label") -> Path:
    for i in range(4):
        Image.new("RGB", (4, 4)).save(folder / f"{i}.png")
    (folder / "t.csv").write_text("\n".join([header, *rows, ""]))
    return folder / "t.csv"


@pytest.mark.parametrize(("rows", "left"), [("010", "01"), ("0011", "01"), ("3012003", "3012")])
def test_a_row_that_names_an_image_again_is_left_out(rows: str, left: str, tmp_path: Path) -> None:
    path = _write(tmp_path, [f"{row}.png,c{int(row) % 2}" for row in rows])
    images = read_table(path)[None]
    assert list(images.keys) == [f"{row}.png" for row in left]
    assert [images.classes[label] for label in images.labels] == [f"c{int(row) % 2}" for row in left]
    assert any("that another row names too" in note for note in images.notes)


def test_an_image_in_two_splits_is_refused(tmp_path: Path) -> None:
    rows = ["0.png,a,train", "1.png,b,train", "1.png,b,val", "2.png,a,val", "0.png,a,test"]
    with pytest.raises(DataError, match=r"2 images are in more than one split, the first 0\.png"):
        read_table(_write(tmp_path, rows, "path,label,split"))
    again = ["0.png,a,train", "0.png,a,training", "1.png,b,val"]
    parts = read_table(_write(tmp_path, again, "path,label,split"))
    assert {split: list(images.keys) for split, images in parts.items()} == {
        "train": ["0.png"],
        "val": ["1.png"],
    }


@pytest.mark.parametrize("other", ["./0.png", "a/../0.png", ".//0.png"])
def test_other_words_for_one_file_are_one_image(other: str, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match="is 'x' in row 0 and 'y' in row 1"):
        read_table(_write(tmp_path, ["0.png,x", f"{other},y", "1.png,y"]))
    with pytest.raises(DataError, match=r"1 image is in more than one split, 0\.png"):
        read_table(_write(tmp_path, ["0.png,x,train", f"{other},x,val", "1.png,y,train"], "path,label,split"))
    images = read_table(_write(tmp_path, ["0.png,x", f"{other},x", "1.png,y"]))[None]
    assert list(images.keys) == ["0.png", "1.png"]
    assert "left out 1 row with an image that another row names too" in images.notes


@pytest.mark.parametrize("other", ["0.png", "./0.png"])
def test_tables_of_two_splits_must_not_name_one_file(other: str, tmp_path: Path) -> None:
    rows = {"train": ["0.png,x", "1.png,y"], "val": [f"{other},x", "3.png,y"]}
    for split, lines in rows.items():
        _write(tmp_path, lines).rename(tmp_path / f"{split}.csv")
    with pytest.raises(DataError, match=rf"1 image is in more than one split, {re.escape(other)}:"):
        read_splits(str(tmp_path))
    _write(tmp_path, ["2.png,x", "3.png,y"]).rename(tmp_path / "val.csv")
    assert [len(images) for _, images in read_splits(str(tmp_path)).items()] == [2, 2]


def test_a_table_must_not_name_files_in_the_folder_of_another_split(tmp_path: Path, make_folder: Any) -> None:
    make_folder(tmp_path / "val", {"a": 2, "b": 2})
    own, other = ["path,label", "x/0.png,a", "x/1.png,b"], "val/a/1.png,a"
    (tmp_path / "train.csv").write_text("\n".join([*own, other, ""]))
    with pytest.raises(DataError, match=r"1 image is in more than one split, (val/)?a/1\.png"):
        read_splits(str(tmp_path))
    (tmp_path / "train.csv").write_text("\n".join([*own, ""]))
    assert [len(images) for _, images in read_splits(str(tmp_path)).items()] == [2, 4]


def test_images_with_two_labels_are_counted(tmp_path: Path) -> None:
    rows = ["0.png,a", "0.png,b", "1.png,a", "1.png,b", "2.png,a"]
    with pytest.raises(DataError, match=r"0\.png is 'a' in row 0 and 'b' in row 1 .*So do 1 other images"):
        read_table(_write(tmp_path, rows))
