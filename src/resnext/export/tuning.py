"""`tune`: which equal form of each grouped convolution is the fastest in an engine, measured on this machine.

A form is the convolution as it is, or packed into wider groups with zeros between paths. What surrounds it
counts too, such as the order of values in memory that its kernel asks for. So it is timed between two
convolutions of 1x1 and their ReLUs, as it stands in a network.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from resnext.engine import ModelError
from resnext.engine.measurements import Measurements, measured_here
from resnext.export.block_calls import BLOCK_CALLS, Call
from resnext.export.graph import Source
from resnext.export.grouped import GroupedLayer, find_grouped
from resnext.machine import cpu_name
from resnext.names import counted
from resnext.parsing import Extensible, Range
from resnext.timing import Ratio, Timing, interleave

Precision = Literal["float32", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
#: The formats that forms are chosen for: those of other engines, and the one that torch computes.
TORCH = "pt2"
TUNED = (*BLOCK_CALLS, TORCH)

#: How many times as wide groups are tried.
WIDER = (2, 4, 8, 16)
#: A form is taken if in 9 of 10 rounds it needs less than this share of the time, and if the ratios of these
#: rounds (the tenth and the ninetieth percentile) differ by no more than this factor.
GAIN, WIDEST = 0.97, 1.5
#: Seconds that the timing of a layer takes, its rounds, and least seconds of a call in a round.
SECONDS, LEAST_ROUNDS, MOST_ROUNDS, LEAST_SECONDS = 4.0, 7, 15, 0.02
#: Libraries whose versions the times depend on.
LIBRARIES = ("torch", "onnxruntime", "openvino", "nncf")

Milliseconds = Annotated[float, Range(1e-9, 1e9)]


@dataclass(frozen=True)
class _KeptRounds(Extensible):
    """grouped.json: milliseconds of each round by how many times as wide the groups are, by what was
    measured."""

    schema: int = 1
    measured: dict[str, dict[str, tuple[Milliseconds, ...]]] = field(default_factory=dict)


_KEPT = Measurements[dict[str, tuple[float, ...]]]("grouped.json", _KeptRounds)


@dataclass(frozen=True)
class TunedLayer:
    """What was measured about one kind of grouped convolution.

    Attributes:
        layer: The convolution.
        names: Those of the network that are of this kind.
        timings: Times of it between its neighbours, by how many times as wide its groups are; 1 is as it is.
        is_new: Whether they were measured now, not read from the cache.
    """

    layer: GroupedLayer
    names: tuple[str, ...]
    timings: Mapping[int, Timing]
    is_new: bool = True

    @property
    def ratios(self) -> dict[int, Ratio]:
        """Time of each packed form over that of the layer as it is."""
        return {times: one.ratio_to(self.timings[1]) for times, one in self.timings.items() if times > 1}

    @property
    def times(self) -> int:
        """How many times as wide its groups become; 1 unless something is faster by more than the noise."""
        sure = {times: ratio for times, ratio in self.ratios.items() if _is_sure(ratio)}
        return min(sure, key=lambda times: sure[times].median, default=1)

    @property
    def is_settled(self) -> bool:
        """Whether the timings decide: what looks faster is so in 9 of 10 rounds, or nothing looks faster."""
        return self.times > 1 or all(ratio.median >= GAIN for ratio in self.ratios.values())

    def __str__(self) -> str:
        width, count = self.layer.width, counted(len(self.names), "layer")
        forms = ", ".join(f"to {width * times}: {ratio.median:.2f}" for times, ratio in self.ratios.items())
        if self.times > 1:
            ratio = self.ratios[self.times]
            low, high = ratio.spread
            taken = f"packed to {width * self.times}, {1 / ratio.median:.2f} times as fast "
            taken += f"({1 / high:.2f} to {1 / low:.2f})"
        elif self.is_settled:
            taken = "left as it is"
        else:
            taken = "left as it is, for the timings do not settle; try again when the machine is idle"
        return (
            f"{self.layer} in groups of {width} ({count}): {taken}. "
            f"{1000 * self.timings[1].median_s:.2f} ms as it is; packed {forms} of that"
            f"{'' if self.is_new else ' (as measured before)'}"
        )


def _is_sure(ratio: Ratio) -> bool:
    """Whether something is faster by more than the noise, by its time over that of the first form."""
    low, high = ratio.spread
    return high < GAIN and high <= WIDEST * low


@dataclass(frozen=True)
class Tuning:
    """What is the fastest for a network on this machine.

    Attributes:
        to: The format, which has its engine.
        precision: What is computed in.
        batch: Images of a batch.
        device: The machine.
        layers: What was measured for each kind of grouped convolution; empty if there is none.
    """

    to: str
    precision: Precision
    batch: int
    device: str
    layers: tuple[TunedLayer, ...]

    @property
    def packing(self) -> dict[str, int]:
        """How many times as wide groups become, by the name of the convolution; without those that stay."""
        return {name: layer.times for layer in self.layers if layer.times > 1 for name in layer.names}


def tune(
    source: Source,
    to: str,
    precision: Precision = "float32",
    batch: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Tuning:
    """Measure which form of each grouped convolution of `source` is the fastest.

    Times are kept for this machine, the versions of its libraries and the kind of convolution.

    Args:
        source: The network.
        to: The format whose engine computes it, one of `TUNED`; pt2 is timed in torch, channels last.
        precision: What it will compute in.
        batch: Images of a batch.
        progress: Called with the numbers of kinds measured and in all.

    Raises:
        ModelError: There is no such engine or precision, or no image in a batch.
        EngineMissing: A library is not installed.
    """
    if to not in TUNED:
        raise ModelError(f"--for {to}: must be one of {', '.join(TUNED)}")
    if precision not in PRECISIONS:
        raise ModelError(f"--precision {precision}: must be one of {', '.join(PRECISIONS)}")
    if to == TORCH and precision == "int8":
        raise ModelError("--precision int8: networks in int8 are not computed by torch; say another engine")
    if batch < 1:
        raise ModelError(f"--batch {batch}: must be at least 1")
    kinds = find_grouped(source.network, source.contract)
    layers = []
    for done, (layer, names) in enumerate(kinds.items()):
        if progress is not None:
            progress(done, len(kinds))
        layers.append(_tune_layer(layer, tuple(names), to, precision, batch))
    return Tuning(to, precision, batch, cpu_name(), tuple(layers))


def _tune_layer(
    layer: GroupedLayer, names: tuple[str, ...], to: str, precision: Precision, batch: int
) -> TunedLayer:
    wanted = [times for times in (1, *WIDER) if layer.groups % times == 0]
    key = measured_here([asdict(layer), to, precision, batch], torch.device("cpu"), LIBRARIES)
    kept = _KEPT.read()
    if (timings := _timings(kept.get(key, {}), wanted)) is not None:
        return TunedLayer(layer, names, timings, is_new=False)
    calls = {times: _call(layer, times, to, precision) for times in wanted}
    tuned = TunedLayer(layer, names, _measure(calls, layer.pixels(batch)))
    if tuned.is_settled:
        seconds = {times: one.seconds for times, one in tuned.timings.items()}
        milliseconds = {str(times): tuple(1000 * one for one in own) for times, own in seconds.items()}
        _KEPT.keep({**kept, key: milliseconds})
    return tuned


def _call(layer: GroupedLayer, times: int, to: str, precision: Precision) -> Call:
    if to == TORCH:
        return partial(_compute, layer.module(times))
    return BLOCK_CALLS[to](layer.block(times), precision, Path(to))


@torch.inference_mode()
def _compute(block: nn.Module, pixels: NDArray[np.float32]) -> object:
    return block(torch.from_numpy(pixels).contiguous(memory_format=torch.channels_last))


def _timings(kept: Mapping[str, tuple[float, ...]], wanted: list[int]) -> dict[int, Timing] | None:
    """What was kept of the forms `wanted`; None if that is not all of it."""
    rounds = {len(kept.get(str(times), ())) for times in wanted}
    if len(rounds) != 1 or rounds == {0}:
        return None
    return {times: Timing(tuple(ms / 1000 for ms in kept[str(times)])) for times in wanted}


def _measure(calls: Mapping[int, Call], pixels: NDArray[np.float32]) -> dict[int, Timing]:
    """Seconds that each form takes, in turns."""
    run = {str(times): partial(call, pixels) for times, call in calls.items()}
    for call in run.values():  # what is set up at the first call is not timed
        call()
    start = time.perf_counter()
    for call in run.values():
        call()
    round_s = max(time.perf_counter() - start, LEAST_SECONDS * len(run))
    rounds = max(LEAST_ROUNDS, min(MOST_ROUNDS, int(SECONDS / round_s)))
    timings = interleave(run, rounds, least_s=LEAST_SECONDS)
    return {times: timings[str(times)] for times in calls}
