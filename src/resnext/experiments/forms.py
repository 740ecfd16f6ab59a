"""Forms: the paper's three forms of a block train to the same result.

They start as the same function, so that what differs is the order of the sums.

Command  resnext experiments run forms --scale laptop
Cost     laptop: 6 runs of 5 to 10 minutes on two CPU cores besides `cardinality`; gpu: 9 runs of an hour;
         paper: 3 runs of each of 3 networks on ImageNet, separate paths several times slower than grouped
         ones
"""

from __future__ import annotations

from resnext.experiments.claims import Claim, alike
from resnext.experiments.scales import usual
from resnext.experiments.study import Experiment, Scale

#: Each scale's network, and how far apart in points its forms may end.
NETWORKS: dict[Scale, tuple[str, float]] = {
    "paper": ("resnext50_32x4d", 0.5),
    "gpu": ("resnext29_8x14d", 0.5),
    "laptop": ("resnext20_8x5d+template=24", 2.0),
    "miniature": ("resnext11_4x6d+template=16", 5.0),
}
#: Fewer than usual: forms (a) and (b) take longest, and should differ least.
SEEDS: dict[Scale, int] = {"laptop": 3}


def _models(grouped: str) -> dict[str, str]:
    return {
        "(c) grouped": grouped,
        "(b) concatenated": f"{grouped}+transform=concatenated",
        "(a) branches": f"{grouped}+transform=branches",
    }


def _claims(margin: float) -> tuple[Claim, ...]:
    return tuple(
        alike(f"{other} ends within {margin} points of (c) grouped", "(c) grouped", other, margin)
        for other in ("(b) concatenated", "(a) branches")
    )


EXPERIMENT = Experiment(
    name="forms",
    claim="The three forms train to the same result",
    source="Xie et al. 2017, section 3.3 and figure 3",
    studies={
        scale: usual(scale, _models(grouped), _claims(margin), seeds=SEEDS.get(scale))
        for scale, (grouped, margin) in NETWORKS.items()
    },
    drawings=("bars",),
)
