"""Runs of a bench: everything in turns on one machine, with what the machine could do at most."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from numpy.random import Generator
from torch import Tensor, nn

from resnext.arch import USUAL_PX, Architecture
from resnext.bench.cases import Contender, Mode, answer_call, step_call
from resnext.bench.table import Table, rows_of
from resnext.data.augment import Augmentation, Flip, ResizedCrop, sample_generator
from resnext.data.fast import DecoderMissing, FastAugmentation, Jpeg, load_decoder
from resnext.data.pictures import Pictures
from resnext.data.preprocess import normalise
from resnext.data.sources import read_splits
from resnext.machine import Machine, find_machine, take_machine
from resnext.recipe import IMAGENET_COLOURS
from resnext.roofline import Kernel, Limits, answer, training_step
from resnext.timing import Timing, interleave, limit_calls
from resnext.training.compiling import in_a_line

Sample = Callable[[Pictures, int, Generator], Any]
Progress = Callable[[int, int], None]

#: Bytes of an activation in each precision.
VALUE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


class BenchError(ValueError):
    """Networks that cannot be timed side by side as asked."""


class NothingTimed(BenchError):
    """Not one of the networks can be timed here; the message says why."""


@dataclass(frozen=True)
class Turns:
    """How networks are timed: pictures a call, their side (their stem's own if None), how often, on what."""

    batch: int = 8
    size_px: int | None = None
    rounds: int = 10
    device: str | None = None


@dataclass(frozen=True)
class Work:
    """What is timed: `call` makes it of a network, `kernels` are the least that it takes."""

    name: str
    call: Callable[[nn.Module, Tensor, Mode], Callable[[], object]]
    kernels: Callable[[Architecture, int, int, int], Iterable[Kernel]]


def bench_step(
    contenders: Sequence[Contender],
    modes: Sequence[Mode],
    turns: Turns | None = None,
    progress: Progress | None = None,
) -> Table:
    """Time training steps of every contender in every mode.

    The limit is that of a step whose passes between convolutions are fused. Ratios are to the first row.
    Raises `BenchError`, `NothingTimed` or `DeviceError`.
    """
    return _bench(Work("step", step_call, _step_kernels), contenders, modes, turns or Turns(), progress)


def bench_infer(
    contenders: Sequence[Contender],
    modes: Sequence[Mode],
    turns: Turns | None = None,
    progress: Progress | None = None,
) -> Table:
    """Time the answers of every contender in every mode, as `bench_step` does; the limit is that of its
    convolutions alone, with all norms folded into them."""
    return _bench(Work("infer", answer_call, answer), contenders, modes, turns or Turns(), progress)


def _bench(
    work: Work,
    contenders: Sequence[Contender],
    modes: Sequence[Mode],
    turns: Turns,
    progress: Progress | None,
) -> Table:
    batch, rounds = turns.batch, turns.rounds
    machine = find_machine(turns.device)
    take_machine(machine)
    side = turns.size_px or _usual_side(contenders)
    calls: dict[str, Callable[[], object]] = {}
    failed: dict[str, str] = {}
    about: dict[str, tuple[Contender, Mode]] = {}
    for one in contenders:
        for mode in modes:
            what, number = f"{one.name}, {mode.name}", 1
            while what in about:  # given again, to see what timings of one thing differ by
                number += 1
                what = f"{one.name}, {mode.name} ({number})"
            pictures = torch.randn(batch, 3, side, side, device=machine.device)
            try:
                calls[what] = work.call(one.make(), pictures, mode)
                calls[what]()
            except Exception as error:  # compilers and backends raise whatever they like
                failed[what] = in_a_line(error)
                calls.pop(what, None)
            about[what] = one, mode
    if not calls:
        raise NothingTimed("; ".join(f"{what} cannot be timed here: {why}" for what, why in failed.items()))
    precisions = sorted({mode.precision for mode in modes})
    timings, limits = _timed(calls, rounds, machine, precisions, progress)
    floors = {
        what: Limits(limits["bytes_per_s"], limits[f"{mode.precision}_flops_per_s"]).seconds(
            work.kernels(one.arch, batch, side, VALUE_BYTES[mode.precision])
        )
        for what, (one, mode) in about.items()
        if one.arch is not None and what in calls
    }
    rows = rows_of(timings, batch, floors)
    settings: dict[str, Any] = {"batch": batch, "size_px": side, "rounds": rounds, "order": "rotated"}
    settings["threads"] = torch.get_num_threads()
    return Table(work.name, settings, rows, limits, failed, machine.name)


def _usual_side(contenders: Sequence[Contender]) -> int:
    """That of the stems of all. Raises `BenchError`."""
    sides = {USUAL_PX[one.arch.stem] for one in contenders if one.arch is not None}
    if len(sides) != 1:
        told = "networks for pictures of different sizes" if sides else "networks that say no size"
        raise BenchError(f"{told} are timed at one: say which with --size-px")
    return sides.pop()


def _step_kernels(arch: Architecture, batch: int, size_px: int, value_bytes: int) -> Iterable[Kernel]:
    return training_step(arch, batch, size_px, "fused", value_bytes)


def _timed(
    calls: Mapping[str, Callable[[], object]],
    rounds: int,
    machine: Machine,
    precisions: Sequence[str],
    progress: Progress | None = None,
) -> tuple[dict[str, Timing], dict[str, float]]:
    """Times of `calls`, and what the machine did at most in the same turns."""
    most = limit_calls(machine.device, precisions)
    with _products_like_convolutions(machine):
        timed = interleave(
            dict(calls) | {name: call for name, (call, _) in most.items()},
            rounds,
            finish=torch.accelerator.synchronize if machine.is_gpu else None,
            progress=progress,
        )
    limits = {name: amount / min(timed.pop(name).seconds) for name, (_, amount) in most.items()}
    return timed, limits


@contextlib.contextmanager
def _products_like_convolutions(machine: Machine) -> Iterator[None]:
    """While entered, products of float32 round on GPUs as convolutions do, whose limit they show: by default
    only these use TensorFloat-32."""
    with contextlib.ExitStack() as after:
        if machine.device.type == "cuda":
            with contextlib.suppress(RuntimeError):  # newer settings were used, which say how products round
                before = torch.backends.cuda.matmul.allow_tf32
                torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
                after.callback(setattr, torch.backends.cuda.matmul, "allow_tf32", before)
        yield


def bench_data(
    data: str,
    pictures: int = 100,
    size_px: int = 224,
    rounds: int = 10,
    peers: Mapping[str, Sample] | None = None,
    progress: Progress | None = None,
) -> Table:
    """Time the ways from stored pictures of `data` to training crops (8 to 100 % of the area, flips) of
    `size_px`, on one core: exact, fast where it is installed, decoding alone, and normalising a batch of
    crops, which happens on the device. `peers` are other ways, by name. Ratios are to the first peer, or else
    to the exact way.

    Raises `DataError`.
    """
    source = read_splits(data).train
    count = min(pictures, len(source))
    steps = ResizedCrop(size_px, 0.08, 4 / 3, "bilinear"), Flip(0.5)
    ways: dict[str, Sample] = dict(peers or {})
    ways["exact"], failed = Augmentation(steps).sample, {}
    try:
        load_decoder()
    except DecoderMissing:
        failed["fast"] = "needs libjpeg-turbo; pip install 'resnext[fast]'"
        ways["decoding alone"] = lambda pictures, index, _: pictures.open(index)
    else:
        ways |= {"fast": FastAugmentation(steps).sample, "decoding alone": _decode}
    crops = torch.randint(256, (count, size_px, size_px, 3), dtype=torch.uint8).permute(0, 3, 1, 2)

    def through(way: Sample) -> None:
        for index in range(count):
            way(source, index, sample_generator(0, 0, index))

    calls: dict[str, Callable[[], object]] = {name: partial(through, way) for name, way in ways.items()}
    calls["normalising a batch"] = partial(
        normalise, crops, IMAGENET_COLOURS["mean"], IMAGENET_COLOURS["std"]
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        timings = interleave(calls, rounds, progress=progress)
    finally:
        torch.set_num_threads(threads)
    settings = {"data": data, "pictures": count, "size_px": size_px, "rounds": rounds, "threads": 1}
    return Table("data", settings, rows_of(timings, count, {}), {}, failed, find_machine("cpu").name)


def _decode(pictures: Pictures, index: int, random: Generator) -> object:
    stored = pictures.stored(index)
    jpeg = None if stored is None else Jpeg.open(stored)
    return pictures.open(index) if jpeg is None else jpeg.decode((0, 0, jpeg.width, jpeg.height), jpeg.width)
