"""`--engine auto`: the fastest of the engines that can compute a model, by measurement."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from resnext.catalogue import file_digest
from resnext.engine.engine import Engine, EngineMissing, ModelError
from resnext.engine.measurements import Measurements, measured_here
from resnext.engine.openers import Opener
from resnext.parsing import Extensible
from resnext.timing import interleave
from resnext.weights import weights_file

#: Images of the batch that is timed, seconds that the timing takes, and most rounds.
BATCH, SECONDS, MAX_ROUNDS = 2, 1.0, 20
#: Where measurements are kept.
CACHE_FILE = "engines.json"
#: Libraries whose versions the speed depends on.
LIBRARIES = ("torch", "onnxruntime", "openvino")


@dataclass(frozen=True)
class Fastest:
    """The engine that was taken, and why, in a sentence."""

    engine: Engine
    why: str


@dataclass(frozen=True)
class _Kept(Extensible):
    """engines.json: milliseconds for an image by engine, by what was measured."""

    schema: int = 1
    measured: dict[str, dict[str, float]] = field(default_factory=dict)


_KEPT = Measurements[dict[str, float]](CACHE_FILE, _Kept)


def choose(openers: Sequence[Opener], device: torch.device) -> Fastest:
    """The fastest engine of `openers` on this machine.

    They are timed in turns, for about a second; the times are kept for this machine, these libraries and
    these files. What takes a minute to start is left out, and so is what cannot be opened here.

    Raises:
        ModelError: None of them can be opened.
        EngineMissing: The same, for want of a library.
    """
    tried = [one for one in openers if not one.is_slow_to_start]
    key = _key(tried, device)
    kept = _KEPT.read()
    if key in kept and kept[key].keys() <= {one.name for one in tried}:
        name = min(kept[key], key=lambda name: kept[key][name])
        engine = next(one for one in tried if one.name == name).open()
        return Fastest(engine, _explain(kept[key], "as measured before"))
    opened: dict[str, Engine] = {}
    errors: dict[str, ModelError | EngineMissing] = {}
    for one in tried:
        try:
            opened[one.name] = one.open()
        except (ModelError, EngineMissing) as error:
            errors[one.name] = error
    if not opened:
        raise next(iter(errors.values()))
    ms = _measure(opened, device)
    _KEPT.keep({**kept, key: ms})
    name = min(ms, key=lambda name: ms[name])
    return Fastest(opened[name], _explain(ms, "measured now", errors))


def _measure(engines: dict[str, Engine], device: torch.device) -> dict[str, float]:
    """Milliseconds for an image by each of the engines."""
    size = next(iter(engines.values())).contract.input
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(BATCH, size.channels, size.height_px, size.width_px, generator=generator)
    pixels = pixels.to(device).contiguous(memory_format=torch.channels_last)  # as images come
    image = torch.zeros(1, size.height_px, size.width_px, size.channels, dtype=torch.uint8)
    calls: dict[str, Callable[[], object]] = {
        name: partial(_compute, engine, pixels if engine.takes == "pixels" else image)
        for name, engine in engines.items()
    }
    for call in calls.values():  # what is set up at the first call is not timed
        call()
    start = time.perf_counter()
    for call in calls.values():
        call()
    rounds = max(1, min(MAX_ROUNDS, int(SECONDS / (time.perf_counter() - start)) - 2))
    finish = partial(torch.cuda.synchronize, device) if device.type == "cuda" else None
    timings = interleave(calls, rounds, finish)
    return {name: 1000 * timing.median_s / BATCH for name, timing in timings.items()}


def _compute(engine: Engine, pixels: Tensor) -> None:
    """Compute `BATCH` images, together if `pixels` are so many."""
    for _ in range(BATCH // len(pixels)):
        engine.probabilities(pixels)


def _explain(
    ms: dict[str, float], when: str, errors: dict[str, ModelError | EngineMissing] | None = None
) -> str:
    """What was taken, and how fast each is."""
    fastest, *others = sorted(ms, key=lambda name: ms[name])
    slower = "".join(f", {name} {ms[name]:.2f}" for name in others)
    failed = "".join(f"; {error}" for error in (errors or {}).values())
    return f"engine {fastest}: {ms[fastest]:.2f} ms an image{slower} ({when}){failed}"


def _key(openers: Sequence[Opener], device: torch.device) -> str:
    """Digest of all that the times depend on."""
    files = {one.name: file_digest(weights_file(one.path)) for one in openers}
    return measured_here(files, device, LIBRARIES)
