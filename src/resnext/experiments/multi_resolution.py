"""Multi-resolution blocks, the review's first improvement, and what they cost in time.

At equal cost a quarter of the paths at each of four scales (Res2Net's block) against all paths at one.

Command  resnext experiments run multi_resolution --scale laptop
Cost     laptop: 5 runs of 5 minutes on two CPU cores besides `cardinality`; gpu: 6 runs of an hour; paper: 2
         networks on ImageNet, 4 days each on the 8 GPUs of 2016
"""

from __future__ import annotations

from resnext.bench import Turns
from resnext.experiments.claims import Claim, longer, lower
from resnext.experiments.scales import SHORT_RUNS, gpu_cifar, laptop_cifar, miniature, paper_imagenet
from resnext.experiments.study import Experiment, Study, arms

#: Gao et al. 2021, table 1: ResNeXt-50 and Res2NeXt-50 by one recipe of 100 epochs.
ERRORS = {"one resolution": 22.61, "four resolutions": 21.76}
#: Pictures/s of the two in training, channels-last, on an RTX 3090: timm's published benchmark.
TIMES = 1001 / 529
CLAIMS: tuple[Claim, ...] = (
    lower("four resolutions have a lower error", "four resolutions", than="one resolution"),
    longer("four resolutions take longer", "four resolutions", than="one resolution", published=TIMES),
)


def _models(one: str, four: str) -> dict[str, str]:
    return {"one resolution": one, "four resolutions": f"{four}+transform=multi_resolution"}


EXPERIMENT = Experiment(
    name="multi_resolution",
    claim="Blocks of several resolutions lower the error at the same cost",
    source="the review's scope for improvement; figures of Gao et al. 2021 (Res2Net)",
    studies={
        "paper": Study(
            arms(
                paper_imagenet,
                "imagenet",
                _models("resnext50_32x4d", "resnext50_8x4d"),
                ERRORS,
            ),
            CLAIMS,
            seeds=3,
            clock=Turns(size_px=224),
        ),
        "gpu": Study(
            arms(gpu_cifar, "cifar10", _models("resnext29_32x4d", "resnext29_8x4d"), ERRORS),
            CLAIMS,
            seeds=3,
            clock=Turns(batch=128, size_px=32),
        ),
        "laptop": Study(
            arms(
                laptop_cifar,
                "cifar10",
                _models("resnext20_8x5d+template=24", "resnext20_2x5d+template=24"),
                ERRORS,
            ),
            CLAIMS,
            seeds=5,
            note=SHORT_RUNS,
            clock=Turns(batch=128, size_px=16),
        ),
        "miniature": Study(
            arms(miniature, "digits", _models("resnext11_4x6d+template=16", "resnext11_1x6d+template=16")),
            CLAIMS,
            seeds=2,
            clock=Turns(batch=64, size_px=8, rounds=3),
        ),
    },
    drawings=("time",),
)
