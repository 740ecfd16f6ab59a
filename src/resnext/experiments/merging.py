"""Merging: adding equal paths, against concatenating them.

With equal paths, concatenation is a grouped last 1x1 convolution: each path computes its own share of the
channels. Inception concatenates paths of different kinds and sizes, so this says nothing of Inception. The
two are compared at the same widths, where concatenating costs less, and widened to the same cost or a little
more. A network that adds its paths is given by depth, cardinality and width; GoogLeNet (Szegedy et al. 2015,
table 1) has six widths for each of nine modules, 54 numbers.

Command  resnext experiments run merging --scale laptop
Cost     laptop: 10 runs of 7 minutes, two at a time on two CPU cores, besides `cardinality`; gpu: 10 runs
         of half an hour; paper: 3 runs of each of 3 networks on ImageNet, 2 to 3 days each on the 8 GPUs of
         2016
"""

from __future__ import annotations

from resnext.experiments.claims import Claim, lower, non_inferior
from resnext.experiments.scales import SCALE_DEFAULTS, default_study
from resnext.experiments.study import Experiment, Scale

#: The network that adds its paths, and the one whose concatenated paths cost as much.
PAIRS: dict[Scale, tuple[str, str]] = {
    "paper": ("resnext50_32x4d", "resnext50_32x7d"),
    "gpu": ("resnext29_32x4d", "resnext29_32x7d"),
    "laptop": ("resnext20_8x5d+template=24", "resnext20_8x7d+template=24"),
    "miniature": ("resnext11_4x6d+template=16", "resnext11_4x7d+template=16"),
}


def _models(added: str, widened: str) -> dict[str, str]:
    return {
        "added": added,
        "concatenated, same widths": f"{added}+transform=inception",
        "concatenated, same cost": f"{widened}+transform=inception",
    }


def _claims(margin: float) -> tuple[Claim, ...]:
    worse = f"adding is at most {margin} points worse at the same cost"
    return (
        non_inferior(worse, "added", "concatenated, same cost", margin),
        lower("added", than="concatenated, same cost"),
        lower("added", than="concatenated, same widths"),
    )


EXPERIMENT = Experiment(
    name="merging",
    claim="Adding the paths is, within a margin, no worse than concatenating them",
    source="Xie et al. 2017, sections 2 and 3.3; the review's sentence about Inception",
    studies={
        scale: default_study(scale, _models(*pair), _claims(SCALE_DEFAULTS[scale].margin))
        for scale, pair in PAIRS.items()
    },
    plots=("cost",),
)
