"""Forms: the paper's three forms of a block train to the same result.

They start as the same function, so that what differs is the order of the sums.

Command  resnext experiments run forms --scale laptop
Cost     laptop: 10 runs of 5 to 10 minutes on two CPU cores besides `cardinality`; gpu: 9 runs of an hour;
         paper: 3 networks on ImageNet, the separate paths several times slower than the grouped one
"""

from __future__ import annotations

from collections.abc import Mapping

from resnext.experiments.claims import Claim, alike
from resnext.experiments.scales import gpu_cifar, laptop_cifar, miniature, paper_imagenet
from resnext.experiments.study import Experiment, Study, arms


def _models(grouped: str) -> dict[str, str]:
    return {
        "(c) grouped": grouped,
        "(b) concatenated": f"{grouped}+transform=concatenated",
        "(a) branches": f"{grouped}+transform=branches",
    }


def _claims(models: Mapping[str, str], margin: float) -> tuple[Claim, ...]:
    first, *others = models
    return tuple(
        alike(f"{other} ends within {margin} points of {first}", first, other, margin) for other in others
    )


PAPER, GPU = _models("resnext50_32x4d"), _models("resnext29_8x14d")
LAPTOP, MINIATURE = _models("resnext20_8x5d+template=24"), _models("resnext11_4x6d+template=16")

EXPERIMENT = Experiment(
    name="forms",
    claim="The three forms train to the same result",
    source="Xie et al. 2017, section 3.3 and figure 3",
    studies={
        "paper": Study(arms(paper_imagenet, "imagenet", PAPER), _claims(PAPER, 0.5), seeds=3),
        "gpu": Study(arms(gpu_cifar, "cifar10", GPU), _claims(GPU, 0.5), seeds=3),
        "laptop": Study(arms(laptop_cifar, "cifar10", LAPTOP), _claims(LAPTOP, 1.0), seeds=5),
        "miniature": Study(arms(miniature, "digits", MINIATURE), _claims(MINIATURE, 5.0), seeds=2),
    },
    drawings=("bars",),
)
