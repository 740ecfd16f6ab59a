"""Rules for the values of a recipe, with the words of their errors. Standard library only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from resnext.contract import LARGEST_PX, MAX_GREY, MAX_MEAN, MAX_STD, MIN_GREY_SPAN, MIN_STD
from resnext.data.settings import DataSettings, usual_resize_px
from resnext.errors import ResnextError
from resnext.parsing import show
from resnext.training.settings import TrainingSettings

if TYPE_CHECKING:
    from resnext.recipe.fields import Recipe

#: Largest numbers of epochs, of images in a step, and of operations on an image: more is a typing error, and
#: could keep a machine busy for ever.
MAX_EPOCHS, MAX_BATCH, MAX_OPERATIONS = 100_000, 1_000_000, 100
#: Most points at which the `step` schedule divides the rate.
MAX_MILESTONES = 1000
#: Largest value of a setting that has no other bound.
MAX_SETTING = 1e12
SIZES = ("data.size_px", "data.resize_px", "data.train_px")


class RecipeError(ResnextError, ValueError):
    """A recipe that cannot be used; the message names the field by its dotted name."""

    exit_code = 2


@dataclass(frozen=True)
class Rule:
    """What each of the fields `names` must be: in words, and as a test that its value passes."""

    names: Sequence[str]
    must: str
    holds: Callable[[Any], bool]


#: Rules for single fields.
RULES = (
    Rule(
        ("epochs", "batch", *SIZES, "data.operations", "training.lr_batch", "training.accumulate"),
        "at least 1",
        lambda value: value in (None, "auto") or value >= 1,
    ),
    Rule(("epochs", "training.patience"), f"at most {MAX_EPOCHS:,}", lambda v: v is None or v <= MAX_EPOCHS),
    Rule(
        ("batch", "training.lr_batch", "training.accumulate"),
        f"at most {MAX_BATCH:,}",
        lambda value: value in (None, "auto") or value <= MAX_BATCH,
    ),
    Rule(("data.operations",), f"at most {MAX_OPERATIONS}", lambda value: value <= MAX_OPERATIONS),
    Rule(("seed",), "at least 0 and less than 2**63", lambda value: 0 <= value < 2**63),
    Rule(
        (*SIZES, "data.pad_px"),
        f"at most {LARGEST_PX}",
        lambda value: value is None or value <= LARGEST_PX,
    ),
    Rule(
        ("data.mean",),
        f"finite, from -{MAX_MEAN:g} to {MAX_MEAN:g}",
        lambda value: all(abs(one) <= MAX_MEAN for one in value or ()),
    ),
    Rule(
        ("data.std",),
        f"positive and finite, from {MIN_STD:g} to {MAX_STD:g}",
        lambda value: all(MIN_STD <= one <= MAX_STD for one in value or ()),
    ),
    Rule(
        ("data.grey",),
        f"black, then a larger value for white, from -{MAX_GREY:g} to {MAX_GREY:g}",
        lambda v: v is None or (-MAX_GREY <= v[0] <= v[1] - MIN_GREY_SPAN and v[1] <= MAX_GREY),
    ),
    Rule(("data.pad_px",), "at least 0", lambda value: value is None or value >= 0),
    Rule(("data.flip",), "from 0 to 1", lambda value: value is None or 0 <= value <= 1),
    Rule(("data.min_area", "training.layer_decay"), "above 0 and at most 1", lambda value: 0 < value <= 1),
    Rule(("data.max_aspect",), "from 1 to 100", lambda value: 1 <= value <= 100),
    Rule(("data.magnitude",), "from 0 to 30", lambda value: 0 <= value <= 30),
    Rule(("data.jitter", "data.erasing", "training.averaging"), "from 0 to 1", lambda value: 0 <= value <= 1),
    Rule(
        (
            *("data.lighting", "data.mixup", "data.cutmix", "training.clip_norm"),
            *("training.patience", "training.frozen", "training.weight_decay"),
        ),
        f"at least 0 and at most {MAX_SETTING:,.0f}",
        lambda value: 0 <= value <= MAX_SETTING,
    ),
    Rule(
        (
            *("training.drop_path", "training.dropout", "training.momentum", "training.warmup"),
            "training.label_smoothing",
        ),
        "from 0 to less than 1",
        lambda value: 0 <= value < 1,
    ),
    Rule(
        ("training.lr",),
        f"positive and at most {MAX_SETTING:,.0f}",
        lambda value: value == "auto" or 0 < value <= MAX_SETTING,
    ),
    Rule(
        ("training.milestones",),
        f"shares of the run, between 0 and 1, and at most {MAX_MILESTONES:,}",
        lambda value: len(value) <= MAX_MILESTONES and all(0 < share < 1 for share in value),
    ),
)
#: Fields that have an effect only where another field has one of these values; None: it is not chosen yet.
ACTS_WHERE: dict[str, tuple[str, tuple[Any, ...]]] = {
    "data.pad_px": ("data.crop", ("pad", None)),
    "data.min_area": ("data.crop", ("resized", None)),
    "data.max_aspect": ("data.crop", ("resized", None)),
    "data.decoder": ("data.crop", ("resized", None)),
    "data.operations": ("data.policy", ("rand",)),
    "data.magnitude": ("data.policy", ("rand",)),
    "training.milestones": ("training.schedule", ("step",)),
}
#: Fields that have no effect where the head alone is fitted, beside those of the optimisation.
NOT_FOR_A_HEAD = ("data.mixup", "data.cutmix")
_DEFAULTS = {"data": DataSettings(), "training": TrainingSettings()}


def get_field(recipe: Recipe, name: str) -> Any:
    """The field with the dotted `name`, such as `training.lr`."""
    value: Any = recipe
    for part in name.split("."):
        value = getattr(value, part)
    return value


def check_recipe(recipe: Recipe) -> None:
    """Raise `RecipeError` for the first value that breaks a rule."""
    for rule in RULES:
        for name in rule.names:
            _demand(recipe, name, rule.must, rule.holds(get_field(recipe, name)))
    _check_sizes(recipe)
    _check_combinations(recipe)
    for name, (other, values) in ACTS_WHERE.items():
        _check_effect(recipe, name, other, values)
    if recipe.training.fits == "head":
        _check_head(recipe)


def _demand(recipe: Recipe, name: str, must: str, holds: bool, cure: str = "") -> None:
    if not holds:
        raise RecipeError(f"{name}: must be {must}, not {show(get_field(recipe, name))}{cure}")


def _check_head(recipe: Recipe) -> None:
    """Raise `RecipeError` for a setting that a head cannot follow: it is fitted on features that are kept."""
    for name in (*(f"training.{field.name}" for field in fields(TrainingSettings)), *NOT_FOR_A_HEAD):
        if name != "training.fits":
            _check_effect(recipe, name, "training.fits", ("network",))
    weighs = recipe.data.balance != "sampler"
    _demand(recipe, "data.balance", "none or weights where a head is fitted: it sees all images", weighs)


def _check_sizes(recipe: Recipe) -> None:
    size, resize, crop = (get_field(recipe, name) for name in SIZES)
    if size and resize:
        train = f" --data.train-px {size}" if crop not in (None, size) else ""
        cure = f"; give --data.resize-px {usual_resize_px(size)}{train} too"  # a config.toml says all of them
        _demand(recipe, "data.resize_px", f"at least size_px ({size})", resize >= size, cure)
    if size and crop and recipe.data.crop == "pad" and recipe.data.pad_px is not None:
        most = size + 2 * recipe.data.pad_px
        cure = f"; give --data.train-px {size}"
        _demand(recipe, "data.train_px", f"at most size_px + 2 pad_px ({most})", crop <= most, cure)


def _check_combinations(recipe: Recipe) -> None:
    data, training = recipe.data, recipe.training
    if data.interpolation == "lanczos":
        _demand(recipe, "data.decoder", "exact where lanczos is the filter", data.decoder != "fast")
    if isinstance(recipe.batch, int):
        fits = training.accumulate <= recipe.batch
        _demand(recipe, "training.accumulate", f"at most the batch ({recipe.batch})", fits)
    if training.accumulate > 1:  # the gradients of a CUDA graph do not outlive it
        eager = training.compile != "graphs"
        _demand(recipe, "training.compile", "on or off with training.accumulate above 1", eager)


def _check_effect(recipe: Recipe, name: str, other: str, values: tuple[Any, ...]) -> None:
    """Raise `RecipeError` if the field `name` is set, but has no effect: `other` has none of `values`."""
    room, field = name.split(".")
    usual, condition = getattr(_DEFAULTS[room], field), get_field(recipe, other)
    if condition not in values and get_field(recipe, name) != usual:
        raise RecipeError(
            f"{name}: has no effect with {other} = {condition}; leave it at {usual}, "
            f"or set {other} to {values[0]}"
        )
