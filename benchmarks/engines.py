"""Inference on a CPU by each engine, beside torchvision's eager network as people run it.

`python benchmarks/engines.py NAME...`: networks of random weights, 224 px, batches of 1 and 8, float32 and
int8. In each round all engines of all networks compute the same batch in turns; ratios are taken round by
round, to torchvision's network of the first name, contiguous. Promised for resnext50_32x4d: the best
engine is at least 1.6 times as fast, and 3 times in int8. In the same turns OpenVINO computes three dense
convolutions of 1x1, in both precisions: no network has kernels that use the processor better, so their rate
is the limit of all. Appends a record for each batch to results/bench.jsonl; run it with nothing else on the
machine. `make test` puts torchvision into .oracle.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import brief_spins  # noqa: F401  # before torch
import oracle  # noqa: F401  # before torchvision
import torch
import torchvision
from torch import Tensor

import resnext
from resnext.arch import Architecture
from resnext.contract import Contract, Input, Provenance, Resize
from resnext.cost import count_cost
from resnext.engine import CompiledEngine, Engine, FoldedEngine, TorchEngine, open_model
from resnext.export import FORMATS, PRECISIONS, QUANTIZERS, Source
from resnext.export.block_calls import by_openvino
from resnext.export.grouped import GroupedLayer
from resnext.machine import cpu_name
from resnext.recipe import IMAGENET_COLOURS
from resnext.records import append_record, stamp
from resnext.timing import interleave

RESULTS = Path(__file__).parents[1] / "results" / "bench.jsonl"
SIZE_PX, CLASSES, SAMPLES = 224, 1000, 16
#: How many times as fast as torchvision the best engine must be, in float32 and in int8.
PROMISED, PROMISED_INT8 = 1.6, 3.0
EXPORTED = ("pt2", "onnx", "openvino")
#: Three convolutions of 1x1 with 1,024 channels at 14 px.
DENSE = GroupedLayer(1024, 1024, 1, (1, 1), (1, 1), (0, 0), (1, 1), (14, 14))


def engines(name: str, folder: Path) -> Iterator[tuple[str, Engine]]:
    """All engines of a network of random weights, by name; in int8 too."""
    contract = Contract(
        classes=tuple(map(str, range(CLASSES))),
        input=Input(3, SIZE_PX, SIZE_PX),
        resize=Resize(256, SIZE_PX),
        mean=IMAGENET_COLOURS["mean"],
        std=IMAGENET_COLOURS["std"],
        provenance=Provenance(name),
    )
    network = resnext.create(name, classes=CLASSES).eval()
    for kind in (TorchEngine, FoldedEngine, CompiledEngine):
        yield kind.name, kind(network, contract)
    source = Source(name, network, contract)
    for to in EXPORTED:
        format = FORMATS[to]
        path = folder / f"{name}{format.suffix}"
        format.write(source, path)
        engine = open_model(path).engine
        yield engine.name, engine
    samples = [torch.randn(1, 3, SIZE_PX, SIZE_PX).numpy() for _ in range(SAMPLES)]
    for quantizer in QUANTIZERS.values():
        path = folder / f"{name}-int8{quantizer.format.suffix}"
        quantizer.write(source, samples, "any", path)
        engine = open_model(path).engine
        yield f"{engine.name}, int8", engine


def eager(name: str) -> Callable[[Tensor], Tensor]:
    """torchvision's network, contiguous."""
    network = torchvision.models.get_model(name).eval()

    @torch.inference_mode()
    def forward(pixels: Tensor) -> Tensor:
        return network(pixels).softmax(1)

    return forward


def dense_calls(batch: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """`DENSE` as calls of OpenVINO, by precision."""
    pixels = DENSE.pixels(batch)
    for precision in PRECISIONS:
        call = by_openvino(DENSE.block(1), precision, Path("dense"))
        yield precision, lambda call=call: call(pixels)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="+", default=["resnext50_32x4d"])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--rounds", type=int, default=10)
    given = parser.parse_args()
    first = f"torchvision {given.names[0]}, contiguous"
    passed, arch = True, Architecture.from_name(given.names[0], CLASSES)
    with tempfile.TemporaryDirectory() as root:
        calls: dict[str, Callable[[Tensor], object]] = {first: eager(given.names[0])}
        for name in given.names:
            for what, one in engines(name, Path(root)):
                calls[f"{name}, {what}"] = one.probabilities
        for batch in given.batch:
            pixels = torch.randn(batch, 3, SIZE_PX, SIZE_PX)
            laid = pixels.contiguous(memory_format=torch.channels_last)
            timed = {
                what: (lambda call=call, given=pixels if what == first else laid: call(given))
                for what, call in calls.items()
            }
            timings = interleave(timed | dict(dense_calls(batch)), given.rounds)
            macs = 3 * DENSE.channels_in**2 * DENSE.size_px[0] * DENSE.size_px[1] * batch
            rates = {one: macs / timings.pop(one).median_s for one in PRECISIONS}
            least = {one: 1000 * batch * count_cost(arch, SIZE_PX).macs / rate for one, rate in rates.items()}
            print(f"batch {batch}  least: {', '.join(f'{one} {ms:.1f} ms' for one, ms in least.items())}")
            rows: list[dict[str, Any]] = []
            for what, timing in timings.items():
                speed = timings[first].ratio_to(timing)
                low, high = speed.spread
                rows.append(
                    {"what": what, "ms": 1000 * timing.median_s, "speed": speed.median, "spread": [low, high]}
                )
                shown = f"{speed.median:5.2f}x ({low:.2f} to {high:.2f})"
                print(f"batch {batch}  {what:45} {1000 * timing.median_s:8.1f} ms  {shown}", flush=True)
            record = {
                "kind": "bench",
                "experiment": "engines",
                "settings": {
                    "batch": batch,
                    "size_px": SIZE_PX,
                    "rounds": given.rounds,
                    "threads": torch.get_num_threads(),
                },
                "macs_per_s": rates,
                "least_ms": least,
                "rows": rows,
            }
            append_record(record | asdict(stamp(cpu_name())), RESULTS)
            own = {row["what"]: row["speed"] for row in rows if row["what"].startswith(f"{given.names[0]},")}
            in_int8 = max(speed for what, speed in own.items() if what.endswith("int8"))
            in_float32 = max(speed for what, speed in own.items() if not what.endswith("int8"))
            passed = passed and in_float32 >= PROMISED and in_int8 >= PROMISED_INT8
    return 0 if passed else 4


if __name__ == "__main__":
    sys.exit(main())
