"""The time of grouped 3x3 convolutions over that of the bytes they must move, and whether packing helps.

For each stage of ResNeXt 32x4d: forward, gradient of the input and gradient of the weights, in both layouts,
and with the weights packed into fewer, wider groups with zeros between paths. The floor is each input and
output moved once, at the bandwidth measured in the same turns. GPUs compute in bfloat16 and float16, CPUs in
float32.

    python benchmarks/grouped.py [--batch 8] [--rounds 10] [--device cuda]

Appends a record to results/bench.jsonl. Run it with nothing else on the machine.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from resnext.bench.tables import BenchTable, make_rows
from resnext.export.packing import pack_weight
from resnext.machine import find_machine, use_machine
from resnext.records import append_record
from resnext.timing import interleave, limit_calls

RESULTS = Path(__file__).parents[1] / "results" / "bench.jsonl"
#: Width, width of a path, and side of the feature map of each stage.
STAGES = ((128, 4, 56), (256, 8, 28), (512, 16, 14), (1024, 32, 7))
LAYOUTS = {"channels-last": torch.channels_last, "contiguous": torch.contiguous_format}
#: Widths of the groups after packing.
PACKED = (16, 32, 64)


def passes(x: Tensor, weight: Tensor, groups: int) -> dict[str, Callable[[], object]]:
    """Forward, gradient of the input, gradient of the weights."""
    y = torch.conv2d(x, weight, padding=1, groups=groups)

    def backward(*wanted: bool) -> object:
        return torch.ops.aten.convolution_backward(
            y, x, weight, None, [1, 1], [1, 1], [1, 1], False, [0, 0], groups, list(wanted)
        )

    return {
        "forward": partial(torch.conv2d, x, weight, padding=1, groups=groups),
        "input": partial(backward, True, False, False),
        "weights": partial(backward, False, True, False),
    }


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--batch", type=int, default=8)
    words.add_argument("--rounds", type=int, default=10)
    words.add_argument("--device")
    options = words.parse_args()
    machine = find_machine(options.device)
    use_machine(machine)
    calls: dict[str, Callable[[], object]] = {}
    least: dict[str, int] = {}
    for precision in ("bfloat16", "float16") if machine.is_gpu else ("float32",):
        kind = getattr(torch, precision)
        for width, d, side in STAGES:
            x = torch.randn(options.batch, width, side, side, device=machine.device, dtype=kind)
            weight = torch.randn(width, d, 3, 3, device=machine.device, dtype=kind)
            for layout, memory_format in LAYOUTS.items():
                for wide in (d, *(w for w in PACKED if w > d)):
                    packed = pack_weight(weight, width // d, wide // d).contiguous(
                        memory_format=memory_format
                    )
                    own = x.contiguous(memory_format=memory_format)
                    for name, call in passes(own, packed, width // wide).items():
                        what = f"{width} wide, d = {d}, {side} px, {precision} {layout}, {name}"
                        what += f", packed to {wide}" if wide > d else ""
                        calls[what] = call
                        least[what] = (2 * x.numel() + weight.numel()) * x.element_size()
    most = limit_calls(machine.device, ["float32"])
    copy, moved = most["bytes_per_s"]
    finish = torch.accelerator.synchronize if machine.is_gpu else None
    timings = interleave(calls | {"copy": copy}, options.rounds, finish)
    rate = moved / timings.pop("copy").median_s
    floors = {what: size / rate for what, size in least.items()}
    rows = make_rows(timings, options.batch, floors)
    settings = {"batch": options.batch, "rounds": options.rounds, "threads": torch.get_num_threads()}
    table = BenchTable("grouped", settings, rows, {"bytes_per_s": rate}, {}, machine.name)
    append_record(table.to_json(), RESULTS)
    for row in rows:
        print(f"{row.what:75} {1e3 * row.median_s:8.3f} ms  {1 / (row.limit_share or 1):6.1f} x its bytes")


if __name__ == "__main__":
    main()
