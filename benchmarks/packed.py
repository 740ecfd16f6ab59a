"""Grouped 3x3 convolutions in the engines that people deploy with, as they are and packed into wider groups.

For each stage of ResNeXt 32x4d the three convolutions of a block, with ReLU, in OpenVINO and onnxruntime, in
float32 and int8: as they are, with the weights of the 3x3 packed into fewer, wider groups with zeros between
paths (which computes the same), as one dense convolution, and without the 3x3. All forms of one stage, engine
and batch are timed in turns.

    python benchmarks/packed.py [--rounds 11]

Appends a record to results/bench.jsonl. Run it with nothing else on the machine; about ten minutes.
"""

from __future__ import annotations

import argparse
import io
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from grouped import STAGES
from numpy.typing import NDArray
from torch import nn

from resnext.engine.libraries import import_library
from resnext.export.graph import PIXELS
from resnext.export.int8 import SampleReader
from resnext.export.packing import pack_weight
from resnext.machine import cpu_name
from resnext.records import append_record, stamp
from resnext.timing import interleave

RESULTS = Path(__file__).parents[1] / "results" / "bench.jsonl"
#: Widths of the groups after packing; one dense convolution beside them.
PACKED = (8, 16, 32, 64)
BATCHES = (1, 8)
Call = Callable[[Any], object]

for library in ("onnx", "onnxscript", "onnxruntime", "openvino", "nncf"):
    import_library(library, Path(library))
import nncf  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
import openvino  # noqa: E402
from onnxruntime import quantization  # noqa: E402
from openvino import passes  # noqa: E402


def forms(width: int, d: int) -> Iterator[tuple[str, nn.Module]]:
    """The convolutions of a block by what becomes of the grouped one: all compute the same, but the last."""
    torch.manual_seed(0)
    reduce, expand = nn.Conv2d(2 * width, width, 1), nn.Conv2d(width, 2 * width, 1)
    grouped = nn.Conv2d(width, width, 3, padding=1, groups=width // d)
    for wide in (d, *(wide for wide in PACKED if wide > d), width):
        packed = nn.Conv2d(width, width, 3, padding=1, groups=width // wide)
        with torch.no_grad():
            packed.weight.copy_(pack_weight(grouped.weight, width // d, wide // d))
            packed.bias.copy_(grouped.bias)
        yield f"{wide}", nn.Sequential(reduce, nn.ReLU(), packed, nn.ReLU(), expand, nn.ReLU())
    yield "without", nn.Sequential(reduce, nn.ReLU(), expand, nn.ReLU())


def as_onnx(network: nn.Module, pixels: torch.Tensor) -> onnx.ModelProto:
    shapes = ({0: torch.export.Dim("batch", min=1)},)
    program = torch.onnx.export(
        network.eval(), (pixels,), dynamo=True, dynamic_shapes=shapes, input_names=[PIXELS], verbose=False
    )
    assert program is not None
    return onnx.shape_inference.infer_shapes(program.model_proto)


def calls(model: onnx.ModelProto, sample: NDArray[np.float32]) -> Iterator[tuple[str, Call]]:
    """What computes the model, by engine and precision."""
    content = model.SerializeToString()  # before onnxruntime moves the weights elsewhere
    graph = openvino.Core().read_model(content, b"")
    manager = passes.Manager()
    manager.register_pass(passes.ConstantFolding())
    manager.run_passes(graph)
    reduced = nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE)
    int8 = nncf.quantize(
        graph,
        nncf.Dataset([sample], lambda pixels: {PIXELS: pixels}),
        preset=nncf.QuantizationPreset.PERFORMANCE,
        subset_size=1,
        advanced_parameters=reduced,
    )
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    for precision, one in (("float32", graph), ("int8", int8)):
        request = openvino.Core().compile_model(one, "CPU", settings).create_infer_request()
        yield f"openvino, {precision}", lambda pixels, request=request: request.infer({PIXELS: pixels})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantization.quantize_static(
            model,
            path,
            SampleReader([sample]),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
        contents = {"float32": content, "int8": path.read_bytes()}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4
    # Threads that spin while they wait would slow the session that is timed next.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    for precision, one in contents.items():
        session = onnxruntime.InferenceSession(one, options, providers=["CPUExecutionProvider"])
        yield f"onnxruntime, {precision}", lambda pixels, session=session: session.run(None, {PIXELS: pixels})


def measure(width: int, d: int, side: int, rounds: int) -> Iterator[dict[str, Any]]:
    """A row for each engine and batch."""
    sample = torch.rand(2, 2 * width, side, side)
    made: dict[str, dict[str, Call]] = {}
    for form, network in forms(width, d):
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), torch.no_grad():
            warnings.simplefilter("ignore")
            for engine, call in calls(as_onnx(network, sample), sample[:1].numpy()):
                made.setdefault(engine, {})[form] = call
    for batch in BATCHES:
        pixels = torch.rand(batch, 2 * width, side, side).numpy()
        for engine, by_form in made.items():
            timed = interleave({form: partial(call, pixels) for form, call in by_form.items()}, rounds)
            first, least = timed[f"{d}"], timed["without"]
            yield {
                "width": width,
                "d": d,
                "side_px": side,
                "batch": batch,
                "engine": engine,
                "ms": 1000 * first.median_s,
                "ratios": {form: one.ratio_to(first).median for form, one in timed.items()},
                "grouped_ms": 1000 * (first.median_s - least.median_s),
            }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=11)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    rows = []
    for stage in STAGES:
        for row in measure(*stage, given.rounds):
            rows.append(row)
            ratios = ", ".join(f"{form} {ratio:.2f}" for form, ratio in row["ratios"].items())
            print(
                f"{row['width']} wide, batch {row['batch']}, {row['engine']}: {row['ms']:.2f} ms; {ratios}",
                flush=True,
            )
    record = {"kind": "bench", "experiment": "packed", "settings": {"rounds": given.rounds}, "rows": rows}
    append_record(record | asdict(stamp(cpu_name())), RESULTS)


if __name__ == "__main__":
    main()
