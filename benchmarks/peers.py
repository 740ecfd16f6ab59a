"""Training steps and answers beside torchvision's and timm's own networks, and the data path beside theirs.

    python benchmarks/peers.py step  NAME... [--mode WORD...] [--batch 8] [--rounds 10]
    python benchmarks/peers.py infer NAME... [--mode WORD...] [--batch 8] [--rounds 10]
    python benchmarks/peers.py data  FOLDER [--rounds 10]

`make test` puts the peers into .oracle. A line of results goes to results/bench.jsonl. Run it with nothing
else on the machine.
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

from resnext import api
from resnext.bench import Contender, Table
from resnext.data.pictures import Pictures
from resnext.results import append

RESULTS = Path(__file__).parents[1] / "results" / "bench.jsonl"


def contenders(name: str) -> list[Contender]:
    """Each peer's network of this name, and ours."""
    ours = api.contender(name)
    found: list[Contender] = []
    if name in timm.list_models(name):
        found.append(Contender(f"timm {name}", lambda: timm.create_model(name), ours.arch))
    if name in torchvision.models.list_models():
        found.append(Contender(f"torchvision {name}", torchvision.models.get_model_builder(name), ours.arch))
    return [*found, ours]


def reference(size_px: int = 224) -> Any:
    """torchvision's training transforms for ImageNet, on Pillow pictures (its references/classification)."""
    steps = transforms.Compose(
        [
            transforms.RandomResizedCrop(size_px),
            transforms.RandomHorizontalFlip(),
            transforms.PILToTensor(),
            transforms.ConvertImageDtype(torch.float),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )

    def sample(pictures: Pictures, index: int, random: object) -> Any:
        return steps(pictures.open(index))

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
        table = api.bench_data(options.of[0], rounds=options.rounds, peers=peers)
    else:
        run = {"step": api.bench_step, "infer": api.bench_infer}[options.what]
        every = [one for name in options.of for one in contenders(name)]
        every += [api.contender(name) for name in options.ours_only]
        table = run(every, api.modes_of(options.mode), api.Turns(options.batch, rounds=options.rounds))
    show(table)
    append(table.to_line(), RESULTS)


def show(table: Table) -> None:
    for row in table.rows:
        ratio = f"{row.ratio:.3f} {row.ratio_spread}" if row.ratio else ""
        share = f"{100 * row.limit_share:.0f} %" if row.limit_share else ""
        print(f"{row.what:60} {row.pictures_per_s:9.2f}/s {ratio} {share}")
    print(table.limits, table.failed)


if __name__ == "__main__":
    main()
