"""Image files by the words of a command line."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from resnext.data.decode import UNSUPPORTED_SUFFIXES, DataError
from resnext.data.folders import IRREGULAR
from resnext.data.image_files import find_image_files
from resnext.errors import ResnextError
from resnext.names import counted


def test_files_folders_and_globs_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    paths = [tmp_path / "b.png", tmp_path / "in" / "a.JPG", tmp_path / "in" / "c.webp"]
    for path in (*paths, tmp_path / "in" / "notes.txt", tmp_path / "in" / ".x.png"):
        Image.new("RGB", (4, 4)).save(path, "PNG")
    found = find_image_files([paths[0], tmp_path / "in", str(tmp_path / "*" / "c.*")])
    assert found.paths == [str(path) for path in (*paths, paths[2])]
    assert found.skipped == {".txt": 1, "hidden": 1}


def test_the_images_of_a_folder_come_before_those_of_its_folders(tmp_path: Path) -> None:
    for name in ("b/1.png", "b/a/2.png", "z.png", "a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_image_files([tmp_path])
    assert [os.path.relpath(path, tmp_path) for path in found.paths] == [
        "a.png",
        "z.png",
        "b/1.png",
        "b/a/2.png",
    ]


@pytest.mark.parametrize("where", ["", "*", "*.png", "inner"])
def test_only_regular_files_are_opened(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe without a writer would keep a reader waiting for ever."""
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    for folder in (Path(), Path("inner")):
        folder.mkdir(exist_ok=True)
        Image.new("RGB", (4, 4)).save(folder / "image.png")
        (folder / "gone.png").symlink_to("nowhere.png")
        os.mkfifo(folder / "pipe.png")
        os.mkfifo(folder / "pipe")
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(folder / "socket.png"))
    found = find_image_files([tmp_path / where])
    names = [Path(path).name for path in found.paths]
    assert sorted(set(names)) == ["gone.png", "image.png"]
    count = {"": 6, "*": 3, "*.png": 2, "inner": 3}[where]
    assert found.skipped == {IRREGULAR: count}
    assert found.note() == f"skipped {counted(count, 'file')} not read as images: {count} {IRREGULAR}"


def test_a_folder_of_pipes_only_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "1.png")
    for source in (tmp_path, tmp_path / "*"):
        with pytest.raises(DataError, match=f"no image here .* 1 {IRREGULAR}"):
            find_image_files([source])


def test_a_source_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(path: Any, *_: Any, **__: Any) -> Any:  # root may read all, so permissions would not do
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.stat", refusing)
    with pytest.raises(DataError, match=r"locked/1\.png: cannot be read \(Permission denied\)"):
        find_image_files(["locked/1.png"])


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


def test_a_bracket_in_a_name_is_told_to_be_written_otherwise_in_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "[x]").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "[x]" / "a.png")
    with pytest.raises(DataError, match=re.escape("a [ that is part of a name is written [[] in a pattern")):
        find_image_files([tmp_path / "[x]" / "*.png"])
    assert len(find_image_files([tmp_path / "[[]x]" / "*.png"]).paths) == 1
