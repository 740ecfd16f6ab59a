"""Equal accuracy: a ResNeXt of half the depth makes about the error of a ResNet, in how much of its time?

Command  resnext experiments run equal_accuracy --scale laptop
Cost     laptop: none besides `cardinality` and `cardinality_vs_depth_vs_width`, but for minutes of timing;
         gpu and paper: none besides these
"""

from __future__ import annotations

from collections.abc import Iterable

from resnext.experiments.claims import Claim, alike, longer
from resnext.experiments.scales import usual
from resnext.experiments.study import Experiment

#: Top-1 errors of table 3.
ERRORS = {"ResNet-101": 22.0, "ResNeXt-50": 22.2}
PAPER = {"ResNet-101": "resnet101", "ResNeXt-50": "resnext50_32x4d"}
GPU = {"ResNet-56": "resnet56+stem=cifar", "ResNeXt-29": "resnext29_32x4d"}
LAPTOP = {
    "ResNet-44": "resnet44+blocks=5-5-4+template=24+stem=cifar",
    "ResNeXt-20": "resnext20_8x5d+template=24",
}
MINIATURE = {"ResNet-20": "resnet20+template=16", "ResNeXt-11": "resnext11_4x6d+template=16"}


def _claims(names: Iterable[str], margin: float) -> tuple[Claim, ...]:
    resnet, resnext = names
    return (
        alike(f"their errors are within {margin} points", resnet, resnext, margin),
        longer(f"{resnet} takes longer than {resnext}", resnet, than=resnext),
    )


EXPERIMENT = Experiment(
    name="equal_accuracy",
    claim="A ResNeXt of half the depth has about the error of a ResNet, in less time",
    source="Xie et al. 2017, table 3",
    studies={
        "paper": usual("paper", PAPER, _claims(PAPER, 0.5), ERRORS),
        "gpu": usual("gpu", GPU, _claims(GPU, 0.5)),
        "laptop": usual("laptop", LAPTOP, _claims(LAPTOP, 2.0), seeds=3),
        "miniature": usual("miniature", MINIATURE, _claims(MINIATURE, 5.0)),
    },
    drawings=("time",),
)
