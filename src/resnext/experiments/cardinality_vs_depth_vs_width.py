"""Twice the cost: spent on more paths it wins more than spent on depth or on width.

Command  resnext experiments run cardinality_vs_depth_vs_width --scale laptop
Cost     laptop: 9 runs of 7 minutes on two CPU cores besides `cardinality`; gpu: 12 runs of an hour; paper:
         3 runs of each of 5 networks on ImageNet, up to 10 days each on the 8 GPUs of 2016
"""

from __future__ import annotations

from collections.abc import Mapping

from resnext.experiments.claims import Claim, lower
from resnext.experiments.scales import usual
from resnext.experiments.study import Experiment

#: Top-1 errors of table 4. Its ResNet-200 was another network: with activations before convolutions.
ERRORS = {"half the cost": 22.0, "deeper": 21.7, "wider": 21.3, "two paths": 20.7, "many paths": 20.4}
PAPER = {
    "half the cost": "resnet101",
    "deeper": "resnet200",
    "wider": "resnext101_1x100d",
    "two paths": "resnext101_2x64d",
    "many paths": "resnext101_64x4d",
}
GPU = {
    "half the cost": "resnet29",
    "deeper": "resnet56+stem=cifar",
    "wider": "resnext29_1x100d",
    "two paths": "resnext29_2x64d",
    "many paths": "resnext29_64x4d",
}
LAPTOP = {
    "half the cost": "resnet20+template=24",
    "deeper": "resnet44+blocks=5-5-4+template=24+stem=cifar",
    "wider": "resnext20_1x41d+template=24",
    "many paths": "resnext20_8x10d+template=24",
}
MINIATURE = {
    "half the cost": "resnet11+template=16",
    "deeper": "resnet20+template=16",
    "wider": "resnext11_1x26d+template=16",
    "many paths": "resnext11_8x6d+template=16",
}


def _claims(models: Mapping[str, str]) -> tuple[Claim, ...]:
    half, *twice = models
    against = tuple(
        lower(f"{more} win more than a {other} network", more, than=other)
        for more in ("many paths", "two paths")
        for other in ("deeper", "wider")
        if more in models
    )
    return against + tuple(lower(f"twice the cost wins: {one}", one, than=half) for one in twice)


EXPERIMENT = Experiment(
    name="cardinality_vs_depth_vs_width",
    claim="At twice the cost, cardinality beats depth and width",
    source="Xie et al. 2017, section 5.1, table 4",
    studies={
        "paper": usual("paper", PAPER, _claims(PAPER), ERRORS),
        "gpu": usual("gpu", GPU, _claims(GPU), ERRORS),
        "laptop": usual("laptop", LAPTOP, _claims(LAPTOP), ERRORS, seeds=3),
        "miniature": usual("miniature", MINIATURE, _claims(MINIATURE)),
    },
    drawings=("cost",),
)
