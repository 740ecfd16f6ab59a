"""The recipes that come with the package, each with its source, cost and expected score.

`resnext recipes` prints the docstrings. Standard library only.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from resnext.data.settings import DataSettings
from resnext.recipe.fields import Recipe
from resnext.recipe.rules import RecipeError
from resnext.training.settings import TrainingSettings

#: Mean and standard deviation of ImageNet's colours on the scale 0 to 1, as all published recipes have them.
IMAGENET_COLOURS: dict[str, Any] = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def small() -> Recipe:
    """Training from scratch on little data: the default.

    One-cycle SGD with label smoothing, and an average of the weights over the last tenth; image size, network
    and length follow the data. Cost and score: `digits` reaches 99.4 to 100 % in 71 to 79 s on two CPU cores.
    """
    return Recipe(
        training=TrainingSettings(
            lr="auto", warmup=0.25, decays="kernels", label_smoothing=0.1, averaging=0.1
        )
    )


def cifar() -> Recipe:
    """CIFAR-10 and 100 by the paper's settings (section 5.3, appendix A, and the authors' code).

    ResNeXt-29 8x64d, 300 epochs, batch 128, learning rate 0.1 divided by 10 at epochs 150 and 225, weight
    decay of every parameter, shifts and flips. Published test error: 3.65 % and 17.77 % (mean of 10 runs).
    Differences: a tenth of the training images is held out as val, so it trains on 45,000 and not 50,000;
    batch norms see the 128 images of a batch, theirs the 16 of each of 8 GPUs; it computes in bfloat16 where
    the machine does; the rest of an epoch that fills no batch is dropped. `cifar-exact` lacks the second and
    third of them. Cost: 4.8e17 floating-point operations, about 3 hours on a recent GPU, many weeks on a CPU.
    """
    return Recipe(
        model="resnext29_8x64d",
        epochs=300,
        batch=128,
        data=DataSettings(size_px=32, resize_px=32, crop="pad", pad_px=4, flip=0.5),
        training=TrainingSettings(lr=0.1, lr_batch=128, weight_decay=5e-4, schedule="step"),
    )


def cifar_exact() -> Recipe:
    """CIFAR-10 and 100 as `cifar`, in float32 and with batch norms that see 16 images, as published.

    Each batch is computed in 8 pieces, one for each of the 8 GPUs of the paper. To train on all 50,000 images
    too, with the test images as val, as published: `resnext experiments run cifar --scale paper` under 8
    processes makes that set, or give one whose val are the test images. What still differs: the rest of an
    epoch that fills no batch is dropped, 80 images of 50,000, others in each epoch. Published test error:
    3.65 % and 17.77 %. Cost: that of `cifar` in float32.
    """
    base = cifar()
    return replace(base, precision="float32", training=replace(base.training, accumulate=8))


def cifar_small() -> Recipe:
    """CIFAR-10 on two CPU cores within 45 minutes.

    A ResNet of three basic blocks on maps that are pooled early, 15 epochs of one-cycle SGD, label
    smoothing, an average of the weights. Our own, found by trial (docs/log.md). Score: 87.35 % of test after
    41 minutes (results/cifar10.jsonl). Cost of the network: 63 million multiply-adds for an image.
    """
    base = small()
    return replace(
        base,
        model="resnet8+transform=basic+stem=deep",
        epochs=15,
        batch=128,
        data=DataSettings(size_px=32, resize_px=32, train_px=32, crop="pad", pad_px=2, flip=0.5),
        training=replace(base.training, lr=0.3),
    )


def finetune() -> Recipe:
    """Fine-tuning of weights that were trained on other data: the default with --weights.

    A tenth of the learning rate of `small`, and less for each part further from the head (Howard and Ruder
    2018; the factor 0.7 is ours). Cost and score: with 100 images of each of two classes an error of 15.8 to
    18.8 %, where `small` with three times the epochs had 20.8 to 23.5 %.
    """
    return Recipe(
        training=TrainingSettings(
            lr=0.04, warmup=0.1, decays="kernels", label_smoothing=0.1, averaging=0.1, layer_decay=0.7
        )
    )


def probe() -> Recipe:
    """A first result in about the time of one pass: a new head on trained weights; needs --weights.

    The features of each image are computed once in each of four epochs, plain and in three augmented views,
    and kept; then logistic regression fits the head, with the penalty that is best on val (Kornblith et al.
    2019 fit theirs so). The other weights stay; --then finetune goes on with them.
    """
    return Recipe(epochs=4, training=TrainingSettings(fits="head"))


def imagenet() -> Recipe:
    """ImageNet-1K as in the paper (section 4) and the authors' code.

    ResNeXt-50 32x4d, 100 epochs, batch 256, learning rate 0.1 divided by 10 after 30, 60 and 90 epochs,
    weight decay 1e-4 of every parameter, crops of 8 to 100 % of the area, jitter and lighting of the colours.
    Two differences: theirs draws the aspect of a crop evenly, ours its logarithm; and their batch norms saw
    the 32 images of each of 8 GPUs, on fewer GPUs they see more. Published single-crop error of val: 22.2 %
    (table 3). Cost: 3.2e18 floating-point operations, a day on one recent GPU; the paper's 101-layer network
    took 10 days on 8 M40.
    """
    return Recipe(
        model="resnext50_32x4d",
        epochs=100,
        batch=256,
        data=DataSettings(
            **IMAGENET_COLOURS,
            size_px=224,
            resize_px=256,
            interpolation="bicubic",
            crop="resized",
            min_area=0.08,
            flip=0.5,
            jitter=0.4,
            lighting=0.1,
        ),
        training=TrainingSettings(
            lr=0.1, lr_batch=256, weight_decay=1e-4, schedule="step", milestones=(0.3, 0.6, 0.9)
        ),
    )


def imagenet_modern() -> Recipe:
    """ImageNet-1K by the recipe behind torchvision's newest weights, the best public one for ResNeXt.

    ResNeXt-101 64x4d, 600 epochs, batch 1024, a cosine from learning rate 0.5 after 5 epochs of warm-up,
    TrivialAugment, MixUp or CutMix, erasing, label smoothing, an average of the weights; trained at 176 px,
    evaluated at 224. Published: 83.246 % top-1 (81.198 % for ResNeXt-50 32x4d; torchvision's `IMAGENET1K_V1`
    of resnext101_64x4d and `_V2` of resnext50_32x4d). One difference: theirs also repeats each image four
    times an epoch with other augmentations. Cost: 4e19 floating-point operations, days on 8 GPUs.
    """
    return Recipe(
        model="resnext101_64x4d",
        epochs=600,
        batch=1024,
        data=DataSettings(
            **IMAGENET_COLOURS,
            size_px=224,
            resize_px=232,
            interpolation="bilinear",
            train_px=176,
            crop="resized",
            min_area=0.08,
            flip=0.5,
            policy="trivial",
            erasing=0.1,
            mixup=0.2,
            cutmix=1.0,
        ),
        training=TrainingSettings(
            lr=0.5,
            lr_batch=1024,
            weight_decay=2e-5,
            decays="kernels",
            schedule="cosine",
            warmup=5 / 600,
            label_smoothing=0.1,
            averaging=0.01,
        ),
    )


#: The recipes by the names that `train --recipe` takes.
RECIPES: dict[str, Callable[[], Recipe]] = {
    "small": small,
    "finetune": finetune,
    "probe": probe,
    "cifar": cifar,
    "cifar-exact": cifar_exact,
    "cifar-small": cifar_small,
    "imagenet": imagenet,
    "imagenet-modern": imagenet_modern,
}


def usual_recipe(weights: object) -> str:
    """Name of the recipe of a run for which none was asked, by the weights that it starts from, if any.

    >>> usual_recipe(None), usual_recipe("resnext50_32x4d")
    ('small', 'finetune')
    """
    return "small" if weights is None else "finetune"


def named_recipe(name: str) -> Recipe:
    """The recipe called `name`. Raises `RecipeError` with the nearest names."""
    if name not in RECIPES:
        near = difflib.get_close_matches(name, RECIPES, n=1) or list(RECIPES)
        raise RecipeError(f"no recipe is called {name!r}. Nearest: {', '.join(near)}")
    return RECIPES[name]()
