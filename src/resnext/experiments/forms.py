"""Forms: the paper's three forms of a block train to the same result.

They start as the same function and differ only in the order of their sums.

Command  resnext experiments run forms --scale laptop
Cost     laptop: 10 runs of 12 to 22 minutes, two at a time on two CPU cores, besides `cardinality`; gpu:
         10 runs of an hour; paper: 3 runs of each of 3 networks on ImageNet, separate paths several times
         slower than grouped ones
"""

from __future__ import annotations

from resnext.experiments.claims import Claim, equivalent
from resnext.experiments.scales import SCALE_DEFAULTS, default_study
from resnext.experiments.study import Experiment, Scale

NETWORKS: dict[Scale, str] = {
    "paper": "resnext50_32x4d",
    "gpu": "resnext29_8x14d",
    "laptop": "resnext20_8x5d+template=24",
    "miniature": "resnext11_4x6d+template=16",
}


def _models(grouped: str) -> dict[str, str]:
    return {
        "(c) grouped": grouped,
        "(b) concatenated": f"{grouped}+transform=concatenated",
        "(a) branches": f"{grouped}+transform=branches",
    }


def _claims(margin: float) -> tuple[Claim, ...]:
    return tuple(
        equivalent(f"{other} ends within {margin} points of (c) grouped", other, "(c) grouped", margin)
        for other in ("(b) concatenated", "(a) branches")
    )


EXPERIMENT = Experiment(
    name="forms",
    claim="The three forms train to the same result",
    source="Xie et al. 2017, section 3.3 and figure 3",
    studies={
        scale: default_study(scale, _models(grouped), _claims(SCALE_DEFAULTS[scale].margin))
        for scale, grouped in NETWORKS.items()
    },
    plots=("bars",),
)
