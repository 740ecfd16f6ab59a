"""What times networks in the engine that they are deployed in."""

from __future__ import annotations

from collections.abc import Callable

from resnext.arch import Architecture
from resnext.design import EngineMeter, LatencyMeter
from resnext.engine import ModelError
from resnext.export import TIMED_ENGINES


def latency_meter(
    network: str | Architecture,
    engine: str = "torch",
    *,
    size_px: int | None = None,
    images: int = 1,
    progress: Callable[[int, int, float], None] | None = None,
) -> LatencyMeter:
    """A meter for `resnext.design.design_networks` and `time_designs`, on the CPU of this machine.

    Args:
        network: A network like those that are timed, with which the pace of the machine is followed.
        engine: What computes: `torch` (float32), `onnx` (onnxruntime), `openvino`, and both in int8, as
            `onnx-int8` and `openvino-int8`.
        size_px: Side of the images; None for the side that the stem of each network was made for.
        images: Images in one call.
        progress: Not for torch: called with the parts of networks that were built and timed, those expected
            in all, and the seconds that the rest will take.

    Raises:
        ModelError: There is no such engine.
        EngineMissing: A library that it needs is not installed.
        ArchitectureError: No network has this name.

    >>> import resnext
    >>> base = resnext.Architecture.from_name("resnext11_4x4d+template=8", classes=10)
    >>> meter = resnext.latency_meter(base, "onnx", size_px=8)
    >>> meter.measure({0: base})[0] > 0
    True
    """
    arch = network if isinstance(network, Architecture) else Architecture.from_name(network)
    if engine == "torch":
        return LatencyMeter(arch, size_px, images)
    if engine not in TIMED_ENGINES:
        raise ModelError(f"--engine {engine}: must be one of torch, {', '.join(TIMED_ENGINES)}")
    timed = TIMED_ENGINES[engine]
    timed.check()
    return EngineMeter(arch, engine, timed.call, size_px, images, progress=progress)
