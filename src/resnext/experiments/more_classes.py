"""More classes: the gain holds on a larger, harder set, tested among all its classes and among some.

ImageNet-5K has the 1,000 classes and the 4,000 others with most pictures; tested are pictures of the 1,000,
once against all 5,000 answers, once against the 1,000. `resnext select` makes such a set. The list of the
paper's classes was never published, so theirs cannot be met exactly. Small, 40 of the 200 classes of Tiny
ImageNet.

Command  resnext experiments run more_classes --scale laptop
Cost     laptop: 20 runs of 5 minutes on two CPU cores; gpu: 12 runs of half an hour; paper: 3 runs of each of
         4 networks, 2 to 6 days each on the 8 GPUs of 2016, besides `cardinality`
"""

from __future__ import annotations

from resnext.experiments.claims import Claim, lower
from resnext.experiments.scales import (
    gpu_tiny,
    gpu_tiny_few,
    laptop_tiny,
    laptop_tiny_few,
    miniature,
    paper_imagenet,
    paper_imagenet5k,
)
from resnext.experiments.study import Experiment, Study, arms
from resnext.results import ERROR, SHOWN_ERROR

#: Top-1 errors of table 6 among 5,000 classes and among 1,000, and of table 3 when trained on these alone.
ERRORS = {"ResNet": 45.5, "ResNeXt": 42.3, "101 layers ResNet": 42.4, "101 layers ResNeXt": 40.1}
SHOWN_ERRORS = {"ResNet": 27.1, "ResNeXt": 24.4, "101 layers ResNet": 24.2, "101 layers ResNeXt": 22.2}
ALONE = {"few classes ResNet": 23.9, "few classes ResNeXt": 22.2}
MODELS = dict(zip(ERRORS, ("resnet50", "resnext50_32x4d", "resnet101", "resnext101_32x4d"), strict=True))
TINY = "+blocks=2-2-2+template=32+stem=imagenet"


def _claims(layers: str = "") -> tuple[Claim, ...]:
    resnext, resnet = f"{layers}ResNeXt", f"{layers}ResNet"
    return (
        lower(f"{resnext} wins among all classes", resnext, resnet, ERROR),
        lower(f"{resnext} wins among the tested classes alone", resnext, resnet, SHOWN_ERROR),
    )


CLAIMS = (
    *_claims(),
    lower("it wins when trained on the tested classes alone", "few classes ResNeXt", "few classes ResNet"),
)


def _pair(resnet: str, resnext: str) -> dict[str, str]:
    return {"ResNet": resnet, "ResNeXt": resnext}


def _alone(resnet: str, resnext: str) -> dict[str, str]:
    return dict(zip(ALONE, (resnet, resnext), strict=True))


SMALL = "resnet11+template=16", "resnext11_4x6d+template=16"
LAPTOP = f"resnet20{TINY}", f"resnext20_8x7d{TINY}"
GPU = "resnet50", "resnext50_32x4d"

EXPERIMENT = Experiment(
    name="more_classes",
    claim="The gain holds on a larger and harder set",
    source="Xie et al. 2017, section 5.2, table 6",
    studies={
        "paper": Study(
            arms(paper_imagenet5k, "imagenet5k", MODELS, ERRORS, shown_top1_error=SHOWN_ERRORS)
            + arms(paper_imagenet, "imagenet", _alone(*GPU), ALONE),
            (*CLAIMS, *_claims("101 layers ")),
            seeds=3,
        ),
        "gpu": Study(
            arms(gpu_tiny, "tiny-imagenet-200", _pair(*GPU), ERRORS, shown_top1_error=SHOWN_ERRORS)
            + arms(gpu_tiny_few, "tiny-imagenet-40", _alone(*GPU), ALONE),
            CLAIMS,
            seeds=3,
        ),
        "laptop": Study(
            arms(laptop_tiny, "tiny-imagenet-200", _pair(*LAPTOP), ERRORS, shown_top1_error=SHOWN_ERRORS)
            + arms(laptop_tiny_few, "tiny-imagenet-40", _alone(*LAPTOP), ALONE),
            CLAIMS,
            seeds=5,
        ),
        "miniature": Study(
            arms(miniature, "digits-10", _pair(*SMALL)) + arms(miniature, "digits-5", _alone(*SMALL)),
            CLAIMS,
            seeds=2,
        ),
    },
    drawings=("bars",),
)
