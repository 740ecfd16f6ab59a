"""The form of grouped convolutions that is the fastest on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from resnext.engine import open_network
from resnext.export import Precision, Source, Tuning
from resnext.export import tune as run_tuning


def tune(
    model: str | Path,
    to: str = "onnx",
    *,
    precision: Precision = "float32",
    batch: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Tuning:
    """Measure on this machine which form of each grouped convolution of a network is the fastest.

    A grouped convolution is timed as it is and packed into groups 2, 4, 8 and 16 times as wide, with zeros
    between paths, which computes the same. Each stands between two convolutions of 1x1, as in a block, and
    all forms are timed in turns. A packed form is taken if it is faster by more than the noise. Times are
    kept in `grouped.json` of the cache folder.

    Args:
        model: Path of the model, or the name of public weights.
        to: The format, `onnx` (computed by onnxruntime), `openvino` or `pt2` (by torch).
        precision: What the file will compute in, `float32` or, but for pt2, `int8`.
        batch: Images of a batch.
        progress: Called with the numbers of kinds of convolutions measured and in all.

    Returns:
        What was measured; its `packing` is what `export_model` and `quantize` take.

    Raises:
        ModelError: There is no such model, format or precision.
        EngineMissing: A library is not installed.

    >>> import resnext
    >>> tuning = resnext.tune("runs/pets", "onnx")
    >>> exported = resnext.export_model("runs/pets", "onnx", packing=tuning.packing)
    >>> exported.parity.is_passed
    True
    """
    network, contract = open_network(model)
    return run_tuning(Source(str(model), network, contract), to, precision, batch, progress)
