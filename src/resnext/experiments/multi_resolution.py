"""Multi-resolution blocks, the review's first improvement, and what they cost in time.

A quarter of the paths at each of four resolutions (the block of Res2Net), against all paths at one, at equal
cost.

Command  resnext experiments run multi_resolution --scale laptop
Cost     laptop: 5 runs of 6 minutes, two at a time on two CPU cores, besides `cardinality`; gpu: 5 runs of
         an hour; paper: 3 runs of each of 2 networks on ImageNet, 2 to 3 days each on the 8 GPUs of 2016
"""

from __future__ import annotations

from resnext.experiments.claims import Claim, lower, slower
from resnext.experiments.scales import default_study
from resnext.experiments.study import Experiment, Scale

#: Gao et al. 2021, table 1: ResNeXt-50 and Res2NeXt-50 by one recipe of 100 epochs.
ERRORS = {"one resolution": 22.61, "four resolutions": 21.76}
#: Ratio of their images/s in training, channels-last, on an RTX 3090, by timm's published benchmark.
TIMES = 1001 / 529
CLAIMS: tuple[Claim, ...] = (
    lower("four resolutions", "one resolution", text="four resolutions have a lower error"),
    slower("four resolutions take longer", "four resolutions", than="one resolution", published=TIMES),
)
PAIRS: dict[Scale, tuple[str, str]] = {
    "paper": ("resnext50_32x4d", "resnext50_8x4d"),
    "gpu": ("resnext29_32x4d", "resnext29_8x4d"),
    "laptop": ("resnext20_8x5d+template=24", "resnext20_2x5d+template=24"),
    "miniature": ("resnext11_4x6d+template=16", "resnext11_1x6d+template=16"),
}


def _models(one: str, four: str) -> dict[str, str]:
    return {"one resolution": one, "four resolutions": f"{four}+transform=multi_resolution"}


EXPERIMENT = Experiment(
    name="multi_resolution",
    claim="Blocks of several resolutions lower the error at the same cost",
    source="the review's scope for improvement; errors of Gao et al. 2021 (Res2Net), times of timm's "
    "benchmark of training on an RTX 3090, 1.89 with channels last and 1.12 with channels first",
    studies={scale: default_study(scale, _models(*pair), CLAIMS, ERRORS) for scale, pair in PAIRS.items()},
    plots=("time",),
)
