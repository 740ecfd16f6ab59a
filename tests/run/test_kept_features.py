"""Features are kept batch by batch: what is whole stays, and what is of something else is refused."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from resnext.run import RunError
from resnext.run.kept_features import BATCHES_FILE, ORIGIN_FILE, ROWS_FILE, FeatureOrigin, KeptFeatures
from resnext.run.timed_loader import WaitTimes

ORIGIN = FeatureOrigin("resnet18", "ab", "{}", "cd ef", "epochs = 1\n")
WIDTH, SIZES = 3, (4, 4, 2, 4)
ROWS = np.random.default_rng(0).normal(size=(sum(SIZES), WIDTH)).astype(np.float32)


def opened(folder: Path, origin: FeatureOrigin = ORIGIN) -> KeptFeatures:
    kept = KeptFeatures(folder, WIDTH, SIZES)
    kept.open(origin)
    return kept


def fill(kept: KeptFeatures, batches: int) -> KeptFeatures:
    while len(kept.records) < batches:
        rows = ROWS[kept.rows : kept.rows + SIZES[len(kept.records)]]
        kept.append(rows, 2.0, WaitTimes(0.5, 0.25))
    return kept


@pytest.mark.parametrize("batches", range(5))
def test_what_was_kept_is_there_again(batches: int, tmp_path: Path) -> None:
    fill(opened(tmp_path / "features"), batches).sync()
    again = opened(tmp_path / "features")
    assert len(again.records) == batches
    assert (again.seconds, again.waits) == (2.0 * batches, WaitTimes(0.5 * batches, 0.25 * batches))
    if batches:
        np.testing.assert_array_equal(again.read(), ROWS[: again.rows])
    np.testing.assert_array_equal(fill(again, 4).read(), ROWS)


@pytest.mark.parametrize("name", [ROWS_FILE, BATCHES_FILE])
def test_a_file_that_was_cut_anywhere_keeps_its_whole_batches(name: str, tmp_path: Path) -> None:
    whole = (fill(opened(tmp_path), 4).folder / name).read_bytes()
    other = ({ROWS_FILE, BATCHES_FILE} - {name}).pop()
    beside = (tmp_path / other).read_bytes()
    for size in range(len(whole)):
        (tmp_path / name).write_bytes(whole[:size])
        (tmp_path / other).write_bytes(beside)
        kept = opened(tmp_path)
        assert len(kept.records) < 4
        np.testing.assert_array_equal(fill(kept, 4).read(), ROWS)


@pytest.mark.parametrize("place", [0, 50, 100, 167])
def test_a_byte_that_changed_drops_its_batch_and_what_follows(place: int, tmp_path: Path) -> None:
    content = bytearray((fill(opened(tmp_path), 4).folder / ROWS_FILE).read_bytes())
    content[place] ^= 1
    (tmp_path / ROWS_FILE).write_bytes(content)
    ends = np.cumsum(SIZES) * 4 * WIDTH
    assert len(opened(tmp_path).records) == np.searchsorted(ends, place, side="right")


@pytest.mark.parametrize("name", [field.name for field in fields(FeatureOrigin)])
def test_features_of_something_else_are_refused_by_name(name: str, tmp_path: Path) -> None:
    fill(opened(tmp_path), 2)
    words = {"network": "the network resnet18, not x", "recipe": "config.toml"}
    with pytest.raises(
        RunError, match=f"{words.get(name, name)}.*; remove this folder to compute them again"
    ):
        opened(tmp_path, replace(ORIGIN, **{name: "x"}))
    assert len(opened(tmp_path).records) == 2
    (tmp_path / ORIGIN_FILE).write_text("{}")
    with pytest.raises(RunError, match=r"origin\.json: "):
        opened(tmp_path)
