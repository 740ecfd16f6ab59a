"""Derived data sets are found again under the name that they were made with."""

from __future__ import annotations

from pathlib import Path

import pytest

from resnext.data.decode import DataError
from resnext.experiments.datasets import class_count, dataset_path


def test_derived_data_sets_have_the_names_that_earlier_versions_gave_them() -> None:
    paths = [dataset_path(name, Path("data"), Path("sets")) for name in ("digits-5", "digits-10")]
    assert paths == ["sets/digits-5-6f10af09", "sets/digits-10-f53ea13e"]
    assert [class_count(name) for name in ("digits-5", "digits-10", "cifar10-whole")] == [5, 10, 10]


def test_a_missing_data_set_says_what_to_put_where(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cifar10: is not there.*needs CIFAR-10.*say with --data"):
        dataset_path("cifar10-5000", tmp_path, tmp_path)
