"""Benches: networks and the data path timed in turns on one machine, with the most that it could do."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from numpy.random import Generator
from torch import Tensor, nn

from resnext.arch import Architecture
from resnext.bench.candidates import Candidate, Mode, infer_call, step_call
from resnext.bench.tables import BenchTable, make_rows
from resnext.data.augment import Augmentation, Flip, ResizedCrop, sample_generator
from resnext.data.fast_jpeg import FastAugmentation
from resnext.data.images import ImageDataset
from resnext.data.jpeg import DecoderMissing, Jpeg, load_decoder
from resnext.data.preprocess import normalise
from resnext.data.sources import read_splits
from resnext.errors import ResnextError
from resnext.machine import Machine, find_machine, torch_threads, use_machine
from resnext.recipe import IMAGENET_COLOURS
from resnext.roofline import Kernel, Limits, answer, training_step
from resnext.timing import Timing, interleave, limit_calls
from resnext.training.compiling import first_line

#: A way from image `index` of a data set to a training crop: `sample(images, index, random)`.
Sample = Callable[[ImageDataset, int, Generator], Any]
ProgressCallback = Callable[[int, int], None]
#: What is timed, by name: a network and how it is executed.
Cases = Mapping[str, tuple[Candidate, Mode]]
Calls = Mapping[str, Callable[[], object]]

#: Bytes of an activation in each precision.
VALUE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


class BenchError(ResnextError, ValueError):
    """Networks that cannot be timed side by side as asked."""

    exit_code = 2


class NothingTimed(BenchError):
    """None of the networks can be timed on this machine; the message says why."""

    exit_code = 5


@dataclass(frozen=True)
class BenchSettings:
    """How networks are timed.

    `batch` is the number of images in a call, `size_px` their side (None: the usual one of the networks'
    stems), `rounds` how often each is timed, `device` where (None: the best there is).
    """

    batch: int = 8
    size_px: int | None = None
    rounds: int = 10
    device: str | None = None


@dataclass(frozen=True)
class Workload:
    """What a network does in each timed call.

    `call(network, images, mode)` prepares that call; `kernels(arch, batch, size_px, value_bytes)` are the
    least that it asks of a machine.
    """

    name: str
    call: Callable[[nn.Module, Tensor, Mode], Callable[[], object]]
    kernels: Callable[[Architecture, int, int, int], Iterable[Kernel]]


def _fused_step(arch: Architecture, batch: int, size_px: int, value_bytes: int) -> Iterable[Kernel]:
    return training_step(arch, batch, size_px, "fused", value_bytes)


STEP = Workload("step", step_call, _fused_step)
INFER = Workload("infer", infer_call, answer)


def bench_step(
    candidates: Sequence[Candidate],
    modes: Sequence[Mode],
    settings: BenchSettings | None = None,
    progress: ProgressCallback | None = None,
) -> BenchTable:
    """Time training steps of every candidate in every mode.

    Ratios are to the first row. The limit is that of a step whose norms, ReLUs and sums between convolutions
    are fused.

    Args:
        candidates: The networks.
        modes: How each is executed.
        settings: Batch, image size, rounds and device.
        progress: Receives the numbers of finished and of all rounds.

    Raises:
        BenchError: The networks expect images of different sizes and `settings` gives none.
        NothingTimed: No network can be timed here.
        DeviceError: The device is not there.

    >>> from resnext.bench import candidate
    >>> settings = BenchSettings(batch=2, size_px=16, rounds=1, device="cpu")
    >>> table = bench_step([candidate("resnet11+template=8")], [Mode()], settings)
    >>> [row.what for row in table.rows]
    ['resnet11+template=8, eager float32 channels-last']
    """
    return _bench(STEP, candidates, modes, settings or BenchSettings(), progress)


def bench_infer(
    candidates: Sequence[Candidate],
    modes: Sequence[Mode],
    settings: BenchSettings | None = None,
    progress: ProgressCallback | None = None,
) -> BenchTable:
    """Time inference of every candidate in every mode.

    Ratios are to the first row. The limit is that of the convolutions alone, with all norms folded into them.

    Args:
        candidates: The networks.
        modes: How each is executed.
        settings: Batch, image size, rounds and device.
        progress: Receives the numbers of finished and of all rounds.

    Raises:
        BenchError: The networks expect images of different sizes and `settings` gives none.
        NothingTimed: No network can be timed here.
        DeviceError: The device is not there.

    >>> from resnext.bench import candidate
    >>> settings = BenchSettings(batch=2, size_px=16, rounds=1, device="cpu")
    >>> table = bench_infer([candidate("resnet11+template=8")], [Mode()], settings)
    >>> table.rows[0].images_per_s > 0
    True
    """
    return _bench(INFER, candidates, modes, settings or BenchSettings(), progress)


def _bench(
    workload: Workload,
    candidates: Sequence[Candidate],
    modes: Sequence[Mode],
    settings: BenchSettings,
    progress: ProgressCallback | None,
) -> BenchTable:
    machine = find_machine(settings.device)
    use_machine(machine)
    batch, side = settings.batch, settings.size_px or _usual_side(candidates)
    cases = _cases(candidates, modes)
    calls, failed = _prepare(workload, cases, (batch, 3, side, side), machine)
    if not calls:
        raise NothingTimed("; ".join(f"{what} cannot be timed here: {why}" for what, why in failed.items()))
    precisions = sorted({mode.precision for mode in modes})
    timings, limits = _time(calls, settings.rounds, machine, precisions, progress)
    floors = {
        what: _limits(limits, mode).seconds(
            workload.kernels(one.arch, batch, side, VALUE_BYTES[mode.precision])
        )
        for what, (one, mode) in cases.items()
        if one.arch is not None and what in calls
    }
    said = {"batch": batch, "size_px": side, "rounds": settings.rounds, "order": "rotated"}
    said["threads"] = torch.get_num_threads()
    return BenchTable(workload.name, said, make_rows(timings, batch, floors), limits, failed, machine.name)


def _usual_side(candidates: Sequence[Candidate]) -> int:
    """The side of the images that the stems of all networks were made for. Raises `BenchError`."""
    sides = {one.arch.size_px for one in candidates if one.arch is not None}
    if len(sides) != 1:
        kind = "networks for images of different sizes" if sides else "networks without a usual image size"
        raise BenchError(f"{kind} are timed at one size: give it with --size-px")
    return sides.pop()


def _cases(candidates: Sequence[Candidate], modes: Sequence[Mode]) -> Cases:
    """Every candidate in every mode, by name; repeated ones, which show the noise, get a number."""
    cases: dict[str, tuple[Candidate, Mode]] = {}
    for one in candidates:
        for mode in modes:
            what, number = f"{one.name}, {mode.name}", 1
            while what in cases:
                number += 1
                what = f"{one.name}, {mode.name} ({number})"
            cases[what] = one, mode
    return cases


def _prepare(
    workload: Workload, cases: Cases, shape: tuple[int, ...], machine: Machine
) -> tuple[Calls, dict[str, str]]:
    """The calls of the cases on images of `shape`, each made once, and why the others fail."""
    calls: dict[str, Callable[[], object]] = {}
    failed: dict[str, str] = {}
    for what, (one, mode) in cases.items():
        images = torch.randn(shape, device=machine.device)
        try:
            call = workload.call(one.make(), images, mode)
            call()
        except Exception as error:  # compilers and backends raise errors of any class
            failed[what] = first_line(error)
        else:
            calls[what] = call
    return calls, failed


def _limits(limits: Mapping[str, float], mode: Mode) -> Limits:
    return Limits(limits["bytes_per_s"], limits[f"{mode.precision}_flops_per_s"])


def _time(
    calls: Calls,
    rounds: int,
    machine: Machine,
    precisions: Sequence[str],
    progress: ProgressCallback | None = None,
) -> tuple[dict[str, Timing], dict[str, float]]:
    """Times of `calls`, and the most that the machine did in the same turns."""
    most = limit_calls(machine.device, precisions)
    with _matmul_rounds_like_convolutions(machine):
        timings = interleave(
            dict(calls) | {name: call for name, (call, _) in most.items()},
            rounds,
            finish=torch.accelerator.synchronize if machine.is_gpu else None,
            progress=progress,
        )
    limits = {name: amount / min(timings.pop(name).seconds) for name, (_, amount) in most.items()}
    return timings, limits


@contextlib.contextmanager
def _matmul_rounds_like_convolutions(machine: Machine) -> Iterator[None]:
    """While entered, float32 products round on GPUs as convolutions do, whose limit they measure.

    By default only convolutions use TensorFloat-32.
    """
    with contextlib.ExitStack() as after:
        if machine.device.type == "cuda":
            with contextlib.suppress(RuntimeError):  # the program set the newer fp32_precision itself
                before = torch.backends.cuda.matmul.allow_tf32
                torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
                after.callback(setattr, torch.backends.cuda.matmul, "allow_tf32", before)
        yield


def bench_data(
    data: str,
    images: int = 100,
    size_px: int = 224,
    rounds: int = 10,
    peers: Mapping[str, Sample] | None = None,
    progress: ProgressCallback | None = None,
) -> BenchTable:
    """Time the ways from stored images to training crops on one core.

    Crops take 8 to 100 % of the area and are flipped. Timed are the exact path, the fast one where it is
    installed, decoding alone, and normalising a batch of crops, which training does on the device. Ratios are
    to the first peer, else to the exact path.

    Args:
        data: DATA as `resnext train` takes it.
        images: Number of its training images to read.
        size_px: Side of the crops.
        rounds: How often each way is timed.
        peers: Other ways, by name, as `sample(images, index, random)`.
        progress: Receives the numbers of finished and of all rounds.

    Raises:
        DataError: `data` cannot be read.

    >>> [row.what for row in bench_data("digits", images=2, size_px=8, rounds=1).rows][0]
    'exact'
    """
    source = read_splits(data).train
    count = min(images, len(source))
    ways, failed = _ways(size_px, peers or {})
    crops = torch.randint(256, (count, size_px, size_px, 3), dtype=torch.uint8).permute(0, 3, 1, 2)

    def read_all(way: Sample) -> None:
        for index in range(count):
            way(source, index, sample_generator(0, 0, index))

    calls: dict[str, Callable[[], object]] = {name: partial(read_all, way) for name, way in ways.items()}
    calls["normalising a batch"] = partial(
        normalise, crops, IMAGENET_COLOURS["mean"], IMAGENET_COLOURS["std"]
    )
    with torch_threads(1):
        timings = interleave(calls, rounds, progress=progress)
    settings = {"data": data, "pictures": count, "size_px": size_px, "rounds": rounds, "threads": 1}
    rows = make_rows(timings, count, {})
    return BenchTable("data", settings, rows, {}, failed, find_machine("cpu").name)


def _ways(size_px: int, peers: Mapping[str, Sample]) -> tuple[dict[str, Sample], dict[str, str]]:
    """The peers' ways and ours to a training crop, and why one of ours is left out."""
    steps = ResizedCrop(size_px, 0.08, 4 / 3, "bilinear"), Flip(0.5)
    ways = dict(peers) | {"exact": Augmentation(steps).sample}
    try:
        load_decoder()
    except DecoderMissing:
        ways["decoding alone"] = lambda images, index, _: images.open(index)
        return ways, {"fast": "needs libjpeg-turbo; pip install 'resnext[fast]'"}
    return ways | {"fast": FastAugmentation(steps).sample, "decoding alone": _decode}, {}


def _decode(images: ImageDataset, index: int, random: Generator) -> object:
    stored = images.read_bytes(index)
    jpeg = None if stored is None else Jpeg.open(stored)
    return images.open(index) if jpeg is None else jpeg.decode((0, 0, jpeg.width, jpeg.height), jpeg.width)
