"""Residual connections: removing them hurts ResNet more than ResNeXt.

The projections are removed with the shortcuts; the paper does not say whether it did the same.

Command  resnext experiments run residual --scale laptop
Cost     laptop: 10 runs of 5 minutes, two at a time on two CPU cores, besides `cardinality`; gpu: 10 runs
         of half an hour; paper: 3 runs of each of 4 networks on ImageNet, 2 to 3 days each on the 8 GPUs of
         2016
"""

from __future__ import annotations

from resnext.experiments.claims import Claim, interaction, lower
from resnext.experiments.scales import default_study
from resnext.experiments.study import Experiment, Scale

#: Top-1 errors of section 5.1.
ERRORS = {"ResNet": 23.9, "ResNet without": 31.2, "ResNeXt": 22.2, "ResNeXt without": 26.1}
CLAIMS: tuple[Claim, ...] = (
    interaction(
        "removing the shortcuts hurts ResNet more",
        ("ResNet", "ResNet without"),
        ("ResNeXt", "ResNeXt without"),
    ),
    lower("ResNet", than="ResNet without"),
    lower("ResNeXt", than="ResNeXt without"),
    lower("ResNeXt without", than="ResNet without"),
)
PAIRS: dict[Scale, tuple[str, str]] = {
    "paper": ("resnet50", "resnext50_32x4d"),
    "gpu": ("resnet29", "resnext29_32x4d"),
    "laptop": ("resnet20+template=24", "resnext20_8x5d+template=24"),
    "miniature": ("resnet11+template=16", "resnext11_4x6d+template=16"),
}


def models(resnet: str, resnext: str) -> dict[str, str]:
    """A pair of networks, each with and without its shortcuts, by the name of its arm."""
    return {
        "ResNet": resnet,
        "ResNet without": f"{resnet}+shortcut=none",
        "ResNeXt": resnext,
        "ResNeXt without": f"{resnext}+shortcut=none",
    }


EXPERIMENT = Experiment(
    name="residual",
    claim="Removing the residual connections hurts ResNet more than ResNeXt",
    source="Xie et al. 2017, section 5.1",
    studies={scale: default_study(scale, models(*pair), CLAIMS, ERRORS) for scale, pair in PAIRS.items()},
    plots=("bars", "curves"),
)
