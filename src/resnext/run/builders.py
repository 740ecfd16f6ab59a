"""From a recipe to the objects it describes. The recipe has no open field."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from resnext.contract import Contract, GreyRange, Input, Provenance, Resize
from resnext.data import fast_jpeg
from resnext.data.augment import (
    Augmentation,
    AugmentStep,
    ColourJitter,
    Erasing,
    Flip,
    Lighting,
    PadCrop,
    ResizedCrop,
)
from resnext.data.autoaugment import RandAugment, TrivialAugment
from resnext.data.images import ImageDataset
from resnext.data.mixup import Mixing
from resnext.data.sampling import (
    BalancedSamplingPlan,
    OrderedSamplingPlan,
    SamplingPlan,
    WindowedSamplingPlan,
)
from resnext.data.settings import USUAL_FILTER
from resnext.data.splits import Splits
from resnext.recipe import Recipe, RecipeError


def build_contract(
    recipe: Recipe, splits: Splits, fingerprint: str, commit: str | None, licence: str | None = None
) -> Contract:
    """What a user of the trained network must know.

    Args:
        recipe: The recipe.
        splits: The data.
        fingerprint: That of the data.
        commit: Of this package.
        licence: Of the weights that training starts from.
    """
    size, mean, std = recipe.data.size_px, recipe.data.mean, recipe.data.std
    assert size is not None
    assert mean is not None
    assert std is not None
    return Contract(
        classes=splits.classes,
        input=Input(3, size, size),
        resize=Resize(recipe.data.resize_px or size, size, recipe.data.interpolation or USUAL_FILTER),
        mean=mean,
        std=std,
        provenance=Provenance(
            recipe.model or "", licence, data=f"{splits.name} {fingerprint}", commit=commit
        ),
        grey=grey_range(recipe),
    )


def grey_range(recipe: Recipe) -> GreyRange | None:
    """Black and white of deep grey images; None where the recipe says nothing of them."""
    return None if recipe.data.grey is None else GreyRange(*recipe.data.grey)


def build_augmentation(recipe: Recipe, contract: Contract) -> Augmentation:
    """The augmentation of training images."""
    settings = recipe.data
    red, green, blue = (min(255, max(0, round(255 * m))) for m in contract.mean)  # it may be out of range
    fill = (red, green, blue)
    size = settings.train_px or contract.input.height_px
    steps: list[AugmentStep] = []
    if settings.crop == "pad":
        steps.append(PadCrop(contract.resize, size, settings.pad_px or 0, fill))
    else:
        steps.append(ResizedCrop(size, settings.min_area, settings.max_aspect, contract.resize.interpolation))
    steps.append(Flip(settings.flip or 0.0))
    if settings.policy == "rand":
        steps.append(RandAugment(settings.operations, settings.magnitude, fill))
    elif settings.policy == "trivial":
        steps.append(TrivialAugment(fill))
    if settings.jitter:
        steps.append(ColourJitter(settings.jitter))
    if settings.lighting:
        steps.append(Lighting(settings.lighting))
    if settings.erasing:
        steps.append(Erasing(settings.erasing, fill))
    kind = fast_jpeg.FastAugmentation if settings.decoder == "fast" else Augmentation
    return kind(tuple(steps))


def build_mixing(recipe: Recipe, classes: int) -> Mixing | None:
    """MixUp and CutMix of training batches; None if the recipe has neither."""
    if recipe.data.mixup == recipe.data.cutmix == 0:
        return None
    return Mixing(recipe.data.mixup, recipe.data.cutmix, classes, recipe.seed)


def build_plan(recipe: Recipe, train: ImageDataset) -> SamplingPlan:
    """Which images make up which step. Raises `RecipeError`."""
    batch = recipe.batch if isinstance(recipe.batch, int) else 1
    sizes = (len(train), batch, recipe.epochs or 1, recipe.seed)
    if recipe.training.fits == "head":
        check_can_be_kept(train)
        return OrderedSamplingPlan(*sizes)
    if recipe.data.balance == "sampler":
        if train.window is not None:
            raise RecipeError("data.balance: a stream is read in order, so nothing can be drawn; use weights")
        return BalancedSamplingPlan(*sizes, train.labels)
    return SamplingPlan(*sizes) if train.window is None else WindowedSamplingPlan(*sizes, train.window)


def check_can_be_kept(train: ImageDataset) -> None:
    """Raise `RecipeError` if the features of `train` cannot be kept one by one."""
    if train.window is not None:
        raise RecipeError(
            "training.fits: a head is fitted on features that are kept, and a stream is not: fine-tune "
            "instead (--recipe finetune), or give a folder, a table or an .index"
        )


def class_weights(recipe: Recipe, train: ImageDataset) -> NDArray[np.float32] | None:
    """Weights (classes,) of the loss, inversely proportional to the images of a class; their mean over all
    images is 1 (scikit-learn's "balanced"). None if the recipe does not balance by weights."""
    if recipe.data.balance != "weights":
        return None
    counts = np.bincount(train.labels, minlength=len(train.classes))
    return (len(train) / (len(counts) * counts)).astype(np.float32)
