"""Depthwise separable convolutions, the review's second improvement: less computation, at what error and
time.

Twice: in place of ResNet's dense 3x3 at the same width, which spares nearly half the multiply-adds; and as
wide as a ResNeXt of the same cost.

Command  resnext experiments run separable --scale laptop
Cost     laptop: 10 runs of 4 minutes on two CPU cores besides `cardinality`; gpu: 12 runs of half an hour;
         paper: 4 networks on ImageNet, 4 days each on the 8 GPUs of 2016
"""

from __future__ import annotations

from resnext.bench import Turns
from resnext.experiments.claims import Claim, longer, lower
from resnext.experiments.scales import SHORT_RUNS, gpu_cifar, laptop_cifar, miniature, paper_imagenet
from resnext.experiments.study import Experiment, Study, arms

#: Liu et al. 2022 (ConvNeXt), table 10: the step from a dense to a depthwise 3x3 alone, top-1 errors.
ERRORS = {"dense": 20.49, "separable": 21.72}
CLAIMS: tuple[Claim, ...] = (
    lower("sparing computation costs accuracy", "dense", than="separable"),
    longer("the dense network takes longer than the separable one", "dense", than="separable"),
    lower("at the same cost ResNeXt has the lower error", "ResNeXt", than="separable, same cost"),
    longer("at the same cost ResNeXt takes longer", "ResNeXt", than="separable, same cost"),
)


def _models(dense: str, separable: str, resnext: str, widened: str) -> dict[str, str]:
    return {
        "dense": dense,
        "separable": f"{separable}+transform=separable",
        "ResNeXt": resnext,
        "separable, same cost": f"{widened}+transform=separable",
    }


EXPERIMENT = Experiment(
    name="separable",
    claim="Depthwise separable convolutions spare computation, not necessarily time, and cost accuracy",
    source="the review's scope for improvement; figures of Liu et al. 2022 (ConvNeXt)",
    studies={
        "paper": Study(
            arms(
                paper_imagenet,
                "imagenet",
                _models("resnet50", "resnet50", "resnext50_32x4d", "resnext50_1x111d"),
                ERRORS,
            ),
            CLAIMS,
            seeds=3,
            clock=Turns(size_px=224),
        ),
        "gpu": Study(
            arms(
                gpu_cifar,
                "cifar10",
                _models("resnet29", "resnet29", "resnext29_32x4d", "resnext29_1x111d"),
                ERRORS,
            ),
            CLAIMS,
            seeds=3,
            clock=Turns(batch=128, size_px=32),
        ),
        "laptop": Study(
            arms(
                laptop_cifar,
                "cifar10",
                _models(
                    "resnet20+template=24",
                    "resnet20+template=24",
                    "resnext20_8x5d+template=24",
                    "resnext20_1x40d+template=24",
                ),
                ERRORS,
            ),
            CLAIMS,
            seeds=5,
            note=SHORT_RUNS,
            clock=Turns(batch=128, size_px=16),
        ),
        "miniature": Study(
            arms(
                miniature,
                "digits",
                _models(
                    "resnet11+template=16",
                    "resnet11+template=16",
                    "resnext11_4x6d+template=16",
                    "resnext11_1x26d+template=16",
                ),
            ),
            CLAIMS,
            seeds=2,
            clock=Turns(batch=64, size_px=8, rounds=3),
        ),
    },
    drawings=("cost", "time"),
)
