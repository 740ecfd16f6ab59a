"""The scales: recipe, data set and number of runs that all arms of an experiment share.

`paper` is the published recipe. A run takes up to an hour on one GPU at `gpu`, minutes on two CPU cores at
`laptop`, and seconds at `miniature`, which shows that everything runs and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from resnext.bench import BenchSettings
from resnext.data.settings import DataSettings
from resnext.experiments.claims import Claim
from resnext.experiments.findings import STEP_RATIO, Verdict
from resnext.experiments.study import Scale, Study, arms
from resnext.recipe import Recipe, cifar, imagenet, small

#: What runs of `laptop_cifar` can show.
SHORT_RUNS = (
    "After two epochs the networks still learn fast: this shows which one learns faster, not where they "
    "would end."
)


def paper_imagenet(model: str) -> Recipe:
    """ImageNet as published: 100 epochs, batch 256, in float32 (recent GPUs round convolutions to TF32).

    On 8 processes each batch norm sees 32 images, as published: all runs of a study should have as many.
    """
    return replace(imagenet(), model=model, precision="float32")


def paper_imagenet5k(model: str) -> Recipe:
    """ImageNet-5K as published: within 1 % as many steps as on ImageNet-1K, which is 19 epochs."""
    return replace(paper_imagenet(model), epochs=19)


def paper_cifar(model: str) -> Recipe:
    """CIFAR as published: 300 epochs, batch 128, in float32; on 8 processes also the batch norms."""
    return replace(cifar(), model=model, precision="float32")


def gpu_cifar(model: str) -> Recipe:
    """CIFAR in a fifth of the published epochs, with one-cycle learning rates instead of steps."""
    base = cifar()
    training = replace(base.training, schedule="one-cycle", warmup=0.1)
    return replace(base, model=model, epochs=60, precision="bfloat16", training=training)


def gpu_tiny(model: str) -> Recipe:
    """Tiny ImageNet at 64 px, otherwise as `gpu_cifar`, with random resized crops."""
    base = gpu_cifar(model)
    data = DataSettings(size_px=64, resize_px=64, train_px=64, crop="resized", flip=0.5)
    return replace(base, data=data, training=replace(base.training, weight_decay=1e-4))


def gpu_tiny_few(model: str) -> Recipe:
    """`gpu_tiny` for a fifth of the classes, in as many steps."""
    return replace(gpu_tiny(model), epochs=300)


def _short(model: str, epochs: int, batch: int, size_px: int, flip: float = 0.5) -> Recipe:
    """One-cycle SGD on small whole images, shifted by up to an eighth of their side."""
    data = DataSettings(size_px=size_px, resize_px=size_px, train_px=size_px, flip=flip)
    data = replace(data, crop="pad", pad_px=size_px // 8)
    training = replace(small().training, lr=0.4)
    return Recipe(model, epochs, batch, precision="float32", data=data, training=training)


def laptop_cifar(model: str) -> Recipe:
    """CIFAR-10 at 16 px in minutes on two CPU cores: two epochs.

    The batch is small so that there are many steps: the difference of a pair of runs had a standard
    deviation of 1.65 points over five seeds with batches of 128, and of 0.7 over three with 32.
    """
    return _short(model, epochs=2, batch=32, size_px=16)


def laptop_few(model: str) -> Recipe:
    """`laptop_cifar` for a tenth of the images, each seen ten times as often."""
    return replace(laptop_cifar(model), epochs=20)


def laptop_tiny(model: str) -> Recipe:
    """Tiny ImageNet at 32 px in minutes on two CPU cores: four epochs."""
    return _short(model, epochs=4, batch=32, size_px=32)


def laptop_tiny_few(model: str) -> Recipe:
    """`laptop_tiny` for a fifth of the classes, in as many steps."""
    return replace(laptop_tiny(model), epochs=20)


def miniature(model: str) -> Recipe:
    """Scanned digits for two epochs."""
    return _short(model, epochs=2, batch=64, size_px=8, flip=0.0)


@dataclass(frozen=True)
class ScaleDefaults:
    """What most experiments do at a scale.

    `margin` is the difference in points that counts as none: at `laptop` about half the main effect, that of
    cardinality. `timing` says how steps are timed where a claim needs it.
    """

    recipe: Callable[[str], Recipe]
    data: str
    seeds: int
    margin: float
    timing: BenchSettings
    note: str = ""


SCALE_DEFAULTS: dict[Scale, ScaleDefaults] = {
    "paper": ScaleDefaults(paper_imagenet, "imagenet", 3, 0.5, BenchSettings(batch=32, size_px=224)),
    "gpu": ScaleDefaults(gpu_cifar, "cifar10", 5, 0.5, BenchSettings(batch=128, size_px=32)),
    "laptop": ScaleDefaults(
        laptop_cifar, "cifar10", 5, 1.0, BenchSettings(batch=32, size_px=16, rounds=30), SHORT_RUNS
    ),
    "miniature": ScaleDefaults(miniature, "digits", 2, 5.0, BenchSettings(batch=64, size_px=8, rounds=3)),
}


def default_study(
    scale: Scale,
    models: Mapping[str, str],
    claims: tuple[Claim, ...],
    errors: Mapping[str, float] | None = None,
    note: str = "",
    controls: Mapping[str, tuple[str, Verdict]] | None = None,
    **more: Mapping[str, float],
) -> Study:
    """The study of `models` by the defaults of a scale.

    Args:
        scale: Gives recipe, data set, number of seeds and timing.
        models: Networks by the name of their arm.
        claims: What is claimed of the arms.
        errors: Published test errors of their counterparts, by arm.
        note: What else to know about the outcome.
        controls: What makes which claim void: see `Study`.
        more: Other published figures, by metric and arm.
    """
    default = SCALE_DEFAULTS[scale]
    timing = default.timing if any(claim.metric == STEP_RATIO for claim in claims) else None
    return Study(
        arms(default.recipe, default.data, models, errors, **more),
        claims,
        default.seeds,
        timing,
        f"{default.note} {note}".strip(),
        controls or {},
    )
