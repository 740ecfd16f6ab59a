"""What each scale means: recipe, set and number of runs that all arms of an experiment share.

`paper` is the published recipe; `gpu` takes minutes a run on one GPU, `laptop` minutes on two CPU cores,
`miniature` seconds: it shows that everything runs, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from resnext.bench import Turns
from resnext.data.settings import DataSettings
from resnext.experiments.claims import Claim
from resnext.experiments.study import Scale, Study, arms
from resnext.recipe import Recipe, cifar, imagenet, small
from resnext.results import STEP_RATIO

#: What runs at `laptop_cifar` can show.
SHORT_RUNS = (
    "After two epochs the networks still learn fast: this shows which one learns faster, not where they "
    "would end."
)


def paper_imagenet(model: str) -> Recipe:
    """ImageNet as published: 100 epochs, batch 256, in float32 (recent GPUs round convolutions to TF32).

    Batch norms are the published ones on 8 processes, 32 pictures each: all runs of a study should have as
    many.
    """
    return replace(imagenet(), model=model, precision="float32")


def paper_imagenet5k(model: str) -> Recipe:
    """ImageNet-5K as published: as many steps as on ImageNet-1K, to 1 %, which are 19 epochs."""
    return replace(paper_imagenet(model), epochs=19)


def paper_cifar(model: str) -> Recipe:
    """CIFAR as published: 300 epochs, batch 128, in float32; on 8 processes batch norms are too."""
    return replace(cifar(), model=model, precision="float32")


def gpu_cifar(model: str) -> Recipe:
    """A fifth of the published length on CIFAR, in one cycle of the rate instead of steps."""
    base = cifar()
    training = replace(base.training, schedule="one-cycle", warmup=0.1)
    return replace(base, model=model, epochs=60, precision="bfloat16", training=training)


def gpu_tiny(model: str) -> Recipe:
    """Tiny ImageNet at 64 px as `gpu_cifar`, parts of the pictures stretched."""
    base = gpu_cifar(model)
    data = DataSettings(size_px=64, resize_px=64, train_px=64, crop="resized", flip=0.5)
    return replace(base, data=data, training=replace(base.training, weight_decay=1e-4))


def gpu_tiny_few(model: str) -> Recipe:
    """As `gpu_tiny` in as many steps, on a fifth of the classes."""
    return replace(gpu_tiny(model), epochs=300)


def _short(model: str, epochs: int, batch: int, size_px: int, flip: float = 0.5) -> Recipe:
    """Of one-cycle SGD: all of small pictures, shifted by up to an eighth of their side."""
    data = DataSettings(size_px=size_px, resize_px=size_px, train_px=size_px, flip=flip)
    data = replace(data, crop="pad", pad_px=size_px // 8)
    return replace(small(), model=model, epochs=epochs, batch=batch, precision="float32", data=data)


def laptop_cifar(model: str) -> Recipe:
    """CIFAR-10 at 16 px in minutes on two CPU cores: two epochs.

    The batch is small for the sake of many steps: with 128 pictures the difference of a pair of runs deviated
    by 1.65 points over five seeds, with 32 by 0.7 over three.
    """
    return _short(model, epochs=2, batch=32, size_px=16)


def laptop_few(model: str) -> Recipe:
    """As `laptop_cifar` in as many steps, but on a tenth of the pictures, ten times as often."""
    return replace(laptop_cifar(model), epochs=20)


def laptop_tiny(model: str) -> Recipe:
    """Tiny ImageNet at 32 px in minutes on two CPU cores: four epochs."""
    return _short(model, epochs=4, batch=32, size_px=32)


def laptop_tiny_few(model: str) -> Recipe:
    """As `laptop_tiny` in as many steps, on a fifth of the classes."""
    return replace(laptop_tiny(model), epochs=20)


def miniature(model: str) -> Recipe:
    """Scanned digits for two epochs."""
    return _short(model, epochs=2, batch=64, size_px=8, flip=0.0)


@dataclass(frozen=True)
class Usual:
    """What most experiments do at a scale, and how steps are timed there if they need it.

    `margin` is the difference in points that counts as none: at `laptop` about twice what the mean over the
    seeds is known to, by the deviation of a pair in `cardinality` (0.9 points over 5).
    """

    recipe: Callable[[str], Recipe]
    data: str
    seeds: int
    margin: float
    clock: Turns
    note: str = ""


USUAL: dict[Scale, Usual] = {
    "paper": Usual(paper_imagenet, "imagenet", 3, 0.5, Turns(batch=32, size_px=224)),
    "gpu": Usual(gpu_cifar, "cifar10", 5, 0.5, Turns(batch=128, size_px=32)),
    "laptop": Usual(laptop_cifar, "cifar10", 5, 2.0, Turns(batch=32, size_px=16, rounds=30), SHORT_RUNS),
    "miniature": Usual(miniature, "digits", 2, 5.0, Turns(batch=64, size_px=8, rounds=3)),
}


def usual(
    scale: Scale,
    models: Mapping[str, str],
    claims: tuple[Claim, ...],
    errors: Mapping[str, float] | None = None,
    note: str = "",
    **more: Mapping[str, float],
) -> Study:
    """The networks `models`, by the names of their arms, as usual at `scale`; `errors` and `more` are the
    published figures of their counterparts as in `arms`, `note` says what else is to be known."""
    one = USUAL[scale]
    clock = one.clock if any(claim.metric == STEP_RATIO for claim in claims) else None
    return Study(
        arms(one.recipe, one.data, models, errors, **more),
        claims,
        one.seeds,
        clock,
        f"{one.note} {note}".strip(),
    )
