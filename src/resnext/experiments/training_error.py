"""Training error: cardinality represents better, it does not merely regularise.

The training error is that of the last epoch on its augmented pictures, as in the authors' code. On a laptop
it takes few pictures, seen often, to come below the error of the test as theirs does.

Command  resnext experiments run training_error --scale laptop
Cost     laptop: 10 runs of 6 minutes, two at a time on two CPU cores; gpu and paper: none besides
         `cardinality`, whose runs it shares
"""

from __future__ import annotations

from resnext.experiments.claims import Claim, lower
from resnext.experiments.scales import laptop_few, paper_imagenet, usual
from resnext.experiments.study import Experiment, Study, arms
from resnext.results import ERROR, TRAINING_ERROR

#: Section 5.1 and figure 5: "about" these, for 101 layers.
ERRORS_101 = {"101 layers 1x64d": 20.0, "101 layers 32x4d": 16.0}
PAPER = {"101 layers 1x64d": "resnet101", "101 layers 32x4d": "resnext101_32x4d"}
GPU = {"1x64d": "resnet29", "32x4d": "resnext29_32x4d"}
LAPTOP = {"1x24d": "resnet20+template=24", "8x5d": "resnext20_8x5d+template=24"}
MINIATURE = {"1x16d": "resnet11+template=16", "4x6d": "resnext11_4x6d+template=16"}


def _claims(resnet: str, resnext: str) -> tuple[Claim, ...]:
    return tuple(lower(resnext, than=resnet, metric=metric) for metric in (TRAINING_ERROR, ERROR))


EXPERIMENT = Experiment(
    name="training_error",
    claim="Cardinality makes a stronger representation: the training error falls too",
    source="Xie et al. 2017, section 5.1, figure 5",
    studies={
        "paper": Study(
            arms(paper_imagenet, "imagenet", PAPER, train_top1_error=ERRORS_101), _claims(*PAPER), seeds=3
        ),
        "gpu": usual("gpu", GPU, _claims(*GPU)),
        "laptop": Study(arms(laptop_few, "cifar10-5000", LAPTOP), _claims(*LAPTOP), seeds=5),
        "miniature": usual("miniature", MINIATURE, _claims(*MINIATURE)),
    },
    drawings=("curves",),
)
