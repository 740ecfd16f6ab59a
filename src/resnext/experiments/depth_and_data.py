"""Depth and data: what the gain of cardinality depends on, as a factorial of two depths and two data sets.

Command  resnext experiments run depth_and_data --scale laptop
Cost     laptop: 40 runs of 8 to 20 minutes, in all 8 hours of one core, so 4 if two run at a time (predicted
         by `--dry-run`, by the pace of earlier runs); gpu: 40 runs of an hour; paper: 3 runs of each of 8
         networks on ImageNet, those on ImageNet-1K shared with `cardinality`, 2 to 10 days each on the 8 GPUs
         of 2016
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from resnext.experiments.claims import Claim, Contrast, lower
from resnext.experiments.findings import ERROR
from resnext.experiments.scales import (
    gpu_cifar,
    gpu_tiny,
    laptop_cifar,
    laptop_tiny,
    miniature,
    paper_imagenet,
    paper_imagenet5k,
)
from resnext.experiments.study import Arm, Experiment, Scale, Study, arms
from resnext.recipe import Recipe


@dataclass(frozen=True)
class Half:
    """The arms on one data set: for people its `name`, and the ResNet and ResNeXt of each of two depths.

    `errors` are the published ones in the same order.
    """

    name: str
    recipe: Callable[[str], Recipe]
    data: str
    shallow: tuple[str, str]
    deep: tuple[str, str]
    errors: tuple[float, ...] = ()

    def arms(self) -> tuple[Arm, ...]:
        """Four arms."""
        models = dict(zip(self.cells(), (*self.shallow, *self.deep), strict=True))
        return arms(self.recipe, self.data, models, dict(zip(models, self.errors, strict=False)))

    def cells(self) -> tuple[str, ...]:
        """Their names: shallow ResNet and ResNeXt, deep ResNet and ResNeXt."""
        return tuple(
            f"{self.name}, {depth}, {kind}" for depth in ("shallow", "deep") for kind in ("ResNet", "ResNeXt")
        )


def longer_cifar(model: str) -> Recipe:
    """`laptop_cifar` for four epochs: the same runs as the shortest of `training_length`."""
    return replace(laptop_cifar(model), epochs=4)


TINY = "+template=32+stem=imagenet"
HALVES: dict[Scale, tuple[Half, Half]] = {
    "paper": (
        Half(
            "ImageNet-1K",
            paper_imagenet,
            "imagenet",
            ("resnet50", "resnext50_32x4d"),
            ("resnet101", "resnext101_32x4d"),
            (23.9, 22.2, 22.0, 21.2),  # table 3
        ),
        Half(
            "ImageNet-5K",
            paper_imagenet5k,
            "imagenet5k",
            ("resnet50", "resnext50_32x4d"),
            ("resnet101", "resnext101_32x4d"),
            (45.5, 42.3, 42.4, 40.1),  # table 6
        ),
    ),
    "gpu": (
        Half(
            "CIFAR-10",
            gpu_cifar,
            "cifar10",
            ("resnet29", "resnext29_32x4d"),
            ("resnet56+stem=cifar", "resnext56_32x4d+stem=cifar"),
        ),
        Half(
            "Tiny ImageNet",
            gpu_tiny,
            "tiny-imagenet",
            ("resnet50", "resnext50_32x4d"),
            ("resnet101", "resnext101_32x4d"),
        ),
    ),
    "laptop": (
        Half(
            "CIFAR-10",
            longer_cifar,
            "cifar10",
            ("resnet20+template=24", "resnext20_8x5d+template=24"),
            ("resnet29+template=24", "resnext29_8x5d+template=24"),
        ),
        Half(
            "Tiny ImageNet",
            laptop_tiny,
            "tiny-imagenet",
            (f"resnet20+blocks=2-2-2{TINY}", f"resnext20_8x7d+blocks=2-2-2{TINY}"),
            (f"resnet29+blocks=3-3-3{TINY}", f"resnext29_8x7d+blocks=3-3-3{TINY}"),
        ),
    ),
    "miniature": (
        Half(
            "ten digits",
            miniature,
            "digits",
            ("resnet11+template=16", "resnext11_4x6d+template=16"),
            ("resnet20+template=16", "resnext20_4x6d+template=16"),
        ),
        Half(
            "five digits",
            miniature,
            "digits-5",
            ("resnet11+template=16", "resnext11_4x6d+template=16"),
            ("resnet20+template=16", "resnext20_4x6d+template=16"),
        ),
    ),
}
SEEDS: dict[Scale, int] = {"paper": 3, "gpu": 5, "laptop": 5, "miniature": 2}
#: By how much the gain of each cell counts: its ResNet's error with this sign, its ResNeXt's with the other.
DEEPER, ELSEWHERE = (-0.5, 0.5, -0.5, 0.5), (-0.5, -0.5, 0.5, 0.5)


def _claims(one: Half, other: Half) -> tuple[Claim, ...]:
    cells = [*one.cells(), *other.cells()]
    pairs = list(zip(cells[::2], cells[1::2], strict=True))

    def contrast(text: str, signs: tuple[float, ...]) -> Claim:
        weights: dict[str, float] = {}
        for (resnet, resnext), sign in zip(pairs, signs, strict=True):
            weights |= {resnet: sign, resnext: -sign}
        return Contrast(text, ERROR, "points", None, weights)

    return (
        *(lower(resnext, than=resnet) for resnet, resnext in pairs),
        contrast("the gain of paths is larger in the deep networks", DEEPER),
        contrast(f"the gain of paths is larger on {other.name}", ELSEWHERE),
    )


EXPERIMENT = Experiment(
    name="depth_and_data",
    claim="The gain of cardinality holds at two depths and on two data sets",
    source="Xie et al. 2017, tables 3 and 6, which have these cells at the paper's scale",
    studies={
        scale: Study(one.arms() + other.arms(), _claims(one, other), SEEDS[scale])
        for scale, (one, other) in HALVES.items()
    },
    plots=("bars",),
)
