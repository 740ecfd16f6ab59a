"""What is certain about a layout is read, the rest refused; public sets: `test_public_layouts.py`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from resnext.data.decode import DataError
from resnext.data.layouts import find_splits
from resnext.data.sources import read_splits

TWO = ("cat", "dog")


def tree(where: str, count: int = 5, classes: tuple[str, ...] = TWO) -> dict[str, int]:
    return {f"{where}/{name}" if where else name: count for name in classes}


BOTH = {"val", "test"}
#: Folders with their numbers of images, the splits beside train, and the classes.
READ: dict[str, tuple[dict[str, int], set[str], tuple[str, ...]]] = {
    "few of many below are the same": (
        tree("cat", 4, ("ann", "bea", "cleo")) | tree("dog", 4, ("ann", "dora", "eve")),
        BOTH,
        TWO,
    ),
    "copies of nothing": (tree("", 10, ("bear (2)", "carbon copy")), BOTH, ("bear (2)", "carbon copy")),
    "asl alphabet": (
        tree("asl_alphabet_train/asl_alphabet_train", 5) | {"asl_alphabet_test/asl_alphabet_test": 3},
        {"val"},
        TWO,
    ),
    "one word more": (tree("pets-valid") | tree("pets-train") | tree("pets-test"), {"val", "test"}, TWO),
    "german signs of 2013": (tree("Final_Training/Images") | {"Final_Test/Images": 4}, {"val"}, TWO),
    "images around classes": (tree("train/images") | tree("val/images"), {"val"}, TWO),
    "dates below classes": (tree("cat/2019", 5, ("01", "02")) | tree("dog/2020", 5, ("01", "02")), BOTH, TWO),
    "letters with one folder each": ({"a/a1": 10, "b/b1": 10}, BOTH, ("a", "b")),
    "photographs of masks": ({"mask/mask": 10, "no mask": 10}, BOTH, ("mask", "no mask")),
    "machine parts": (tree("", 10, ("part 1", "part 2")), BOTH, ("part 1", "part 2")),
    "places 365": (tree("train", 5, TWO) | tree("val", 5, TWO), {"val"}, TWO),
    "fastai": (tree("train") | tree("valid") | {"models": 0}, {"val"}, TWO),
    "plant seedlings": (tree("train") | {"test": 3}, {"val"}, TWO),
    "chest x-ray twice": (
        tree("train") | tree("val") | tree("test") | tree("chest_xray/train"),
        {"val", "test"},
        TWO,
    ),
}
#: Folders with their numbers of images, and what the refusal says.
REFUSED: dict[str, tuple[dict[str, int], str]] = {
    "years with other classes": (
        tree("2019", 5, ("bird", "cat", "cow", "dog")) | tree("2020", 5, ("cat", "fish", "fox", "hen")),
        "'2019', '2020' hold no images, but folders of the same names: 'cat'",
    ),
    "days with one class each": (
        {"2019-01-02/cat": 5, "2019-01-03/cat": 5, "2019-01-04/dog": 5},
        "'2019-01-02', '2019-01-03' hold no images, but folders .* 'cat'",
    ),
    "half the same": (
        tree("site1", 5, ("cat", "dog")) | tree("site2", 5, ("bird", "cat")),
        "'site1', 'site2' hold no images, but folders .* 'cat'",
    ),
    "a copy": (tree("", 9, ("cat", "cat (copy)", "dog")), r"'cat \(copy\)' is called like a copy of 'cat'"),
    "a copy of Windows": (
        tree("", 9, ("cat", "cat - Copy (2)")),
        r"'cat - Copy \(2\)' is called like a copy",
    ),
    "a copy of a Mac": (tree("", 9, ("cat", "cat copy 2")), "'cat copy 2' is called like a copy of 'cat'"),
    "a second download": (tree("", 9, ("cat", "cat (1)", "dog")), r"'cat \(1\)' is called like a copy"),
    "dtd": (tree("images") | {"labels": 0, "imdb": 0}, "Give .*/images"),
    "places 365 by letters": (
        tree("a", 3, ("abbey", "airport")) | tree("b", 3, ("bar", "bath")),
        "'a', 'b' are the first letters of .*'abbey', 'airport'",
    ),
    "horses and zebras": (
        {"trainA": 4, "trainB": 4, "testA": 4, "testB": 4},
        "'testA', 'testB', 'trainA', 'trainB' would be a class, and is called like a split",
    ),
    "rock paper scissors": (
        tree("rps/rps") | tree("rps-test-set/rps-test-set") | {"rps-validation": 3},
        "'rps-test-set', 'rps-validation' would be a class, and is called like a split",
    ),
    "cars": ({"cars_train/cars_train": 5, "cars_test/cars_test": 5}, "cars_train: has 5 images but no class"),
    "chest x-ray 14": ({"images_001/images": 4, "images_002/images": 4}, "called like parts of one set"),
    "skin lesions": (
        {"HAM10000_images_part_1": 5, "HAM10000_images_part_2": 5},
        "'HAM10000_images_part_1', 'HAM10000_images_part_2' are called like parts of one set",
    ),
    "archive twice": (
        tree("natural_images") | tree("data/natural_images"),
        "folders of the same names: 'cat', 'dog'",
    ),
    "raw and processed": (
        tree("raw") | tree("processed/train"),
        "holds the splits 'train'.* Give .*processed",
    ),
    "office 31": (
        tree("amazon/images") | tree("dslr/images") | tree("webcam/images"),
        "'amazon', 'dslr', 'webcam' hold no images, but folders of the same names: 'cat', 'dog'",
    ),
    "pascal voc": (
        {"JPEGImages": 4, "SegmentationClass": 2, "Annotations": 0, "ImageSets/Main": 0},
        "are parts of one set, not classes",
    ),
    "a set inside itself": (tree("") | tree("own"), "'own' would be a class, and holds .* 'cat', 'dog'"),
    "half a set inside another": (
        tree("", 5, (*TWO, "eel")) | tree("copy", 5, TWO),
        "'copy' would be a class, .*one is a copy",
    ),
    "a set beside samples": (
        tree("pets/train") | tree("pets/val") | {"samples": 4},
        "'pets' would be a class, and holds the splits 'train', 'val'.* Give .*pets",
    ),
    "a set beside its pictures in a paper": (
        tree("set/training_set") | tree("set/test_set") | {"figures": 2},
        "'set' would be a class, and holds the splits",
    ),
    "masks below classes": ({"cat": 5, "cat/masks": 5, "dog": 5}, "'cat/masks' are called like masks"),
    "masks beside images": (
        tree("cat", 5, ("images", "mask")) | {"dog": 5},
        "'cat/mask' are called like masks",
    ),
    "labelled": (tree("labeled") | {"unlabeled": 5}, "Give .*/labeled"),
    "half labelled": (tree("Labelled images") | {"unlabelled_images": 5}, "Give .*/Labelled images"),
    "trainval": (
        tree("trainval") | tree("test"),
        "found only test. If trainval is to be trained on, call it train",
    ),
    "fiftyone": ({"data": 6}, r"only one class, 'data'.*or a table \(CSV\)"),
}


@pytest.mark.parametrize("name", READ)
def test_a_layout_is_read_rightly(name: str, tmp_path: Path, make_folder: Any) -> None:
    folders, splits, classes = READ[name]
    found = read_splits(str(make_folder(tmp_path / "data", folders, (4, 4))))
    assert found.classes == classes
    assert {split for split, _ in found.items()} == {"train"} | splits
    for _, images in found.items():
        words = [classes[label] for label in images.labels]
        assert all(word in key.split("/")[:-1] for key, word in zip(images.keys, words, strict=True))
        assert not any("eaDir" in key or "MACOSX" in key or ".thumbs" in key for key in images.keys)


@pytest.mark.parametrize("name", REFUSED)
def test_a_layout_is_refused_with_the_cure(name: str, tmp_path: Path, make_folder: Any) -> None:
    folders, says = REFUSED[name]
    with pytest.raises(DataError, match=says):
        read_splits(str(make_folder(tmp_path / "data", folders, (4, 4))))


def test_splits_are_found_in_one_listing(
    tmp_path: Path, make_folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(tmp_path, {"Train/cat": 1, "dev/cat": 1, "test": 1, "cat": 1}, (4, 4))
    listed = []
    for name in ("scandir", "listdir"):
        look = getattr(os, name)
        monkeypatch.setattr(os, name, lambda path, look=look: listed.append(path) or look(path))
    assert {split: paths[0].name for split, paths in find_splits(tmp_path).items()} == {
        "train": "Train",
        "val": "dev",
        "test": "test",
    }
    assert listed == [tmp_path]


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


@pytest.mark.parametrize("names", [("Train", "Test", "Meta"), ("train", "test", "meta")])
def test_german_traffic_signs(names: tuple[str, ...], tmp_path: Path, make_folder: Any) -> None:
    train, test, meta = names
    signs = ("0", "1", "10")
    make_folder(tmp_path, tree(train, 4, signs) | {test: 6, meta: 3}, (4, 4))
    header = "Width,Height,Roi.X1,Roi.Y1,Roi.X2,Roi.Y2,ClassId,Path\n"
    listed = {train: [f"{n}/{i}.png,{n}" for n in signs for i in range(4)]}
    listed |= {test: [f"{i}.png,{signs[i % 3]}" for i in range(6)], meta: [f"{i}.png,{i}" for i in range(3)]}
    for name, rows in listed.items():
        lines = [f"9,9,1,1,8,8,{row.split(',')[1]},{name}/{row.split(',')[0]}\n" for row in rows]
        (tmp_path / f"{name}.csv").write_text(header + "".join(lines))
    found = read_splits(str(tmp_path))
    assert found.classes == signs
    assert [found.classes[i] for i in found.test.labels] == [signs[i % 3] for i in range(6)]
    assert found.test.open(5).size == (4, 4)
    assert len(found.train) + len(found.val) == 12
    assert f"left out {meta}: folders with images whose names are not train, val or test" in found.notes


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
    assert any("read 5 images in files whose names have no suffix" in note for note in found.notes)


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


def test_the_parent_of_sets_of_tables_is_told(tmp_path: Path, make_folder: Any) -> None:
    make_folder(tmp_path, {"cat": 4})
    for name in ("cifar10", "pets"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.parquet").touch()
    with pytest.raises(DataError, match=r"'cifar10', 'pets' would be a class, .* Give .*/cifar10"):
        read_splits(str(tmp_path))
