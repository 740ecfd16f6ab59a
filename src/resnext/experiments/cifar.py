"""CIFAR: the paper's networks, and more cardinality against more width at the same cost.

Command  resnext experiments run cifar --scale gpu
Cost     paper: 10 runs of each of 7 networks, up to a day on one recent GPU; gpu: 10 runs of an hour
         besides `cardinality`; laptop: only the runs of `cardinality` and `cardinality_vs_depth_vs_width`,
         which it shares
"""

from __future__ import annotations

from resnext.experiments.claims import lower
from resnext.experiments.scales import default_study, paper_cifar
from resnext.experiments.study import Experiment, Study, arms

#: Test errors of table 7, means of 10 runs. Figure 7 was published as a plot only.
ERRORS = {"8x64d": 3.65, "16x64d": 3.58}
ERRORS_100 = {"CIFAR-100 8x64d": 17.77, "CIFAR-100 16x64d": 17.31}
PAPER = {
    "1x64d": "resnet29",
    "1x224d": "resnext29_1x224d",
    "1x256d": "resnext29_1x256d",
    "8x64d": "resnext29_8x64d",
    "16x64d": "resnext29_16x64d",
}
PAPER_100 = {"CIFAR-100 8x64d": "resnext29_8x64d", "CIFAR-100 16x64d": "resnext29_16x64d"}
GPU = {"1x64d": "resnet29", "1x224d": "resnext29_1x224d", "8x64d": "resnext29_8x64d"}
SHARED = "The same runs as in `cardinality_vs_depth_vs_width`, so this is no second proof."
LAPTOP = {
    "1x24d": "resnet20+template=24",
    "1x41d": "resnext20_1x41d+template=24",
    "8x10d": "resnext20_8x10d+template=24",
}
MINIATURE = {"1x26d": "resnext11_1x26d+template=16", "8x6d": "resnext11_8x6d+template=16"}


EXPERIMENT = Experiment(
    name="cifar",
    claim="On CIFAR more paths lower the error further than more width does",
    source="Xie et al. 2017, section 5.3, table 7 and figure 7",
    studies={
        "paper": Study(
            arms(paper_cifar, "cifar10-whole", PAPER, ERRORS)
            + arms(paper_cifar, "cifar100-whole", PAPER_100, ERRORS_100),
            (
                lower("8x64d", than="1x224d"),
                lower("8x64d", than="1x256d"),
                lower("8x64d", than="1x64d"),
                lower("16x64d", than="8x64d"),
                lower("CIFAR-100 16x64d", than="CIFAR-100 8x64d"),
            ),
            seeds=10,
        ),
        "gpu": default_study("gpu", GPU, (lower("8x64d", than="1x224d"), lower("8x64d", than="1x64d"))),
        "laptop": default_study(
            "laptop", LAPTOP, (lower("8x10d", than="1x41d"), lower("8x10d", than="1x24d")), note=SHARED
        ),
        "miniature": default_study("miniature", MINIATURE, (lower("8x6d", than="1x26d"),)),
    },
    plots=("cost",),
)
