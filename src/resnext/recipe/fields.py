"""`Recipe`: every choice of a run as one frozen value, read, changed and written by its fields' names.

None means: chosen from the data and the machine.
"""

from __future__ import annotations

import difflib
import functools
import math
import tomllib
import types
import typing
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from typing import Any, Literal

from resnext.data.settings import DataSettings
from resnext.training.settings import TrainingSettings

#: Fields that act only where another has one of some values; None is: not chosen yet.
ACTS_WHERE: dict[str, tuple[str, tuple[Any, ...]]] = {
    "data.pad_px": ("data.crop", ("pad", None)),
    "data.min_area": ("data.crop", ("resized", None)),
    "data.max_aspect": ("data.crop", ("resized", None)),
    "data.decoder": ("data.crop", ("resized", None)),
    "data.operations": ("data.policy", ("rand",)),
    "data.magnitude": ("data.policy", ("rand",)),
    "training.milestones": ("training.schedule", ("step",)),
}
#: Larger pictures are a typing error.
LARGEST_PX = 4096


class RecipeError(ValueError):
    """A recipe that cannot be followed; the message names the field by its dotted name."""


@dataclass(frozen=True)
class Recipe:
    """Network, length, data and optimisation of one run, and the seed of all its random draws."""

    model: str | None = None
    """Network by name, such as resnext50_32x4d (`resnext models` lists them)."""
    epochs: int | None = None
    """Times that each training picture is seen."""
    batch: int | Literal["auto"] | None = None
    """Pictures a step; `auto` tries what suits the machine."""
    precision: Literal["float32", "bfloat16"] | None = None
    """Of the convolutions and products; weights and sums stay float32."""
    seed: int = 0
    """Decides the initial weights, the order and the augmentation."""
    data: DataSettings = field(default_factory=DataSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)

    def __post_init__(self) -> None:
        def demand(holds: bool, name: str, must: str) -> None:
            if not holds:
                raise RecipeError(f"{name}: must be {must}, not {get_field(self, name)}")

        sizes = ("data.size_px", "data.resize_px", "data.train_px")
        counts = ("data.operations", "training.lr_batch", "training.accumulate")
        for name in ("epochs", "batch", *sizes, *counts):
            value = get_field(self, name)
            demand(value in (None, "auto") or value >= 1, name, "at least 1")
        demand(0 <= self.seed < 2**63, "seed", "at least 0 and less than 2**63")
        for name in sizes:
            demand((get_field(self, name) or 1) <= LARGEST_PX, name, f"at most {LARGEST_PX}")
        for name in ("data.mean", "data.std"):
            demand(all(map(math.isfinite, get_field(self, name) or ())), name, "finite")
        demand(self.data.pad_px is None or self.data.pad_px >= 0, "data.pad_px", "at least 0")
        size, resize = self.data.size_px, self.data.resize_px
        demand(not (size and resize) or resize >= size, "data.resize_px", f"at least size_px ({size})")  # type: ignore[operator]
        crop_px, pad = self.data.train_px, self.data.pad_px
        if self.data.crop == "pad" and size and crop_px and pad is not None:
            most = size + 2 * pad
            demand(crop_px <= most, "data.train_px", f"at most size_px + 2 pad_px ({most})")
        demand(self.data.flip is None or 0 <= self.data.flip <= 1, "data.flip", "from 0 to 1")
        demand(0 < self.data.min_area <= 1, "data.min_area", "above 0 and at most 1")
        demand(1 <= self.data.max_aspect <= 100, "data.max_aspect", "from 1 to 100")
        slow = self.data.interpolation == "lanczos"
        demand(not slow or self.data.decoder != "fast", "data.decoder", "exact where lanczos is the filter")
        demand(self.data.std is None or min(self.data.std) > 0, "data.std", "positive")
        demand(0 <= self.data.magnitude <= 30, "data.magnitude", "from 0 to 30")
        for name in ("data.jitter", "data.erasing"):
            demand(0 <= get_field(self, name) <= 1, name, "from 0 to 1")
        for name in ("data.lighting", "data.mixup", "data.cutmix", "training.clip_norm"):
            demand(0 <= get_field(self, name) < math.inf, name, "at least 0")
        training = self.training
        for name in ("training.patience", "training.frozen"):
            demand(get_field(self, name) >= 0, name, "at least 0")
        for name in ("training.drop_path", "training.dropout"):
            demand(0 <= get_field(self, name) < 1, name, "from 0 to less than 1")
        demand(0 < training.layer_decay <= 1, "training.layer_decay", "above 0 and at most 1")
        batch = self.batch if isinstance(self.batch, int) else training.accumulate
        demand(training.accumulate <= batch, "training.accumulate", f"at most the batch ({self.batch})")
        pieces = (
            training.compile == "graphs" and training.accumulate > 1
        )  # a graph's gradients do not outlive it
        demand(not pieces, "training.compile", "on or off with training.accumulate above 1")
        demand(training.lr > 0, "training.lr", "positive")
        demand(0 <= training.momentum < 1, "training.momentum", "from 0 to less than 1")
        demand(training.weight_decay >= 0, "training.weight_decay", "at least 0")
        demand(0 <= training.warmup < 1, "training.warmup", "from 0 to less than 1")
        demand(0 <= training.averaging <= 1, "training.averaging", "from 0 to 1")
        demand(0 <= training.label_smoothing < 1, "training.label_smoothing", "from 0 to less than 1")
        inside = all(0 < m < 1 for m in training.milestones)
        demand(inside, "training.milestones", "shares of the run, between 0 and 1")
        for name, (other, values) in ACTS_WHERE.items():
            value, condition = get_field(self, name), get_field(self, other)
            if condition not in values and value != _default(name):
                raise RecipeError(
                    f"{name}: has no effect with {other} = {condition}; leave it at {_default(name)}, "
                    f"or set {other} to {values[0]}"
                )

    def to_toml(self) -> str:
        """The recipe as TOML; `from_toml` is its inverse. Fields that are None are left out."""
        import tomli_w

        return tomli_w.dumps(_without_none(asdict(self)))

    @classmethod
    def from_toml(cls, text: str) -> Recipe:
        """The recipe in a TOML text; what it leaves out has its default. Raises `RecipeError`."""
        try:
            values = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(f"not TOML: {error}") from None
        recipe: Recipe = _replace(cls(), values, "")
        return recipe


def _default(name: str) -> Any:
    """What the field with the dotted `name` is where nothing is said."""
    value: Any = {"data": DataSettings(), "training": TrainingSettings()}[name.split(".")[0]]
    return getattr(value, name.split(".")[1])


def get_field(recipe: Recipe, name: str) -> Any:
    """The field with the dotted `name`, such as `training.lr`."""
    value: Any = recipe
    for part in name.split("."):
        value = getattr(value, part)
    return value


def set_field(recipe: Recipe, name: str, value: Any) -> Recipe:
    """`recipe` with the field of the dotted `name` replaced. Raises `RecipeError`."""
    return set_fields(recipe, {name: value})


def set_fields(recipe: Recipe, values: dict[str, Any]) -> Recipe:
    """`recipe` with fields replaced by their dotted names, all at once. Raises `RecipeError`."""
    nested: dict[str, Any] = {}
    for name, value in values.items():
        *parents, last = name.split(".")
        target = nested
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = value
    changed: Recipe = _replace(recipe, nested, "")
    return changed


def override(recipe: Recipe, **changes: Any) -> Recipe:
    """`recipe` with fields replaced by their dotted names, `__` standing for the dot."""
    return set_fields(recipe, {name.replace("__", "."): value for name, value in changes.items()})


@functools.cache
def dotted_names(kind: Any = Recipe, prefix: str = "") -> tuple[str, ...]:
    """The dotted names of all fields."""
    names: list[str] = []
    for name, hint in typing.get_type_hints(kind).items():
        nested = is_dataclass(hint)
        names += dotted_names(hint, f"{prefix}{name}.") if nested else (prefix + name,)
    return tuple(names)


def _replace(target: Any, values: dict[str, Any], prefix: str) -> Any:
    hints = typing.get_type_hints(type(target))
    fitted = {}
    for name, value in values.items():
        if name not in hints or isinstance(value, dict) != is_dataclass(hints[name]):
            full = prefix + ".".join(
                (name, *list(value)[:1]) if isinstance(value, dict) and name in hints else (name,)
            )
            near = difflib.get_close_matches(full, dotted_names(), n=3, cutoff=0.4)
            hint = f". Nearest: {', '.join(near)}" if near else ""
            raise RecipeError(f"there is no field {full!r}{hint}")
        if isinstance(value, dict):
            fitted[name] = _replace(getattr(target, name), value, f"{prefix}{name}.")
        else:
            fitted[name] = _fit(hints[name], value, prefix + name)
    return replace(target, **fitted)


def _fit(hint: Any, value: Any, name: str) -> Any:
    """`value` as the annotated type `hint`."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        kinds = [a for a in arguments if a is not type(None)]
        words = [a for a in kinds if typing.get_origin(a) is Literal and value in typing.get_args(a)]
        return _fit((words or kinds)[0], value, name)
    if origin is Literal:
        if value not in arguments:
            raise RecipeError(f"{name}: must be one of {', '.join(arguments)}, not {value!r}")
        return value
    if origin is tuple and isinstance(value, list | tuple):
        fits = arguments[-1] is Ellipsis or len(arguments) == len(value)
        if fits:
            return tuple(_fit(arguments[0], item, name) for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and type(value) is hint:
        return value
    raise RecipeError(f"{name}: {value!r} does not fit {getattr(hint, '__name__', hint)}")


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _without_none(value) if isinstance(value, dict) else value
        for name, value in values.items()
        if value is not None
    }
