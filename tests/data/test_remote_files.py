"""Images in an object store, here fsspec's store in memory."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import fsspec
import numpy as np
import pytest
from PIL import Image

from resnext.contract import Resize
from resnext.data.decode import BadImage, DataError
from resnext.data.image_files import find_image_files
from resnext.data.loaders import evaluation_batches
from resnext.data.remote_files import RemoteImages
from resnext.errors import PackageMissing, UsageError


def png(colour: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (colour, 0, 0)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def store() -> Iterator[fsspec.AbstractFileSystem]:
    """Three images and a text."""
    fs = fsspec.filesystem("memory")
    for number, name in enumerate(("a/1.png", "a/2.png", "b/3.PNG")):
        fs.pipe(f"/photos/{name}", png(50 * number))
    fs.pipe("/photos/a/notes.txt", b"notes")
    yield fs
    fs.rm("/photos", recursive=True)


def test_a_folder_a_pattern_and_a_file_are_found(store: fsspec.AbstractFileSystem) -> None:
    found = find_image_files(["memory://photos"])
    assert found.paths == [f"memory://photos/{name}" for name in ("a/1.png", "a/2.png", "b/3.PNG")]
    assert found.note() == "skipped 1 file not read as images: 1 .txt"
    images = found.dataset()
    assert isinstance(images, RemoteImages)
    assert [np.asarray(images.open(i))[0, 0, 0] for i in range(3)] == [0, 50, 100]
    assert find_image_files(["memory://photos/a/*.png"]).paths == found.paths[:2]
    assert find_image_files(["memory://photos/a/?.png"]).paths == found.paths[:2]
    assert find_image_files(found.paths[1:]).paths == found.paths[1:]  # what was found is found again


@pytest.mark.parametrize("workers", [0, 1])
def test_workers_read_it_too(workers: int, store: fsspec.AbstractFileSystem) -> None:
    images = find_image_files(["memory://photos"]).dataset()
    [batch] = evaluation_batches(images, Resize(8, 8), 4, workers)
    assert batch.images[:, 0, 0, 0].tolist() == [0, 50, 100]


def test_a_change_shows(store: fsspec.AbstractFileSystem) -> None:
    before = find_image_files(["memory://photos"]).dataset()
    store.pipe("/photos/a/2.png", png(77))
    after = find_image_files(["memory://photos"]).dataset()
    assert [before.stamp(i) == after.stamp(i) for i in range(3)] == [True, False, True]


def test_what_cannot_be_read_is_named(store: fsspec.AbstractFileSystem, tmp_path: object) -> None:
    with pytest.raises(DataError, match="memory://none/: there is nothing at this address"):
        find_image_files(["memory://none/"])
    store.pipe("/text/notes.txt", b"notes")
    with pytest.raises(DataError, match=r"there is no image here .* 1 \.txt"):
        find_image_files(["memory://text"])
    with pytest.raises(DataError, match="there is no image here"):
        find_image_files(["memory://photos/*.jpg"])
    with pytest.raises(DataError, match="nosuch://x: cannot be opened"):
        find_image_files(["nosuch://x"])
    images = find_image_files(["memory://photos"]).dataset()
    store.rm("/photos/a/1.png")
    with pytest.raises(BadImage, match=r"a/1\.png: cannot be fetched"):
        images.open(0)
    with pytest.raises(UsageError, match="some images are in a store and others are not"):
        find_image_files(["memory://photos", __file__])


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(PackageMissing, match=re.escape("(Install s3fs to access S3)")) as caught:
        find_image_files(["s3://bucket/photos"])
    assert caught.value.exit_code == 5
