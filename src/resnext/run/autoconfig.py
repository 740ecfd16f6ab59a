"""Values for the open fields of a recipe, chosen from the data and the machine, each with its reason.

The rules use no clock: the same data on the same kind of machine gives the same recipe. (`--batch auto` is
the exception.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from resnext.contract import Contract
from resnext.data import fast_jpeg, jpeg
from resnext.data.images import Scan
from resnext.data.settings import PAD_CROP_UP_TO_PX, USUAL_FILTER, usual_resize_px
from resnext.data.splits import Splits
from resnext.machine import Machine
from resnext.recipe import Recipe, get_field, probe, set_field, usual_recipe
from resnext.run.batch_size_finder import Trial, find_batch_size

#: Why a value is that of the weights.
AS_TRAINED = "as the weights were trained"
#: Sides of images that networks are chosen for; larger ones are left to GPUs.
SIZES_PX = (16, 32, 64, 128, 224)
LARGEST_ON_CPU_PX = 128
#: Networks for images up to this side compute so little that decoding the images in each epoch would slow
#: them down.
CACHE_UP_TO_PX = 64
#: Networks by the largest side they are meant for. A CPU trains the first ones in minutes to hours.
CPU_NETWORKS = {
    16: "resnext11_8x4d+template=16",
    32: "resnext29_8x4d+template=16",
    10_000: "resnext26_8x4d+template=32",
}
GPU_NETWORKS = {40: "resnext29_32x4d", 10_000: "resnext50_32x4d"}
#: Largest batch without a trial, and with one, on a CPU (False) or a GPU (True).
LARGEST_BATCH = {False: 128, True: 256}
LARGEST_TRIED_BATCH = {False: 512, True: 4096}
#: Images of a batch whose features are computed.
FEATURE_BATCH = 32
#: Peak learning rate from scratch, and the fewest steps that it suits. With the square root of fewer steps it
#: falls, so that it rises more slowly: by trial, 30 steps end best by a quarter of it, 60 by a third.
LR, FEW_STEPS = 0.4, 500
#: Steps of an epoch that the choice of the batch aims at.
STEPS_PER_EPOCH = 30


@dataclass(frozen=True)
class Length:
    """How long to train: for the epochs that give `steps`, within bounds."""

    steps: int
    least_epochs: int
    most_epochs: int

    def epochs(self, steps_per_epoch: int) -> int:
        """The epochs.

        >>> FROM_SCRATCH.epochs(steps_per_epoch=30), FROM_SCRATCH.epochs(1000)
        (50, 18)
        """
        return min(self.most_epochs, max(self.least_epochs, -(-self.steps // steps_per_epoch)))


#: What a network needs from scratch, and what it needs where its weights know other images already (by
#: benchmarks/transfer.py).
FROM_SCRATCH, FROM_WEIGHTS = Length(1500, 18, 150), Length(900, 10, 60)


@dataclass(frozen=True)
class Choice:
    """A recipe field by its dotted name, the value that was chosen, and why."""

    field: str
    value: Any
    why: str


def choose_recipe(weights: object) -> tuple[Choice, ...]:
    """Why `recipe.usual_recipe` is the recipe of a run that starts from `weights`, where that is not the
    default."""
    if weights is None:
        return ()
    return (Choice("recipe", usual_recipe(weights), "weights are given; --recipe probe has a result sooner"),)


def fill_recipe(
    recipe: Recipe,
    splits: Splits,
    scan: Scan,
    machine: Machine,
    processes: int = 1,
    pretrained: Contract | None = None,
    trained_px: int | None = None,
) -> tuple[Recipe, list[Choice]]:
    """`recipe` with every open field filled, and the choices that were made, in order.

    Args:
        recipe: Fields that are None are open.
        splits: The data.
        scan: What a scan of the training images found.
        machine: The machine that trains.
        processes: How many processes share a batch.
        pretrained: The contract of the weights that training starts from.
        trained_px: Side of the crops that they were trained on, where it is known.

    Raises:
        RecipeError: `batch` is "auto", and not even the smallest one could be trained.
    """
    form = _Form(recipe)
    _fill_sizes(form, scan, machine, pretrained, trained_px)
    _fill_grey(form, scan, pretrained)
    _fill_colours(form, splits, scan, pretrained)
    if form["training.fits"] == "head":
        form.fill("precision", "float32", "as the classifier computes")
    _fill_network(form, machine)
    length = FROM_SCRATCH if pretrained is None else FROM_WEIGHTS
    _fill_length(form, splits, machine, processes, length)
    return form.recipe, form.choices


class _Form:
    """A recipe whose open fields are being filled."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.choices: list[Choice] = []

    def fill(self, field: str, value: Any, why: str) -> None:
        """Set `field` to `value`, if it is open."""
        if self[field] is None:
            self.choose(field, value, why)

    def choose(self, field: str, value: Any, why: str) -> None:
        self.recipe = set_field(self.recipe, field, value)
        self.choices.append(Choice(field, value, why))

    def __getitem__(self, field: str) -> Any:
        return get_field(self.recipe, field)


def _fill_sizes(
    form: _Form, scan: Scan, machine: Machine, pretrained: Contract | None, trained_px: int | None
) -> None:
    """Size of the images, how evaluation and training cut them out, and how they are decoded."""
    median_px = median_shorter_px(scan)
    if pretrained is not None:
        _fill_sizes_of_weights(form, pretrained, trained_px)
    form.fill("data.interpolation", USUAL_FILTER, "the usual filter")
    form.fill(
        "data.size_px",
        _size(median_px, machine),
        f"median shorter side {median_px} px, on a {_kind(machine)}",
    )
    size: int = form["data.size_px"]
    if size > PAD_CROP_UP_TO_PX:
        form.fill("data.resize_px", usual_resize_px(size), "evaluation cuts off an eighth")
        form.fill("data.train_px", size, "the size of evaluation")
        form.fill("data.crop", "resized", "random parts of images")
    else:
        form.fill("data.resize_px", usual_resize_px(size), "small images are seen whole")
        form.fill("data.train_px", size, "the size of evaluation")
        form.fill("data.crop", "pad", "small shifts of images")
    if form["data.crop"] == "pad":
        form.fill("data.pad_px", size // 8, "an eighth of the side")
    else:
        form.fill("data.decoder", *_decoder(form.recipe, size, median_px))


def _fill_sizes_of_weights(form: _Form, pretrained: Contract, trained_px: int | None) -> None:
    """The sizes and the filter of weights, as far as the recipe says no other size."""
    resize = pretrained.resize
    form.fill("data.interpolation", resize.interpolation, AS_TRAINED)
    form.fill("data.size_px", resize.crop_px, "the weights' own size")
    if form["data.size_px"] != resize.crop_px:
        return
    form.fill("data.resize_px", resize.shorter_px, AS_TRAINED)
    if trained_px is not None and trained_px <= resize.crop_px:
        form.fill("data.train_px", trained_px, "the size of the crops that the weights were trained on")


def median_shorter_px(scan: Scan) -> int:
    """Median of the shorter sides of the images that can be read, in pixels."""
    return int(np.median(scan.shorter_px[scan.shorter_px > 0]))


def _fill_grey(form: _Form, scan: Scan, pretrained: Contract | None) -> None:
    """Black and white of deep grey images, if there are any."""
    if pretrained is not None and pretrained.grey is not None:
        form.fill("data.grey", (pretrained.grey.black, pretrained.grey.white), AS_TRAINED)
    if scan.grey is not None:
        why = "the first usual white that no value exceeds"
        form.fill("data.grey", (scan.grey.black, scan.grey.white), why)


def _fill_colours(form: _Form, splits: Splits, scan: Scan, pretrained: Contract | None) -> None:
    """Mirroring, and the normalisation of colours."""
    if splits.allows_flips:
        form.fill("data.flip", 0.5, "assumes that mirrored images stay in their class; if not, --data.flip 0")
    else:
        form.fill("data.flip", 0.0, "mirrored digits are not digits")
    if pretrained is not None:
        form.fill("data.mean", pretrained.mean, AS_TRAINED)
        form.fill("data.std", pretrained.std, AS_TRAINED)
    form.fill("data.mean", scan.mean, "measured on train")
    form.fill("data.std", scan.std, "measured on train")


def _fill_network(form: _Form, machine: Machine) -> None:
    size, device = form["data.size_px"], _kind(machine)
    networks = GPU_NETWORKS if machine.is_gpu else CPU_NETWORKS
    model = next(name for largest_px, name in networks.items() if size <= largest_px)
    form.fill("model", model, f"for {size} px on a {device}")
    precision, has = ("bfloat16", "") if machine.bfloat16 else ("float32", "no ")
    form.fill("precision", precision, f"this {device} has {has}bfloat16 units")


def _fill_length(form: _Form, splits: Splits, machine: Machine, processes: int, length: Length) -> None:
    """Batch, epochs and learning rate."""
    count = len(splits.train)
    if form["training.fits"] == "head":
        form.recipe = set_field(form.recipe, "batch", None if form["batch"] == "auto" else form["batch"])
        form.fill("batch", min(FEATURE_BATCH, count), "images that go through the network together")
        form.fill("epochs", probe().epochs, "the images as they are, then augmented")
        return
    if form["batch"] == "auto":
        form.recipe = set_field(form.recipe, "batch", None)
        found = _batch_size_by_trial(form.recipe, len(splits.classes), count, machine, processes)
        form.fill("batch", *found)
    form.fill("batch", _batch_size(count, LARGEST_BATCH[machine.is_gpu]), f"{count} images to train on")
    batch: int = form["batch"]
    per_epoch = max(1, count // batch)
    epochs = length.epochs(per_epoch)
    form.fill("epochs", epochs, f"{epochs * per_epoch:,} steps of {batch} images")
    if form["training.lr"] == "auto":
        steps = form["epochs"] * per_epoch
        why = f"lower than {LR}, for {steps} steps are few" if steps < FEW_STEPS else f"for {steps:,} steps"
        form.choose("training.lr", round(LR * min(1, steps / FEW_STEPS) ** 0.5, 3), why)


def _kind(machine: Machine) -> str:
    return "GPU" if machine.is_gpu else "CPU"


def _size(median_px: int, machine: Machine) -> int:
    """The smallest side that keeps four fifths of the median image."""
    sizes = SIZES_PX if machine.is_gpu else [s for s in SIZES_PX if s <= LARGEST_ON_CPU_PX]
    return next((size for size in sizes if size >= 0.8 * median_px), sizes[-1])


def _decoder(recipe: Recipe, size_px: int, median_px: int) -> tuple[str, str]:
    if size_px <= CACHE_UP_TO_PX and median_px <= 2 * CACHE_UP_TO_PX:
        return "exact", "small images are decoded once and kept"
    if recipe.data.interpolation not in fast_jpeg.FILTERS:
        return "exact", f"the fast one has no filter {recipe.data.interpolation}"
    if not jpeg.is_installed():
        return "exact", "the fast one is not installed (pip install 'resnext[fast]')"
    return "fast", "nearly the pixels of Pillow, in half the time"


def _batch_size(count: int, largest: int) -> int:
    """The power of two from 16 to `largest` that gives about `STEPS_PER_EPOCH`; at most `count`."""
    batch = 16
    while batch * 2 <= min(largest, count / STEPS_PER_EPOCH):
        batch *= 2
    return min(batch, count)


def _batch_size_by_trial(
    recipe: Recipe, classes: int, count: int, machine: Machine, processes: int
) -> tuple[int, str]:
    """The best batch among powers of two that give about `STEPS_PER_EPOCH` or more, by a trial, and why;
    `processes` share the batch."""
    batches = [16]
    while batches[-1] * 2 * processes <= min(LARGEST_TRIED_BATCH[machine.is_gpu], count / STEPS_PER_EPOCH):
        batches.append(batches[-1] * 2)
    trial = Trial(
        model=recipe.model or "",
        classes=classes,
        size_px=get_field(recipe, "data.train_px"),
        precision=recipe.precision or "float32",
        device=str(machine.device),
        batches=tuple(batches),
    )
    batch, why = find_batch_size(trial)
    return min(batch * processes, count), why
