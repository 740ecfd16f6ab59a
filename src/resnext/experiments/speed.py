"""Speed: the time that cardinality costs at equal multiply-adds.

Command  resnext experiments run speed --scale laptop
Cost     laptop: 5 times 2 minutes on two CPU cores; gpu: 3 times half a minute; paper: the same with 32
         images, as on each GPU of the paper
"""

from __future__ import annotations

from resnext.bench import BenchSettings
from resnext.experiments.cardinality import networks
from resnext.experiments.claims import Claim, slower
from resnext.experiments.scales import default_study, paper_imagenet
from resnext.experiments.study import Experiment, Study, arms

#: By section 5.1 a step of 256 images took 0.70 s and 0.95 s on 8 M40.
RATIOS = {"1x64d": 1.0, "32x4d": 0.95 / 0.70}
SETTINGS = ("1x64d", "2x40d", "4x24d", "8x14d", "32x4d")
MINIATURE = {"1x16d": "resnet11+template=16", "4x6d": "resnext11_4x6d+template=16"}
ARMS = arms(paper_imagenet, "imagenet", networks(SETTINGS, 101), step_ratio=RATIOS)
CLAIMS: tuple[Claim, ...] = tuple(
    slower(f"{setting} takes longer than 1x64d", setting, than="1x64d") for setting in SETTINGS[:0:-1]
)

EXPERIMENT = Experiment(
    name="speed",
    claim="At equal multiply-adds a step of many paths takes longer than one of a single path",
    source="Xie et al. 2017, section 5.1",
    studies={
        "paper": Study(ARMS, CLAIMS, seeds=3, timing=BenchSettings(batch=32, size_px=224)),
        "gpu": Study(ARMS, CLAIMS, seeds=3, timing=BenchSettings(batch=64, size_px=224)),
        "laptop": Study(ARMS, CLAIMS, seeds=5, timing=BenchSettings(batch=4, size_px=224, rounds=9)),
        "miniature": default_study(
            "miniature", MINIATURE, (slower("4x6d takes longer than 1x16d", "4x6d", "1x16d"),)
        ),
    },
    plots=("cardinality",),
)
