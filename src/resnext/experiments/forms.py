"""Forms: the paper's three forms of a block train to the same result.

They start as the same function, so that what differs is the order of the sums.

Command  resnext experiments run forms --scale laptop
Cost     laptop: 10 runs of 12 to 22 minutes, two at a time on two CPU cores, besides `cardinality`; gpu:
         10 runs of an hour; paper: 3 runs of each of 3 networks on ImageNet, separate paths several times
         slower than grouped ones
"""

from __future__ import annotations

from resnext.experiments.claims import Claim, alike
from resnext.experiments.scales import USUAL, usual
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
        alike(f"{other} ends within {margin} points of (c) grouped", other, "(c) grouped", margin)
        for other in ("(b) concatenated", "(a) branches")
    )


EXPERIMENT = Experiment(
    name="forms",
    claim="The three forms train to the same result",
    source="Xie et al. 2017, section 3.3 and figure 3",
    studies={
        scale: usual(scale, _models(grouped), _claims(USUAL[scale].margin))
        for scale, grouped in NETWORKS.items()
    },
    drawings=("bars",),
)
