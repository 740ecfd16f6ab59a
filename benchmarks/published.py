"""Parameters and multiply-adds: of the paper, of torchvision, of timm's networks, and ours.

python benchmarks/published.py     appends one line to results/published.jsonl; docs/networks.md has the table
"""

from __future__ import annotations

import warnings
from dataclasses import asdict
from pathlib import Path

import oracle  # noqa: F401  # makes the next two importable
import timm
import torch
import torchvision
from torch.utils.flop_counter import FlopCounterMode

from resnext.arch import Architecture
from resnext.cost import count_cost
from resnext.machine import device_name, find_machine
from resnext.records import append_record, stamp

RESULTS = Path(__file__).parents[1] / "results" / "published.jsonl"
#: What the paper says, in millions of parameters and billions of multiply-adds, and where.
PAPER = {
    "resnet50": (25.5, 4.1, "table 1"),
    "resnext50_32x4d": (25.0, 4.2, "table 1"),
    "resnet101": (None, 7.8, "section 5.1"),
    "resnext101_32x4d": (None, 7.8, "section 5.1"),
    "resnext101_64x4d": (None, 15.6, "the authors' code, README"),
    "resnext29_8x64d": (34.4, None, "table 7"),
    "resnext29_16x64d": (68.1, None, "table 7"),
}
#: Further networks that torchvision or timm publish.
MORE = ("resnet18", "resnet34", "resnet152", "resnext101_32x8d")
#: The names of torchvision's weights whose figures are those of the network.
TORCHVISION = {
    "resnet18": "ResNet18_Weights",
    "resnet34": "ResNet34_Weights",
    "resnet50": "ResNet50_Weights",
    "resnet101": "ResNet101_Weights",
    "resnet152": "ResNet152_Weights",
    "resnext50_32x4d": "ResNeXt50_32X4D_Weights",
    "resnext101_32x8d": "ResNeXt101_32X8D_Weights",
    "resnext101_64x4d": "ResNeXt101_64X4D_Weights",
}


def of_torchvision(name: str) -> dict[str, float] | None:
    """Parameters, and billions of multiply-adds, that torchvision publishes beside its weights."""
    if name not in TORCHVISION:
        return None
    meta = getattr(torchvision.models, TORCHVISION[name]).DEFAULT.meta
    return {"params": meta["num_params"], "gmacs": meta["_ops"]}


def of_timm(name: str) -> dict[str, float] | None:
    """Parameters and multiply-adds of timm's network at 224 px, by torch's own counter."""
    if name not in timm.list_models():
        return None
    with warnings.catch_warnings(), torch.device("meta"), torch.no_grad():
        warnings.simplefilter("ignore")
        network = timm.create_model(name).eval()
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(1, 3, 224, 224))
    return {
        "params": sum(p.numel() for p in network.parameters()),
        "macs": counter.get_total_flops() // 2,
    }


def main() -> None:
    rows = []
    for name in (*PAPER, *MORE):
        arch = Architecture.from_name(name, 10 if "29_" in name else 1000)
        params, gmacs, where = PAPER.get(name, (None, None, None))
        cost = count_cost(arch)
        rows.append(
            {
                "network": name,
                "paper": {"params_m": params, "gmacs": gmacs, "where": where},
                "ours": {"params": cost.params, "macs": cost.macs},
                "torchvision": of_torchvision(name),
                "timm": of_timm(name),
            }
        )
    record = {
        "kind": "published",
        "rows": rows,
        "timm": timm.__version__,
        "torchvision": torchvision.__version__,
    }
    append_record(record | asdict(stamp(device_name(find_machine("cpu").name, 1))), RESULTS)
    for row in rows:
        print(row)


if __name__ == "__main__":
    main()
