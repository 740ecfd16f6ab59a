"""Values for what a recipe leaves open, from the data and the machine, each with its reason.

The rules use no clock: the same data on the same kind of machine gives the same recipe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resnext.contract import Contract, Input, Provenance, Resize
from resnext.data import fast
from resnext.data.augment import (
    Augmentation,
    ColourJitter,
    Erasing,
    Flip,
    Lighting,
    PadCrop,
    ResizedCrop,
    Step,
)
from resnext.data.batches import BalancedPlan, Plan, WindowedPlan
from resnext.data.mixing import Mixing
from resnext.data.pictures import Pictures, Scan, Splits
from resnext.data.policies import RandAugment, TrivialAugment
from resnext.machine import Machine
from resnext.recipe import Recipe, RecipeError, get_field, set_field
from resnext.run.trial import Task, find_batch

#: Sides that networks are chosen for; on a CPU the last is left out.
SIZES_PX = (16, 32, 64, 128, 224)
LARGEST_ON_CPU_PX = 128
#: Networks for pictures up to this side compute so little that decoding them each epoch would be felt.
KEPT_UP_TO_PX = 64
#: Up to this side pictures are objects already cut out, and cropping parts of them would hurt.
PAD_CROP_UP_TO_PX = 40
#: By the largest side they are meant for: networks that a CPU trains in minutes to hours, and a GPU's.
CPU_NETWORKS = {
    16: "resnext11_8x4d+template=16",
    32: "resnext29_8x4d+template=16",
    10_000: "resnext26_8x4d+template=32",
}
GPU_NETWORKS = {40: "resnext29_32x4d", 10_000: "resnext50_32x4d"}
LARGEST_BATCH = {False: 128, True: 256}
#: The same where batches are tried.
LARGEST_TRIED = {False: 512, True: 4096}
#: Fewer steps than this leave a network from scratch unfinished; more epochs than that repeat too much.
LEAST_STEPS, LEAST_EPOCHS, MOST_EPOCHS = 1500, 18, 150


@dataclass(frozen=True)
class Choice:
    """A recipe field by its dotted name, the value chosen and why."""

    field: str
    value: Any
    why: str


def choose(
    recipe: Recipe,
    splits: Splits,
    scan: Scan,
    machine: Machine,
    processes: int = 1,
    start: Contract | None = None,
) -> tuple[Recipe, list[Choice]]:
    """`recipe` with every open field filled, and the choices made, in order; `start` is what the weights that
    training starts from were trained by.

    Raises `RecipeError` where the batch is to be found by trial and none can be trained.
    """
    chosen: list[Choice] = []

    def fill(field: str, value: Any, why: str) -> None:
        nonlocal recipe
        if get_field(recipe, field) is None:
            recipe = set_field(recipe, field, value)
            chosen.append(Choice(field, value, why))

    count = len(splits.train)
    median_px = int(np.median(scan.shorter_px[scan.shorter_px > 0]))
    device = "GPU" if machine.is_gpu else "CPU"
    fill(
        "data.size_px",
        _size(median_px, machine),
        f"shorter sides have a median of {median_px} px, on a {device}",
    )
    size: int = get_field(recipe, "data.size_px")
    context = size > PAD_CROP_UP_TO_PX
    fill(
        "data.resize_px",
        round(size / 0.875) if context else size,
        "evaluation cuts off an eighth" if context else "small pictures are seen whole",
    )
    fill("data.train_px", size, "the size of evaluation")
    fill("data.crop", "resized" if context else "pad", "random parts" if context else "small shifts")
    if recipe.data.crop == "pad":
        fill("data.pad_px", size // 8, "an eighth of the side")
    else:
        decoder, why = _decoder(recipe, size, median_px)
        fill("data.decoder", decoder, why)
    mirror_why = (
        "assumed: mirrored pictures stay in their class; if not, --data.flip 0"
        if splits.mirrors
        else "mirrored digits are no digits"
    )
    fill("data.flip", 0.5 if splits.mirrors else 0.0, mirror_why)
    if start is not None:
        fill("data.mean", start.mean, "as the weights were trained")
        fill("data.std", start.std, "as the weights were trained")
    fill("data.mean", scan.mean, "measured on train")
    fill("data.std", scan.std, "measured on train")
    networks = GPU_NETWORKS if machine.is_gpu else CPU_NETWORKS
    fill("model", next(n for side, n in networks.items() if size <= side), f"for {size} px on a {device}")
    fill(
        "precision",
        "bfloat16" if machine.bfloat16 else "float32",
        f"this {device} has {'' if machine.bfloat16 else 'no '}bfloat16 units",
    )
    if recipe.batch == "auto":
        recipe = set_field(recipe, "batch", None)
        fill("batch", *_tried_batch(recipe, len(splits.classes), count, machine, processes))
    batch = _batch(count, LARGEST_BATCH[machine.is_gpu])
    fill("batch", batch, f"{count} pictures to train on")
    per_epoch = max(1, count // get_field(recipe, "batch"))
    epochs = min(MOST_EPOCHS, max(LEAST_EPOCHS, -(-LEAST_STEPS // per_epoch)))
    fill("epochs", epochs, f"{epochs * per_epoch} steps of {get_field(recipe, 'batch')} pictures")
    return recipe, chosen


def _size(median_px: int, machine: Machine) -> int:
    """The smallest side that keeps four fifths of the median picture."""
    sizes = SIZES_PX if machine.is_gpu else [s for s in SIZES_PX if s <= LARGEST_ON_CPU_PX]
    return next((size for size in sizes if size >= 0.8 * median_px), sizes[-1])


def _decoder(recipe: Recipe, size_px: int, median_px: int) -> tuple[str, str]:
    if size_px <= KEPT_UP_TO_PX and median_px <= 2 * KEPT_UP_TO_PX:
        return "exact", "small pictures are decoded once and kept"
    if recipe.data.interpolation not in fast.FILTERS:
        return "exact", f"no other has the filter {recipe.data.interpolation}"
    if not fast.is_installed():
        return "exact", "the fast one is not installed (pip install 'resnext[fast]')"
    return "fast", "nearly the same pixels"


def _batch(count: int, largest: int) -> int:
    """The power of two that makes about 30 steps an epoch, within 16 and `largest`."""
    batch = 16
    while batch * 2 <= min(largest, count / 30):
        batch *= 2
    return min(batch, count)


def _tried_batch(
    recipe: Recipe, classes: int, count: int, machine: Machine, processes: int
) -> tuple[int, str]:
    """Among the powers of two that leave about 30 steps an epoch or more; `processes` share the batch."""
    batches = [16]
    while batches[-1] * 2 * processes <= min(LARGEST_TRIED[machine.is_gpu], count / 30):
        batches.append(batches[-1] * 2)
    task = Task(
        model=recipe.model or "",
        classes=classes,
        size_px=get_field(recipe, "data.train_px"),
        precision=recipe.precision or "float32",
        device=str(machine.device),
        batches=tuple(batches),
    )
    batch, why = find_batch(task)
    return min(batch * processes, count), why


def build_contract(recipe: Recipe, splits: Splits, data: str, commit: str | None) -> Contract:
    """What users of the trained network must know; `recipe` has no open field."""
    size, mean, std = recipe.data.size_px, recipe.data.mean, recipe.data.std
    assert size is not None
    assert mean is not None
    assert std is not None
    return Contract(
        classes=splits.classes,
        input=Input(3, size, size),
        resize=Resize(recipe.data.resize_px or size, size, recipe.data.interpolation),
        mean=mean,
        std=std,
        provenance=Provenance(recipe.model or "", data=f"{splits.name} {data}", commit=commit),
    )


def build_augmentation(recipe: Recipe, contract: Contract) -> Augmentation:
    """The training augmentation that `recipe` describes."""
    settings = recipe.data
    red, green, blue = (round(255 * m) for m in contract.mean)
    fill = (red, green, blue)
    size = settings.train_px or contract.input.height_px
    steps: list[Step] = []
    if settings.crop == "pad":
        steps.append(PadCrop(contract.resize, size, settings.pad_px or 0, fill))
    else:
        steps.append(ResizedCrop(size, settings.min_area, settings.max_aspect, settings.interpolation))
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
    kind = fast.FastAugmentation if settings.decoder == "fast" else Augmentation
    return kind(tuple(steps))


def build_mixing(recipe: Recipe, classes: int) -> Mixing | None:
    """The mixing of batches that `recipe` describes."""
    if recipe.data.mixup == recipe.data.cutmix == 0:
        return None
    return Mixing(recipe.data.mixup, recipe.data.cutmix, classes, recipe.seed)


def build_plan(recipe: Recipe, train: Pictures) -> Plan:
    """Which pictures make up which step; `recipe` has no open field. Raises `RecipeError`."""
    batch = recipe.batch if isinstance(recipe.batch, int) else 1
    sizes = (len(train), batch, recipe.epochs or 1, recipe.seed)
    if recipe.data.balance == "sampler":
        if train.window is not None:
            raise RecipeError("data.balance: a stream is read in order, so nothing can be drawn; use weights")
        return BalancedPlan(*sizes, train.labels)
    return Plan(*sizes) if train.window is None else WindowedPlan(*sizes, train.window)


def class_weights(recipe: Recipe, train: Pictures) -> NDArray[np.float32] | None:
    """Weights (classes,) of the loss, in inverse proportion to a class's pictures; their mean over all
    pictures is 1 (scikit-learn's "balanced")."""
    if recipe.data.balance != "weights":
        return None
    counts = np.bincount(train.labels, minlength=len(train.classes))
    return (len(train) / (len(counts) * counts)).astype(np.float32)
