"""Training length: whether the gain of cardinality, and that of the shortcuts, lasts as training goes on.

The same networks and schedule at three lengths, so that the gain stands as a curve against length: a network
that only learns faster loses its lead. At `laptop` images have 16 px, since the longest run would else take
more than two and a half hours.

Command  resnext experiments run training_length --scale laptop
Cost     laptop: 36 runs of 12 minutes to 2 hours, in all 30 hours of one core, so 15 if two run at a time
         (predicted by `--dry-run`, by the pace of earlier runs); gpu: 36 runs of a quarter of an hour to 4
         hours; paper: 36 runs on ImageNet, of which 12 are those of `residual`
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from resnext.experiments.claims import Claim, interaction, lower
from resnext.experiments.residual import ERRORS, PAIRS, models
from resnext.experiments.scales import gpu_cifar, laptop_cifar, miniature, paper_imagenet
from resnext.experiments.study import Arm, Experiment, Scale, Study, arms
from resnext.recipe import Recipe

#: Recipe, data set and epochs of the runs at each scale, the shortest first.
LENGTHS: dict[Scale, tuple[Callable[[str], Recipe], str, tuple[int, ...]]] = {
    "paper": (paper_imagenet, "imagenet", (25, 50, 100)),
    "gpu": (gpu_cifar, "cifar10", (15, 60, 240)),
    "laptop": (laptop_cifar, "cifar10", (4, 12, 36)),
    "miniature": (miniature, "digits", (1, 2, 3)),
}
#: Runs of each arm: few, since the longest are long.
SEEDS = 3


def _claims(lengths: Sequence[int]) -> tuple[Claim, ...]:
    def named(epochs: int, *names: str) -> tuple[str, ...]:
        return tuple(f"{epochs} epochs {name}" for name in names)

    claims: list[Claim] = []
    for epochs in lengths:
        resnet, resnext, without, next_without = named(
            epochs, "ResNet", "ResNeXt", "ResNet without", "ResNeXt without"
        )
        text = f"after {epochs} epochs removing the shortcuts hurts ResNet more"
        claims.append(lower(resnext, than=resnet))
        claims.append(interaction(text, (resnet, without), (resnext, next_without)))
    shortest, longest = (named(n, "ResNeXt", "ResNet") for n in (lengths[0], lengths[-1]))
    text = f"the gain of paths is larger after {lengths[0]} epochs than after {lengths[-1]}"
    claims.append(
        interaction(text, (shortest[0], shortest[1]), (longest[0], longest[1])),
    )
    return tuple(claims)


def _study(scale: Scale) -> Study:
    recipe, data, lengths = LENGTHS[scale]
    made: list[Arm] = []
    for epochs in lengths:

        def of_length(model: str, epochs: int = epochs) -> Recipe:
            return replace(recipe(model), epochs=epochs)

        own = {f"{epochs} epochs {name}": model for name, model in models(*PAIRS[scale]).items()}
        published = dict(zip(own, ERRORS.values(), strict=True)) if epochs == lengths[-1] else {}
        made += arms(of_length, data, own, published)
    return Study(tuple(made), _claims(lengths), 2 if scale == "miniature" else SEEDS)


EXPERIMENT = Experiment(
    name="training_length",
    claim="The gain of cardinality, and of the shortcuts, lasts when training goes on",
    source="Xie et al. 2017, section 5.1, whose runs were 100 epochs long; the lengths are ours",
    studies={scale: _study(scale) for scale in LENGTHS},
    plots=("bars",),
)
