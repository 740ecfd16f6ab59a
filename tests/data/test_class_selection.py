"""Some classes of a data set as a set of their own."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resnext import api
from resnext.data.class_selection import Selection, select_classes
from resnext.data.decode import DataError
from resnext.data.sources import read_splits
from resnext.errors import UsageError

COUNTS = {"ant": 7, "bee": 9, "cat": 5, "dog": 9, "eel": 6}


@pytest.fixture
def large(tmp_path: Path, make_folder: Any) -> Path:
    """A folder of classes without splits, like ImageNet-22K."""
    root: Path = make_folder(tmp_path / "large", COUNTS)
    return root


@pytest.fixture
def small(tmp_path: Path, make_folder: Any) -> Path:
    """Two of its classes, with images to test on, like ImageNet-1K."""
    make_folder(tmp_path / "small" / "train", {"cat": 4, "eel": 4})
    make_folder(tmp_path / "small" / "val", {"cat": 3, "eel": 2})
    return tmp_path / "small"


def test_the_classes_of_one_and_the_largest_others(large: Path, small: Path, tmp_path: Path) -> None:
    """Of equally large other classes, the first by name is taken."""
    out = tmp_path / "out"
    assert api.select(large, out, small, others=1) == (5 + 6 + 9, 5)
    splits = read_splits(str(out))
    assert splits.classes == ("bee", "cat", "eel")
    assert splits.test is not None
    assert {splits.classes[i] for i in np.unique(splits.test.labels)} == {"cat", "eel"}
    assert not list(out.rglob("*.png"))  # files are named, not copied
    image = splits.train.open(0)
    assert image.size == (20, 16)


def test_images_of_the_other_classes_train_and_are_not_judged(tmp_path: Path, make_folder: Any) -> None:
    """As in the experiment `more_classes`: the set to judge by has them too, and they are left out."""
    for split in ("train", "test"):
        make_folder(tmp_path / "large" / split, COUNTS)
    selection = Selection(frozenset({"cat", "eel"}), num_others=2)
    assert select_classes(str(tmp_path / "large"), tmp_path / "out", selection) == (9 + 5 + 9 + 6, 5 + 6)
    splits = read_splits(str(tmp_path / "out"))
    assert splits.classes == ("bee", "cat", "dog", "eel")
    assert splits.test is not None
    assert np.bincount(splits.test.labels, minlength=4).tolist() == [0, 5, 0, 6]


def test_names_are_compared_in_one_unicode_form(tmp_path: Path, make_folder: Any) -> None:
    """Systems write an accent with its letter or after it; the new set has that of the large one."""
    apart, joined = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFD", "NFC"))
    for large, small in ((apart, joined), (joined, apart)):
        root = tmp_path / f"{len(large)}"
        make_folder(root / "large", {large: 7, "bee": 9, "cat": 8})
        make_folder(root / "small" / "test", {small: 2, "bee": 3})
        assert api.select(root / "large", root / "out", root / "small", others=1) == (24, 5)
        splits = read_splits(str(root / "out"))
        assert splits.test is not None
        assert [set(part.classes) for part in (splits, splits.test)] == [{large, "bee", "cat"}] * 2
        assert np.bincount(splits.test.labels).tolist() == [3, 2]


def test_numbers_and_splits_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--others -1: must be at least 0"):
        api.select("digits", tmp_path / "out", like="digits", others=-1)
    with pytest.raises(UsageError, match="--judged valid: must be val or test"):
        api.select("digits", tmp_path / "out", like="digits", judged="valid")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="besides those to keep, not 3; say --others 0"):
        api.select("digits", tmp_path / "out", like="digits", others=3)
    assert list(tmp_path.iterdir()) == []


def test_images_without_files_are_copied_exactly(tmp_path: Path) -> None:
    select_classes("digits", tmp_path / "out", Selection(frozenset("38")))
    splits, digits = read_splits(str(tmp_path / "out")), read_splits("digits")
    assert splits.classes == ("3", "8")
    assert splits.test is not None
    assert digits.test is not None
    wanted = [i for i, label in enumerate(digits.test.labels) if label in (3, 8)]
    assert len(splits.test) == len(wanted)
    for ours, theirs in zip(range(len(wanted)), wanted, strict=True):
        assert np.array_equal(splits.test.open(ours), digits.test.open(theirs))


def test_the_first_images_of_each_class_with_val_to_evaluate(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert select_classes("digits", out, Selection(max_per_class=20, eval_split="val")) == (200, 540)
    splits, digits = read_splits(str(out)), read_splits("digits")
    assert splits.test is None
    assert digits.test is not None
    assert len(splits.val) == len(digits.test)
    assert np.bincount(splits.train.labels).tolist() == [20] * 10
    first = np.flatnonzero(digits.train.labels == 7)[:20]
    ours = np.flatnonzero(splits.train.labels == 7)
    for i, j in zip(ours, first, strict=True):
        assert np.array_equal(splits.train.open(int(i)), digits.train.open(int(j)))


def test_what_cannot_be_selected_is_named(large: Path, small: Path, tmp_path: Path, make_folder: Any) -> None:
    with pytest.raises(DataError, match="3 classes besides those to keep, not 4"):
        api.select(large, tmp_path / "out", small, others=4)
    make_folder(small / "val", {"yak": 1})
    with pytest.raises(DataError, match="no class 'yak'"):
        api.select(large, tmp_path / "out", small)
    with pytest.raises(DataError, match="neither test nor val"):
        select_classes(str(large), tmp_path / "out", Selection(frozenset(["cat"])))
    assert {path.name for path in tmp_path.iterdir()} == {"large", "small"}  # nothing half made is left
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match="exists already"):
        api.select(large, tmp_path / "out", small)
