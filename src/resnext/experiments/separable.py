"""Depthwise separable convolutions, the review's second improvement: their error and time.

They replace ResNet's dense 3x3 convolution at the same width, which saves a third of the multiply-adds or
more, and are also compared with a ResNeXt at the same cost.

Command  resnext experiments run separable --scale laptop
Cost     laptop: 10 runs of 7 minutes, two at a time on two CPU cores, besides `cardinality`; gpu: 10 runs
         of half an hour; paper: 3 runs of each of 4 networks on ImageNet, 2 to 3 days each on the 8 GPUs of
         2016
"""

from __future__ import annotations

from resnext.experiments.claims import Claim, lower, slower
from resnext.experiments.scales import default_study
from resnext.experiments.study import Experiment, Scale

#: Top-1 errors of Liu et al. 2022 (ConvNeXt), table 10: only the 3x3 changes from dense to depthwise.
ERRORS = {"dense": 20.49, "separable": 21.72}
CLAIMS: tuple[Claim, ...] = (
    lower("dense", than="separable", text="saving computation costs accuracy"),
    slower("the dense network takes longer than the separable one", "dense", than="separable"),
    lower("ResNeXt", than="separable, same cost"),
    slower("at the same cost ResNeXt takes longer", "ResNeXt", than="separable, same cost"),
)
#: ResNet, ResNeXt, and the separable network that costs as much as the ResNeXt.
NETWORKS: dict[Scale, tuple[str, str, str]] = {
    "paper": ("resnet50", "resnext50_32x4d", "resnext50_1x111d"),
    "gpu": ("resnet29", "resnext29_32x4d", "resnext29_1x111d"),
    "laptop": ("resnet20+template=24", "resnext20_8x5d+template=24", "resnext20_1x40d+template=24"),
    "miniature": ("resnet11+template=16", "resnext11_4x6d+template=16", "resnext11_1x26d+template=16"),
}


def _models(resnet: str, resnext: str, widened: str) -> dict[str, str]:
    return {
        "dense": resnet,
        "separable": f"{resnet}+transform=separable",
        "ResNeXt": resnext,
        "separable, same cost": f"{widened}+transform=separable",
    }


EXPERIMENT = Experiment(
    name="separable",
    claim="Depthwise separable convolutions save computation and time, and cost accuracy",
    source="the review's scope for improvement; figures of Liu et al. 2022 (ConvNeXt)",
    studies={
        scale: default_study(scale, _models(*three), CLAIMS, ERRORS) for scale, three in NETWORKS.items()
    },
    plots=("cost", "time"),
)
