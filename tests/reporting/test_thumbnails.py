"""The small images of a page are those of the predictions, and looking for them goes nowhere else."""

from __future__ import annotations

import base64
import io
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from resnext.contract import Contract
from resnext.data.sources import read_split
from resnext.data.stored_images import ImageArrays
from resnext.names import encodable
from resnext.reporting import thumbnails
from resnext.reporting.thumbnails import find_thumbnails
from resnext.run import Run


def pixels(uri: str) -> np.ndarray[Any, Any]:
    """The image in a data URI of a PNG, which loses nothing."""
    start, _, text = uri.partition(",")
    assert start == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


@pytest.fixture
def contract(run: Run) -> Contract:
    return run.contract


def test_files_of_a_split_are_found_by_their_keys(data: Path, contract: Contract) -> None:
    _, images = read_split(str(data), contract.classes, "test")
    found = find_thumbnails(str(data), "test", [*images.keys, "b/nowhere.png"], contract, "")
    assert found.keys() == {*images.keys}
    for index, key in enumerate(images.keys):
        assert (pixels(found[key]) == np.asarray(images.open(index))).all()


def test_files_of_a_set_without_splits_and_of_a_table(make_folder: Any, tmp_path: Path, run: Run) -> None:
    make_folder(tmp_path / "set", {"a": 3, "b": 3})
    odd = os.fsdecode(b"a/caf\xe9.png")
    (tmp_path / "set/a/0.png").rename(tmp_path / "set" / odd)
    (tmp_path / "set/list.csv").write_text("path,label\na/1.png,a\nb/1.png,b\n")
    keys = [encodable(odd), "a/1.png", "b/2.png"]
    for name in ("set", "set/list.csv"):
        found = find_thumbnails(str(tmp_path / name), "test", keys, run.contract, "")
        assert found.keys() == {*keys}
        expected = np.asarray(Image.open(tmp_path / "set" / odd))
        assert (pixels(found[keys[0]]) == expected).all()


def test_a_split_that_training_made_lies_in_the_folder_of_train(
    make_folder: Any, tmp_path: Path, contract: Contract
) -> None:
    make_folder(tmp_path / "train", {"a": 3, "b": 3})
    assert find_thumbnails(str(tmp_path), "val", ["a/1.png"], contract, "").keys() == {"a/1.png"}


def test_images_in_tables_are_found_too(make_folder: Any, tmp_path: Path, run: Run) -> None:
    make_folder(tmp_path / "files", {"a": 4})
    encoded = [(tmp_path / f"files/a/{i}.png").read_bytes() for i in range(4)]
    (tmp_path / "set").mkdir()
    for split in ("train", "test"):
        table = pa.table({"image": encoded, "label": ["b", "c", "b", "c"]})
        pq.write_table(table, tmp_path / "set" / f"{split}.parquet")
    found = find_thumbnails(str(tmp_path / "set"), "test", ["test.parquet#2"], run.contract, "")
    assert (pixels(found["test.parquet#2"]) == np.asarray(Image.open(tmp_path / "files/a/2.png"))).all()


def test_an_image_is_shown_only_where_no_other_has_its_key(
    contract: Contract, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As keys of tables may stand twice, which image was meant nobody knows."""
    images = ImageArrays(np.zeros((3, 8, 8), np.uint8), np.zeros(3, np.int64), ("a",))
    images.keys = ["one", "twice", "twice"]
    monkeypatch.setattr(thumbnails, "read_split", lambda *_: ("test", images))
    assert find_thumbnails("digits", "test", ["one", "twice"], contract, "").keys() == {"one"}


@pytest.fixture
def gone_to(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where a search of folders or the network was begun."""
    places: list[str] = []

    def note(what: str) -> Callable[..., Any]:
        def called(*arguments: object, **options: object) -> Any:
            places.append(f"{what}: {arguments}")
            raise OSError(what)

        return called

    monkeypatch.setattr(os, "walk", note("search"))
    monkeypatch.setattr(socket, "getaddrinfo", note("network"))
    monkeypatch.setattr(socket.socket, "connect", note("network"))
    monkeypatch.setattr(thumbnails, "read_split", note("the whole set"))
    return places


@pytest.mark.parametrize("place", ["hf:owner/name", "stream:hf:owner/name"])
def test_a_set_of_the_hub_is_not_asked_for(place: str, contract: Contract, gone_to: list[str]) -> None:
    assert find_thumbnails(place, "test", ["a/0.png"], contract, "") == {}
    assert gone_to == []


@pytest.mark.parametrize("start", ["", "stream:"])
def test_a_folder_that_has_none_of_the_images_is_not_searched(
    start: str, make_folder: Any, tmp_path: Path, contract: Contract, gone_to: list[str]
) -> None:
    make_folder(tmp_path / "a/b/c", {"d": 1})
    (tmp_path / "a/x.tar").write_bytes(b"")
    assert find_thumbnails(f"{start}{tmp_path}", "test", ["e/0.png"], contract, "") == {}
    assert find_thumbnails(f"{start}{tmp_path / 'a'}", "test", ["e/0.png"], contract, "") == {}
    assert gone_to == []
