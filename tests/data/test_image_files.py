"""Image files by the words of a command line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from resnext.data.decode import UNSUPPORTED_SUFFIXES, DataError
from resnext.data.image_files import find_image_files
from resnext.errors import ResnextError


def test_files_folders_and_globs_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    paths = [tmp_path / "b.png", tmp_path / "in" / "a.JPG", tmp_path / "in" / "c.webp"]
    for path in (*paths, tmp_path / "in" / "notes.txt", tmp_path / "in" / ".x.png"):
        Image.new("RGB", (4, 4)).save(path, "PNG")
    found = find_image_files([paths[0], tmp_path / "in", str(tmp_path / "*" / "c.*")])
    assert found.paths == [str(path) for path in (*paths, paths[2])]
    assert found.skipped == {".txt": 1, "hidden": 1}


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("-", "write them to a file"),
        ("https://example.org/cat.jpg", "download it first"),
        ("none.png", "there is no image here"),
    ],
)
def test_sources_that_are_no_paths(source: str, says: str) -> None:
    with pytest.raises(ResnextError, match=re.escape(says)):
        find_image_files([source])


@pytest.mark.skipif(".heic" not in UNSUPPORTED_SUFFIXES, reason="HEIC is read here")
def test_what_reads_heic_is_told(tmp_path: Path) -> None:
    (tmp_path / "1.heic").touch()
    with pytest.raises(DataError, match=r"1 \.heic; pip install 'resnext\[heif\]'"):
        find_image_files([tmp_path])
