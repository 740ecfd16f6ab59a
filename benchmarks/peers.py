"""Training steps, inference and the data path, beside those of torchvision and timm.

    python benchmarks/peers.py step  NAME... [--mode WORD...] [--batch 8] [--rounds 10]
    python benchmarks/peers.py infer NAME... [--mode WORD...] [--batch 8] [--rounds 10]
    python benchmarks/peers.py data  FOLDER [--rounds 10]

`make test` puts the peers into .oracle. Appends a record to results/bench.jsonl. Run it with nothing else on
the machine.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import oracle  # noqa: F401  # before the peers
import timm
import torch
import torchvision
from torchvision import transforms

from resnext.bench import (
    BenchSettings,
    BenchTable,
    Candidate,
    bench_data,
    bench_infer,
    bench_step,
    candidate,
    parse_modes,
)
from resnext.data.images import ImageDataset
from resnext.records import append_record

RESULTS = Path(__file__).parents[1] / "results" / "bench.jsonl"


def candidates(name: str) -> list[Candidate]:
    """The peers' networks of this name, and ours."""
    ours = candidate(name)
    found: list[Candidate] = []
    if name in timm.list_models(name):
        found.append(Candidate(f"timm {name}", lambda: timm.create_model(name), ours.arch))
    if name in torchvision.models.list_models():
        found.append(Candidate(f"torchvision {name}", torchvision.models.get_model_builder(name), ours.arch))
    return [*found, ours]


def reference(size_px: int = 224) -> Any:
    """torchvision's training transforms for ImageNet (references/classification), on Pillow images."""
    steps = transforms.Compose(
        [
            transforms.RandomResizedCrop(size_px),
            transforms.RandomHorizontalFlip(),
            transforms.PILToTensor(),
            transforms.ConvertImageDtype(torch.float),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )

    def sample(images: ImageDataset, index: int, random: object) -> Any:
        return steps(images.open(index))

    return sample


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("what", choices=["step", "infer", "data"])
    words.add_argument("of", nargs="+")
    words.add_argument("--mode", nargs="*", default=[])
    words.add_argument("--batch", type=int, default=8)
    words.add_argument("--rounds", type=int, default=10)
    words.add_argument("--ours-only", nargs="*", default=[], help="networks that no peer is timed for")
    options = words.parse_args()
    if options.what == "data":
        peers = {"torchvision on Pillow": reference()}
        table = bench_data(options.of[0], rounds=options.rounds, peers=peers)
    else:
        run = {"step": bench_step, "infer": bench_infer}[options.what]
        every = [one for name in options.of for one in candidates(name)]
        every += [candidate(name) for name in options.ours_only]
        settings = BenchSettings(options.batch, rounds=options.rounds)
        table = run(every, parse_modes(options.mode), settings)
    show(table)
    append_record(table.to_json(), RESULTS)


def show(table: BenchTable) -> None:
    for row in table.rows:
        ratio = f"{row.ratio:.3f} {row.ratio_spread}" if row.ratio else ""
        share = f"{100 * row.limit_share:.0f} %" if row.limit_share else ""
        print(f"{row.what:60} {row.images_per_s:9.2f}/s {ratio} {share}")
    print(table.limits, table.failed)


if __name__ == "__main__":
    main()
