"""Forms are taken by their times, which are made up here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from resnext.engine import ModelError
from resnext.export import Source, TunedLayer, tune, tuning
from resnext.export.grouped import find_grouped
from resnext.machine import torch_threads
from resnext.timing import Timing


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RESNEXT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def steady(milliseconds: float) -> Timing:
    return Timing(tuple(milliseconds / 1000 * (1 + n / 1000) for n in range(9)))


def shaky(milliseconds: float) -> Timing:
    return Timing(tuple(milliseconds / 1000 * (0.5 + n / 8) for n in range(9)))


class MadeUp:
    """Takes the place of the measurement. Counts how often it is asked."""

    def __init__(self, timings: Mapping[int, Timing]) -> None:
        self.timings, self.asked = timings, 0

    def __call__(self, calls: Mapping[int, object], pixels: object) -> dict[int, Timing]:
        self.asked += 1
        return {times: self.timings.get(times, steady(99)) for times in calls}


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> MadeUp:
    """Groups twice as wide take 0.8 of the time; none is computed."""
    measure = MadeUp({1: steady(10), 2: steady(8)})
    monkeypatch.setattr(tuning, "_measure", measure)
    monkeypatch.setitem(tuning.BLOCK_CALLS, "onnx", lambda *_: lambda _: None)
    return measure


@pytest.mark.parametrize(
    ("timings", "times", "is_settled"),
    [
        ({1: steady(10), 2: steady(8), 4: steady(7), 8: steady(9)}, 4, True),
        ({1: steady(10), 2: steady(10.5), 4: steady(20)}, 1, True),
        ({1: steady(10), 2: steady(9.8)}, 1, True),  # no more than noise
        ({1: steady(10), 2: shaky(8)}, 1, False),  # faster in most rounds, not in 9 of 10
        ({1: steady(10), 2: shaky(2)}, 1, False),  # always faster, but by nobody knows how much
        ({1: steady(10), 2: steady(8), 4: shaky(7)}, 2, True),
        ({1: steady(10)}, 1, True),
    ],
)
def test_what_is_faster_by_more_than_the_noise_is_taken(
    timings: dict[int, Timing], times: int, is_settled: bool, source: Source
) -> None:
    layer, names = next(iter(find_grouped(source.network, source.contract).items()))
    tuned = TunedLayer(layer, tuple(names), timings)
    assert (tuned.times, tuned.is_settled) == (times, is_settled)
    said = str(tuned)
    assert ("do not settle" in said) == (not is_settled)
    assert (f"packed to {4 * times}, " in said) == (times > 1)
    assert "10.04 ms as it is" in said


def test_a_slow_round_slows_all_forms() -> None:
    """Ratios are taken round by round."""
    one = shaky(10)
    layer = TunedLayer(None, ("x",), {1: one, 2: Timing(tuple(0.9 * s for s in one.seconds))})  # type: ignore[arg-type]
    assert layer.times == 2


def test_all_layers_of_a_kind_are_packed(source: Source, made_up: MadeUp) -> None:
    progress: list[tuple[int, int]] = []
    made = tune(source, "onnx", batch=8, progress=lambda *counts: progress.append(counts))
    kinds = find_grouped(source.network, source.contract)
    assert made.packing == {name: 2 for names in kinds.values() for name in names}
    assert (made.to, made.precision, made.batch) == ("onnx", "float32", 8)
    assert progress == [(done, len(kinds)) for done in range(len(kinds))]
    assert made_up.asked == len(kinds)


def test_what_was_measured_is_kept(source: Source, made_up: MadeUp, cache: Path) -> None:
    first = tune(source, "onnx")
    asked = made_up.asked
    again = tune(source, "onnx")
    assert made_up.asked == asked
    assert again.packing == first.packing
    assert [layer.is_new for layer in again.layers] == [False] * len(again.layers)
    assert "(as measured before)" in str(again.layers[0])
    for precision, batch, threads in (("int8", 1, 1), ("float32", 2, 1), ("float32", 1, 2)):
        with torch_threads(threads):
            tune(source, "onnx", precision, batch)  # type: ignore[arg-type]
        assert made_up.asked == (asked := asked + len(first.layers))
    for content in ("", "{", '{"schema": 2}', '{"measured": {"x": {"1": [0]}}}', "[]"):
        (cache / "grouped.json").write_text(content)
        tune(source, "onnx")
        assert made_up.asked == (asked := asked + len(first.layers))


def test_what_did_not_settle_is_measured_again(source: Source, made_up: MadeUp) -> None:
    made_up.timings = {1: steady(10), 2: shaky(8)}
    made = tune(source, "onnx")
    assert made.packing == {}
    tune(source, "onnx")
    assert made_up.asked == 2 * len(made.layers)


def test_a_cache_that_cannot_be_written_is_done_without(
    source: Source, made_up: MadeUp, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file")
    assert tune(source, "onnx").packing


def test_short_calls_are_repeated() -> None:
    counts = {1: 0, 2: 0}

    def call(times: int) -> tuning.Call:
        def count(_: object) -> None:
            counts[times] += 1

        return count

    timings = tuning._measure({times: call(times) for times in counts}, torch.zeros(1).numpy())
    assert min(counts.values()) > 1000
    assert [len(one.seconds) for one in timings.values()] == [tuning.MOST_ROUNDS] * 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("hub",), "--for hub: must be one of onnx, openvino, pt2"),
        (("pt2", "int8"), "--precision int8: networks in int8 are not computed by torch"),
        (("onnx", "int4"), "--precision int4: must be one of float32, int8"),
        (("onnx", "int8", 0), "--batch 0: must be at least 1"),
    ],
)
def test_what_cannot_be_tuned(words: tuple[object, ...], says: str, source: Source) -> None:
    with pytest.raises(ModelError, match=says):
        tune(source, *words)  # type: ignore[arg-type]
