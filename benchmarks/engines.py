"""Inference on a CPU by each engine, beside torchvision's eager network as people run it.

`python benchmarks/engines.py NAME...`: networks of random weights, 224 px, batches of 1 and 8, float32 and
int8. Each engine of each network is in a process of its own, and in each round all compute the same batch in
turns; ratios are taken round by round, to torchvision's network of the first name, contiguous. Promised for
resnext50_32x4d: the best engine is at least 1.6 times as fast, and in int8 3 times, or 6 times on processors
with AVX512 and VNNI. Where the processor has bfloat16, OpenVINO computes in it too. In the same turns
OpenVINO computes three dense convolutions of 1x1, in both precisions, whose multiply-adds a second tell what
the processor can do. Appends a record for each batch to results/bench.jsonl; run it with nothing else on the
machine. `make test` puts torchvision into .oracle.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

import brief_spins  # noqa: F401  # before torch
import torch
from own_process import OwnProcess, in_turns
from torch import Tensor

from resnext.arch import Architecture
from resnext.contract import Contract, Input, Provenance, Resize
from resnext.engine import CompiledEngine, Engine, FoldedEngine, TorchEngine, open_model
from resnext.export import FORMATS, PRECISIONS, QUANTIZERS, Precision, Source
from resnext.export.block_calls import by_openvino
from resnext.export.grouped import GroupedLayer
from resnext.machine import cpu_name, instructions
from resnext.models import create
from resnext.recipe import IMAGENET_COLOURS
from resnext.records import append_record, stamp

RESULTS = Path(__file__).parents[1] / "results" / "bench.jsonl"
SIZE_PX, CLASSES, SAMPLES = 224, 1000, 16
#: How many times as fast as torchvision the best engine must be, in float32, in int8, and in int8 where
#: there is AVX512 with VNNI.
PROMISED, PROMISED_INT8, PROMISED_VNNI = 1.6, 3.0, 6.0
EXPORTED = ("pt2", "onnx", "openvino")
ENGINES: dict[str, type[Engine]] = {one.name: one for one in (TorchEngine, FoldedEngine, CompiledEngine)}
#: Three convolutions of 1x1 with 1,024 channels at 14 px.
DENSE = GroupedLayer(1024, 1024, 1, (1, 1), (1, 1), (0, 0), (1, 1), (14, 14))

Call = Callable[[int], object]


def source_of(name: str) -> Source:
    """A network of random weights, the same in each process."""
    contract = Contract(
        classes=tuple(map(str, range(CLASSES))),
        input=Input(3, SIZE_PX, SIZE_PX),
        resize=Resize(256, SIZE_PX),
        mean=IMAGENET_COLOURS["mean"],
        std=IMAGENET_COLOURS["std"],
        provenance=Provenance(name),
    )
    return Source(name, create(Architecture.from_name(name, CLASSES), 0).eval(), contract)


@cache  # so that making them is not timed
def pixels(batch: int, layout: torch.memory_format) -> Tensor:
    values = torch.randn(batch, 3, SIZE_PX, SIZE_PX, generator=torch.Generator().manual_seed(0))
    return values.contiguous(memory_format=layout)


def eager(name: str) -> Call:
    """torchvision's network, contiguous."""
    import oracle  # noqa: F401  # before torchvision
    import torchvision

    network = torchvision.models.get_model(name).eval()

    @torch.inference_mode()
    def forward(batch: int) -> Tensor:
        return network(pixels(batch, torch.contiguous_format)).softmax(1)

    return forward


def by_engine(engine: Engine) -> Call:
    """An engine on images as it wants them."""
    return lambda batch: engine.probabilities(pixels(batch, torch.channels_last))


def by_torch(name: str, kind: str) -> Call:
    source = source_of(name)
    return by_engine(ENGINES[kind](source.network, source.contract))


def by_file(path: Path) -> Call:
    return by_engine(open_model(path).engine)


def in_bfloat16(path: Path) -> Call:
    engine = QUANTIZERS["openvino"].in_bfloat16(path)
    assert engine is not None  # `makers` has asked
    return by_engine(engine.engine)


def dense(precision: Precision) -> Call:
    call, given = by_openvino(DENSE.block(1), precision, Path("dense")), cache(DENSE.pixels)
    return lambda batch: call(given(batch))


def makers(name: str, folder: Path) -> Iterator[tuple[str, Callable[[], Call]]]:
    """What makes each engine of a network, by its name; in int8 too."""
    for kind in ENGINES:
        yield f"{name}, {kind}", partial(by_torch, name, kind)
    source = source_of(name)
    for to in EXPORTED:
        path = folder / f"{name}{FORMATS[to].suffix}"
        FORMATS[to].write(source, path)
        yield f"{name}, {open_model(path).engine.name}", partial(by_file, path)
        if to in QUANTIZERS and QUANTIZERS[to].in_bfloat16(path) is not None:
            yield f"{name}, {open_model(path).engine.name}, bfloat16", partial(in_bfloat16, path)
    samples = [torch.randn(1, 3, SIZE_PX, SIZE_PX).numpy() for _ in range(SAMPLES)]
    for quantizer in QUANTIZERS.values():
        path = folder / f"{name}-int8{quantizer.format.suffix}"
        quantizer.write(source, samples, "any", path)
        yield f"{name}, {open_model(path).engine.name}, int8", partial(by_file, path)


def measure(processes: dict[str, OwnProcess], batch: int, rounds: int) -> dict[str, Any]:
    """Times of all at a batch, the first of them torchvision's."""
    timings = in_turns(processes, batch, rounds)
    macs = 3 * DENSE.channels_in**2 * DENSE.size_px[0] * DENSE.size_px[1] * batch
    rates = {one: macs / timings.pop(one).median_s for one in PRECISIONS}
    first = next(iter(timings.values()))
    rows = []
    for what, timing in timings.items():
        speed = first.ratio_to(timing)
        own = {"what": what, "ms": 1000 * timing.median_s, "speed": speed.median}
        rows.append(own | {"spread": list(speed.spread)})
    settings = {"batch": batch, "size_px": SIZE_PX, "rounds": rounds, "threads": torch.get_num_threads()}
    return {"settings": settings, "macs_per_s": rates, "rows": rows}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="+", default=["resnext50_32x4d"])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--rounds", type=int, default=10)
    given = parser.parse_args()
    main_name, passed = given.names[0], True
    made: dict[str, Callable[[], Call]] = {
        f"torchvision {main_name}, contiguous": partial(eager, main_name),
        **{precision: partial(dense, precision) for precision in PRECISIONS},
    }
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for name in given.names:
            made |= dict(makers(name, Path(folder)))
        processes = {what: stack.enter_context(OwnProcess(make)) for what, make in made.items()}
        for batch in given.batch:
            found = measure(processes, batch, given.rounds)
            record = {"kind": "bench", "experiment": "engines"} | found
            append_record(record | asdict(stamp(cpu_name())), RESULTS)
            print(f"batch {batch}, multiply-adds a second of dense convolutions: {found['macs_per_s']}")
            for row in found["rows"]:
                shown = f"{row['speed']:5.2f}x ({row['spread'][0]:.2f} to {row['spread'][1]:.2f})"
                print(f"batch {batch}  {row['what']:45} {row['ms']:8.1f} ms  {shown}", flush=True)
            own = {row["what"]: row["speed"] for row in found["rows"] if row["what"].startswith(main_name)}
            in_int8 = max(speed for what, speed in own.items() if what.endswith("int8"))
            in_float32 = max(speed for what, speed in own.items() if not what.endswith(("int8", "bfloat16")))
            promised = PROMISED_VNNI if {"AVX512", "VNNI"} <= {*instructions()} else PROMISED_INT8
            passed = passed and in_float32 >= PROMISED and in_int8 >= promised
    return 0 if passed else 4


if __name__ == "__main__":
    sys.exit(main())
