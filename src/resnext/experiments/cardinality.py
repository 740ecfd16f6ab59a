"""Cardinality: at equal cost, more paths have a lower error.

Command  resnext experiments run cardinality --scale laptop
Cost     laptop: 20 runs of 6 minutes, two at a time on two CPU cores; gpu: 25 runs of half an hour; paper:
         3 runs of each of 10 networks on ImageNet, 2 to 6 days each on the 8 GPUs of 2016
"""

from __future__ import annotations

from collections.abc import Iterable

from resnext.experiments.claims import Claim, decreases, doublings, lower
from resnext.experiments.scales import default_study, paper_imagenet
from resnext.experiments.study import Experiment, Study, arms

#: Top-1 errors of table 3 by cardinality and path width in the first stage, at 50 and at 101 layers.
ERRORS = {"1x64d": 23.9, "2x40d": 23.0, "4x24d": 22.6, "8x14d": 22.3, "32x4d": 22.2}
ERRORS_101 = dict(zip([f"101 layers {name}" for name in ERRORS], (22.0, 21.7, 21.4, 21.3, 21.2), strict=True))
#: The same networks at three eighths of the width by the rule of table 2, where path widths are whole.
LAPTOP = {"1x24d": 23.9, "2x15d": 23.0, "4x9d": 22.6, "8x5d": 22.3}
MINIATURE = {"1x16d": 23.9, "4x6d": 22.6}


def networks(settings: Iterable[str], depth: int, more: str = "") -> dict[str, str]:
    """The networks of arms whose last word is their setting, such as 32x4d; the first is a ResNet."""
    first, *others = settings
    return {first: f"resnet{depth}{more}"} | {
        name: f"resnext{depth}_{name.split()[-1]}{more}" for name in others
    }


def _claims(settings: Iterable[str]) -> tuple[Claim, ...]:
    first, *_, last = settings
    return (
        lower(last, than=first),
        decreases("the error falls with cardinality: by how much for each doubling", doublings(settings)),
    )


EXPERIMENT = Experiment(
    name="cardinality",
    claim="At equal cost, more cardinality means a lower error",
    source="Xie et al. 2017, section 5.1, table 3",
    studies={
        "paper": Study(
            arms(paper_imagenet, "imagenet", networks(ERRORS, 50), ERRORS)
            + arms(paper_imagenet, "imagenet", networks(ERRORS_101, 101), ERRORS_101),
            _claims(ERRORS) + _claims(ERRORS_101),
            seeds=3,
        ),
        "gpu": default_study("gpu", networks(ERRORS, 29), _claims(ERRORS), ERRORS),
        "laptop": default_study("laptop", networks(LAPTOP, 20, "+template=24"), _claims(LAPTOP), LAPTOP),
        "miniature": default_study("miniature", networks(MINIATURE, 11, "+template=16"), _claims(MINIATURE)),
    },
    plots=("cardinality", "curves"),
)
