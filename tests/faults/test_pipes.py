"""A pipe in the place of any file that is read: refused at once, not waited for."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import resnext
from resnext import api
from resnext.catalogue.trust import file_digest
from resnext.data.folders import ANNOTATIONS, read_annotations
from resnext.data.index import open_index
from resnext.data.labels_beside import read_metadata
from resnext.data.sources import read_splits
from resnext.errors import ResnextError

#: Long enough for any refusal on a busy machine.
WAIT_S = 60


@pytest.fixture(autouse=True)
def nothing_waits() -> Iterator[None]:
    """Whoever waits for a pipe ends the test process: a signal does not wake what waits in C++."""
    faulthandler.dump_traceback_later(WAIT_S, exit=True, file=sys.__stderr__)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory, no_reports: None) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    return api.train("digits", epochs=1, model="resnet11+template=8", runs=runs, name="x").folder


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.jsonl", "a.tar", "a.arrow", "a"])
def test_as_data(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(ResnextError, match=rf"{name}: is a pipe, socket or device"):
        read_splits(str(tmp_path / name))


@pytest.mark.parametrize("start", ["", "stream:"])
@pytest.mark.parametrize("suffix", ["tar", "arrow"])
def test_among_archives(start: str, suffix: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / f"train.{suffix}")
    with pytest.raises(ResnextError, match="a pipe, socket or device, not a file"):
        read_splits(f"{start}{tmp_path}")


def test_parquet_as_a_stream(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "train.parquet")
    with pytest.raises(ResnextError, match="a pipe, socket or device, not a file"):
        read_splits(f"stream:{tmp_path}")


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl", "metadata.parquet"])
def test_in_the_place_of_a_table_beside_images(name: str, tmp_path: Path, make_folder: Any) -> None:
    """What is no file names no images."""
    make_folder(tmp_path, {"a": 4, "b": 4})
    os.mkfifo(tmp_path / name)
    assert read_metadata(tmp_path) == {}
    assert len(read_splits(str(tmp_path)).train) == 6


def test_in_the_place_of_a_list(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ANNOTATIONS)
    with pytest.raises(ResnextError, match="cannot be read as text"):
        read_annotations(tmp_path)


def test_among_images(tmp_path: Path, make_folder: Any) -> None:
    make_folder(tmp_path, {"a": 4, "b": 4})
    os.mkfifo(tmp_path / "a" / "x.png")
    assert len(read_splits(str(tmp_path)).train) == 6


@pytest.mark.parametrize("name", ["index.json", "train.labels.npy"])
def test_in_an_index(name: str, tmp_path: Path, make_folder: Any) -> None:
    make_folder(tmp_path / "data", {"a": 10, "b": 10})
    api.index_images(str(tmp_path / "data"), tmp_path / "set.index")
    (tmp_path / "set.index" / name).unlink()
    os.mkfifo(tmp_path / "set.index" / name)
    with pytest.raises(ResnextError):
        open_index(tmp_path / "set.index")


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth", "a.bin"])
def test_as_weights(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(ResnextError, match="a pipe, socket or device, not a file"):
        resnext.load(tmp_path / name)
    with pytest.raises(ResnextError, match="a pipe, socket or device, not a file"):
        resnext.train("digits", weights=tmp_path / name, runs=tmp_path)
    with pytest.raises(OSError, match="a pipe"):
        file_digest(tmp_path / name)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_in_a_hub_folder(name: str, run_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(run_folder / "model", tmp_path / "model")
    (tmp_path / "model" / name).unlink()
    os.mkfifo(tmp_path / "model" / name)
    with pytest.raises(ResnextError, match=r"pipe|no ordinary file"):
        resnext.load(tmp_path / "model")


@pytest.mark.parametrize(
    "name",
    [
        *("config.toml", "contract.json", "status.json", "metrics.jsonl", "contents.npz", "log.txt"),
        *("checkpoints/last.safetensors", "predictions/test.parquet", "result.json"),
    ],
)
def test_in_a_run_folder(name: str, run_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(run_folder, tmp_path / "x")
    place = tmp_path / "x" / name
    place.unlink(missing_ok=True)
    os.mkfifo(place)
    again = {"epochs": 2, "model": "resnet11+template=8", "runs": tmp_path, "name": "x", "resume": "must"}
    calls: list[Callable[[], object]] = [
        lambda: api.write_report([tmp_path / "x"]),
        lambda: api.evaluate(tmp_path / "x", "digits"),
        lambda: api.train("digits", **again),
    ]
    for call in calls:  # each answers, or is refused; `nothing_waits` is what is tested
        with contextlib.suppress(ResnextError, OSError):
            call()
