"""More classes: the gain holds on a larger, harder data set, tested among all its classes and among some.

ImageNet-5K has the 1,000 classes of ImageNet-1K and the 4,000 other classes with most images. Images of the
1,000 classes are tested, once among all 5,000 classes and once among the 1,000. `resnext select` makes such a
data set; the paper's list of classes was never published, so it cannot be matched exactly. At smaller scales
40 of the 200 classes of Tiny ImageNet are tested.

Command  resnext experiments run more_classes --scale laptop
Cost     laptop: 20 runs of 8 minutes, two at a time on two CPU cores; gpu: 20 runs of half an hour; paper:
         3 runs of each of 4 networks, 2 to 6 days each on the 8 GPUs of 2016, besides `cardinality`
"""

from __future__ import annotations

from collections.abc import Callable

from resnext.experiments.claims import Claim, lower
from resnext.experiments.findings import ERROR, SHOWN_ERROR
from resnext.experiments.scales import (
    gpu_tiny,
    gpu_tiny_few,
    laptop_tiny,
    laptop_tiny_few,
    miniature,
    paper_imagenet,
    paper_imagenet5k,
)
from resnext.experiments.study import Arm, Experiment, Scale, Study, arms
from resnext.recipe import Recipe

#: A recipe and the data set that it trains on.
Training = tuple[Callable[[str], Recipe], str]
#: Top-1 errors of table 6 among 5,000 classes and among 1,000; of table 3 when trained on the 1,000 alone.
ERRORS = {"ResNet": 45.5, "ResNeXt": 42.3, "101 layers ResNet": 42.4, "101 layers ResNeXt": 40.1}
SHOWN_ERRORS = {"ResNet": 27.1, "ResNeXt": 24.4, "101 layers ResNet": 24.2, "101 layers ResNeXt": 22.2}
ALONE = {"few classes ResNet": 23.9, "few classes ResNeXt": 22.2}
TINY = "+blocks=2-2-2+template=32+stem=imagenet"
NETWORKS: dict[Scale, tuple[str, ...]] = {
    "paper": ("resnet50", "resnext50_32x4d", "resnet101", "resnext101_32x4d"),
    "gpu": ("resnet50", "resnext50_32x4d"),
    "laptop": (f"resnet20{TINY}", f"resnext20_8x7d{TINY}"),
    "miniature": ("resnet11+template=16", "resnext11_4x6d+template=16"),
}


def _claims(layers: str = "") -> tuple[Claim, ...]:
    names = f"{layers}ResNeXt", f"{layers}ResNet"
    return lower(*names, metric=ERROR), lower(*names, metric=SHOWN_ERROR)


CLAIMS = (*_claims(), lower("few classes ResNeXt", than="few classes ResNet"))


def _arms(scale: Scale, many: Training, few: Training) -> tuple[Arm, ...]:
    """All networks on many classes, and the first two also on the few that are tested."""
    models = dict(zip(ERRORS, NETWORKS[scale], strict=False))
    alone = dict(zip(ALONE, NETWORKS[scale], strict=False))
    return arms(*many, models, ERRORS, shown_top1_error=SHOWN_ERRORS) + arms(*few, alone, ALONE)


PAPER = _arms("paper", (paper_imagenet5k, "imagenet5k"), (paper_imagenet, "imagenet"))
GPU = _arms("gpu", (gpu_tiny, "tiny-imagenet-200"), (gpu_tiny_few, "tiny-imagenet-40"))
LAPTOP = _arms("laptop", (laptop_tiny, "tiny-imagenet-200"), (laptop_tiny_few, "tiny-imagenet-40"))
MINIATURE = _arms("miniature", (miniature, "digits-10"), (miniature, "digits-5"))

EXPERIMENT = Experiment(
    name="more_classes",
    claim="The gain holds on a larger and harder data set",
    source="Xie et al. 2017, section 5.2, table 6",
    studies={
        "paper": Study(PAPER, (*CLAIMS, *_claims("101 layers ")), seeds=3),
        "gpu": Study(GPU, CLAIMS, seeds=5),
        "laptop": Study(LAPTOP, CLAIMS, seeds=5),
        "miniature": Study(MINIATURE, CLAIMS, seeds=2),
    },
    plots=("bars",),
)
