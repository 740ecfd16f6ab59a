"""`Recipe`: everything that decides the result of a run, as one frozen value.

Its fields are read, changed and written by dotted names, such as `training.lr`. Standard library only, but
for `to_toml`.
"""

from __future__ import annotations

import difflib
import functools
import types
import typing
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from typing import Any, Literal

from resnext.data.settings import DataSettings
from resnext.parsing import parse_toml, show
from resnext.recipe.other_names import meant_by
from resnext.recipe.rules import RecipeError, check_recipe, get_field
from resnext.training.settings import TrainingSettings

#: Most characters of an unknown name that are looked at.
LONGEST_SHOWN = 100


@dataclass(frozen=True)
class Recipe:
    """Network, length, data path and optimisation of one run, and the seed of all its random draws.

    A field that is None is chosen from the data and the machine when the run begins.

    Raises:
        RecipeError: If a value breaks a rule of `resnext.recipe.rules`.

    >>> recipe = Recipe(model="resnext50_32x4d", epochs=100)
    >>> override(recipe, training__lr=0.2).training.lr
    0.2
    """

    model: str | None = None
    """Network by name, such as resnext50_32x4d (`resnext models` lists them)."""
    epochs: int | None = None
    """Times that each training image is seen."""
    batch: int | Literal["auto"] | None = None
    """Images of a step; `auto` tries what suits the machine."""
    precision: Literal["float32", "bfloat16"] | None = None
    """Number format of convolutions and matrix products; weights and sums stay float32."""
    seed: int = 0
    """Seed of the initial weights, the order of the images and their augmentation."""
    data: DataSettings = field(default_factory=DataSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)

    def __post_init__(self) -> None:
        _check_kinds(self, "")
        check_recipe(self)

    def to_toml(self) -> str:
        """The recipe as TOML, without the fields that are None. `from_toml` is its inverse."""
        import tomli_w

        return tomli_w.dumps(_without_none(asdict(self)))

    @classmethod
    def from_toml(cls, text: str) -> Recipe:
        """The recipe in a TOML text; fields that it leaves out have their defaults.

        Raises:
            RecipeError: If the text is no TOML, a field is unknown, or a value does not fit its field.
        """
        try:
            values = parse_toml(text)
        except ValueError as error:
            raise RecipeError(str(error)) from None
        recipe: Recipe = _replace(cls(), values, "")
        return recipe


def set_field(recipe: Recipe, name: str, value: Any) -> Recipe:
    """`recipe` with one field replaced, by its dotted name. Raises `RecipeError`."""
    return set_fields(recipe, {name: value})


def set_fields(recipe: Recipe, values: dict[str, Any]) -> Recipe:
    """`recipe` with fields replaced, by their dotted names, all at once. Raises `RecipeError`."""
    nested: dict[str, Any] = {}
    for name, value in values.items():
        *parents, last = name.split(".")
        target = nested
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = value
    changed: Recipe = _replace(recipe, nested, "")
    return changed


def rebase(recipe: Recipe, base: Recipe, other: Recipe) -> Recipe:
    """`other` with the fields in which `recipe` differs from `base`. Raises `RecipeError`.

    >>> asked = override(Recipe(epochs=2), seed=3)
    >>> changed = rebase(asked, Recipe(epochs=2), Recipe(epochs=9))
    >>> changed.epochs, changed.seed
    (9, 3)
    """
    values = {name: get_field(recipe, name) for name in dotted_names()}
    return set_fields(other, {name: v for name, v in values.items() if v != get_field(base, name)})


def override(recipe: Recipe, **changes: Any) -> Recipe:
    """`recipe` with fields replaced, by their dotted names with `__` for the dot. Raises `RecipeError`."""
    return set_fields(recipe, {name.replace("__", "."): value for name, value in changes.items()})


@functools.cache
def dotted_names(kind: Any = Recipe, prefix: str = "") -> tuple[str, ...]:
    """The dotted names of all fields, such as `training.lr`."""
    names: list[str] = []
    for name, hint in _hints(kind).items():
        nested = is_dataclass(hint)
        names += dotted_names(hint, f"{prefix}{name}.") if nested else (prefix + name,)
    return tuple(names)


def _replace(target: Any, values: dict[str, Any], prefix: str) -> Any:
    """The dataclass `target` with the nested `values`; `prefix` is its own dotted name, with a dot."""
    kind: Any = type(target)
    hints = _hints(kind)
    fitting = {}
    for name, value in values.items():
        if name not in hints or isinstance(value, dict) != is_dataclass(hints[name]):
            raise _no_such_field(f"{prefix}{name}", value if name in hints else None)
        if isinstance(value, dict):
            fitting[name] = _replace(getattr(target, name), value, f"{prefix}{name}.")
        else:
            fitting[name] = _fit(hints[name], value, prefix + name)
    return replace(target, **fitting)


def _check_kinds(target: Any, prefix: str) -> None:
    """Raise `RecipeError` for a value of another type than its field in the dataclass `target`."""
    kind: Any = type(target)
    for name, hint in _hints(kind).items():
        value = getattr(target, name)
        if not is_dataclass(hint):
            _fit(hint, value, prefix + name)
        elif type(value) is hint:
            _check_kinds(value, f"{prefix}{name}.")
        else:
            raise RecipeError(f"{prefix}{name}: must be {getattr(hint, '__name__', hint)}, not {show(value)}")


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _no_such_field(name: str, value: Any) -> RecipeError:
    """The error for an unknown field: `name`, or the first one inside it if `value` is a table."""
    if isinstance(value, dict):
        name = ".".join((name, *list(value)[:1]))
    name = name[:LONGEST_SHOWN]
    inside = [dotted for dotted in dotted_names() if dotted.endswith(f".{name}")]
    meant = meant_by(name.rpartition(".")[2], dotted_names())
    near = [meant] if meant else inside or difflib.get_close_matches(name, dotted_names(), n=3, cutoff=0.4)
    return RecipeError(f"there is no field {name!r}" + (f". Nearest: {_spelt(near)}" if near else ""))


def _spelt(names: list[str]) -> str:
    """Dotted names, the first also as an argument in Python."""
    first, *others = names
    spelt = f"{first} ({first.replace('.', '__')}=... in Python)" if "." in first else first
    return ", ".join([spelt, *others])


def _fit(hint: Any, value: Any, name: str) -> Any:
    """`value` as the annotated type `hint`; an integer is a float too, and a list a tuple."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _fit_union(arguments, value, name)
    if origin is Literal:
        if value not in arguments:
            raise RecipeError(f"{name}: must be one of {', '.join(arguments)}, not {show(value)}")
        return value
    if origin is tuple and isinstance(value, list | tuple):
        if arguments[-1] is Ellipsis or len(arguments) == len(value):
            return tuple(_fit(arguments[0], item, name) for item in value)
    elif hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    elif isinstance(hint, type) and type(value) is hint:
        return value
    raise RecipeError(f"{name}: must be {_in_words(hint)}, not {show(value)}")


def _in_words(hint: Any) -> str:
    """What a value of the type `hint` is called."""
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    if typing.get_origin(hint) is tuple:
        kinds = typing.get_args(hint)
        return f"a list of {'numbers' if kinds[0] in (int, float) else 'words'}"
    return words.get(hint, str(hint))


def _fit_union(arguments: tuple[Any, ...], value: Any, name: str) -> Any:
    """`value` as one of the types `arguments`: None, a word of a Literal, or the first other one."""
    if value is None and type(None) in arguments:
        return None
    kinds = [kind for kind in arguments if kind is not type(None)]
    words = [kind for kind in kinds if typing.get_origin(kind) is Literal and value in typing.get_args(kind)]
    return _fit((words or kinds)[0], value, name)


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _without_none(value) if isinstance(value, dict) else value
        for name, value in values.items()
        if value is not None
    }
