"""An index is refused when its files have changed, and not when they have only been touched."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnext import api
from resnext.data import index_checks
from resnext.data.decode import DataError
from resnext.data.index import _pack, read_index
from resnext.data.index_checks import leads_out


@pytest.fixture
def index(tmp_path: Path, make_folder: Any) -> Path:
    make_folder(tmp_path / "pets", {"cat": 20, "dog": 20})
    return api.index_images(tmp_path / "pets", tmp_path / "pets.index")


def overwrite(path: Path, content: bytes, later_ns: int = 10**9) -> None:
    """Another content, at a later time whatever the clock of the file system does."""
    time = path.stat().st_mtime_ns + later_ns
    path.write_bytes(content)
    os.utime(path, ns=(time, time))


def test_an_image_of_equal_size_is_noticed(index: Path, tmp_path: Path) -> None:
    path = tmp_path / "pets" / "cat" / "7.png"
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    overwrite(path, bytes(content))
    with pytest.raises(DataError, match=r"of the 40 files .*, 1 have changed or gone .*cat/7\.png\. Make it"):
        read_index(index)


def test_two_classes_that_changed_places(index: Path, tmp_path: Path) -> None:
    pets = tmp_path / "pets"
    for old, new in (("cat", "x"), ("dog", "cat"), ("x", "dog")):
        (pets / old).rename(pets / new)
    with pytest.raises(DataError, match=r"of the 40 files .* and \d+ more"):
        read_index(index)


def test_a_copy_with_other_times_is_the_same(index: Path, tmp_path: Path) -> None:
    for path in (tmp_path / "pets").rglob("*.png"):
        overwrite(path, path.read_bytes())
    splits = read_index(index)
    assert (
        "40 files of the index have other times but the same contents: make it again to start faster"
        in splits.notes
    )


def test_a_file_that_is_gone_or_a_folder(index: Path, tmp_path: Path) -> None:
    path = tmp_path / "pets" / "dog" / "3.png"
    path.unlink()
    with pytest.raises(DataError, match=r"dog/3\.png"):
        read_index(index)
    path.mkdir()
    with pytest.raises(DataError, match=r"dog/3\.png"):
        read_index(index)


def test_of_many_files_a_sample_is_looked_at(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_checks, "CHECK_ALL_FILES", 30)
    monkeypatch.setattr(index_checks, "SAMPLED_FILES", 20)
    shutil.rmtree(tmp_path / "pets" / "cat")
    with pytest.raises(DataError, match=r"of the (1\d|20) files that .*, \d+ have changed or gone"):
        read_index(index)


def test_the_sample_is_always_the_same_and_reaches_everywhere() -> None:
    chosen = index_checks._choose(10_000_000, seed=5)
    np.testing.assert_array_equal(chosen, index_checks._choose(10_000_000, seed=5))
    assert not np.array_equal(chosen, index_checks._choose(10_000_000, seed=6))
    assert 19_900 < len(chosen) <= 20_000
    assert np.histogram(chosen, 10, (0, 10_000_000))[0].min() > 1800
    np.testing.assert_array_equal(index_checks._choose(100_000, seed=5), np.arange(100_000))


@given(st.lists(st.text(alphabet="./a", max_size=6), min_size=1, max_size=8), st.integers(1, 5))
def test_names_that_lead_out(names: list[str], step: int) -> None:
    """All names at once, in pieces of any size, against one at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_checks, "SEARCHED_BYTES", step)
        text, ends = _pack(names)
        assert index_checks._any_leads_out(text, ends) == any(map(leads_out, names))
