"""Twice the cost: more paths lower the error further than more depth or width.

Command  resnext experiments run cardinality_vs_depth_vs_width --scale laptop
Cost     laptop: 15 runs of 12 minutes, two at a time on two CPU cores, besides `cardinality`; gpu: 20 runs
         of an hour; paper: 3 runs of each of 5 networks on ImageNet, up to 10 days each on the 8 GPUs of
         2016
"""

from __future__ import annotations

from resnext.experiments.claims import lower
from resnext.experiments.findings import Verdict
from resnext.experiments.scales import default_study
from resnext.experiments.study import Experiment, Scale, Study

#: Top-1 errors of table 4.
ERRORS = {"half the cost": 22.0, "deeper": 21.7, "wider": 21.3, "many paths": 20.4, "two paths": 20.7}
#: Arms whose network at the scale `paper` is not the paper's, so that it has no published figure.
NOT_PUBLISHED = frozenset({"deeper"})
NOTES: dict[Scale, str] = {
    "paper": "The paper's deeper network, ResNet-200 with an error of 21.7 %, was a pre-activation network; "
    "ours is not, so nothing published stands beside it.",
    "laptop": "A deeper network may only be slower to start: longer runs would show what depth is worth. "
    "Where it is worse than half its cost, that many paths beat it shows no more than that.",
}
NETWORKS: dict[Scale, tuple[str, ...]] = {
    "paper": ("resnet101", "resnet200", "resnext101_1x100d", "resnext101_64x4d", "resnext101_2x64d"),
    "gpu": ("resnet29", "resnet56+stem=cifar", "resnext29_1x100d", "resnext29_64x4d", "resnext29_2x64d"),
    "laptop": (
        "resnet20+template=24",
        "resnet44+blocks=5-5-4+template=24+stem=cifar",
        "resnext20_1x41d+template=24",
        "resnext20_8x10d+template=24",
    ),
    "miniature": (
        "resnet11+template=16",
        "resnet20+template=16",
        "resnext11_1x26d+template=16",
        "resnext11_8x6d+template=16",
    ),
}


def _study(scale: Scale) -> Study:
    models = dict(zip(ERRORS, NETWORKS[scale], strict=False))
    half, deeper, wider, *paths = models
    claims = [
        lower(more, than=other, text=f"{more} have a lower error than a {other} network")
        for more in paths
        for other in (deeper, wider)
    ]
    claims += [
        lower(twice, than=half, text=f"twice the cost ({twice}) has a lower error than half the cost")
        for twice in (deeper, wider, *paths)
    ]
    same = scale == "paper"
    errors = {arm: error for arm, error in ERRORS.items() if not (same and arm in NOT_PUBLISHED)}
    slow_start = f"twice the cost ({deeper}) has a lower error than half the cost"
    controls: dict[str, tuple[str, Verdict]] = {
        f"{more} have a lower error than a {deeper} network": (slow_start, "reversed") for more in paths
    }
    return default_study(scale, models, tuple(claims), errors, NOTES.get(scale, ""), controls)


EXPERIMENT = Experiment(
    name="cardinality_vs_depth_vs_width",
    claim="At twice the cost, cardinality beats depth and width",
    source="Xie et al. 2017, section 5.1, table 4",
    studies={scale: _study(scale) for scale in NETWORKS},
    plots=("cost",),
)
