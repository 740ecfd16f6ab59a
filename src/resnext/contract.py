"""What a user of a trained network must know: class names, pre-processing, calibration, origin.

Every artefact carries one contract, as `contract.json` or inside its own metadata. Classes are
matched by name, never by position; pixels are prepared as written here, never by convention.
Standard library only.
"""

from __future__ import annotations

import json
import math
import typing
from dataclasses import asdict, dataclass, fields
from typing import Any

SCHEMA = 1
INTERPOLATIONS = ("bilinear", "bicubic", "lanczos")


class ContractError(ValueError):
    """A contract that cannot be used; the message names the field."""


@dataclass(frozen=True)
class Input:
    """Shape of one picture as the network takes it."""

    channels: int
    height_px: int
    width_px: int


@dataclass(frozen=True)
class Resize:
    """How a picture becomes that shape: shorter side to `shorter_px`, then the centre `crop_px`."""

    shorter_px: int
    crop_px: int
    interpolation: str = "bilinear"
    antialias: bool = True


@dataclass(frozen=True)
class Calibration:
    """Softmax temperature, and the probability under which the answer is "none of these"."""

    temperature: float
    reject_below: float


@dataclass(frozen=True)
class Provenance:
    """Where the weights come from: the network's name, their licence, data, recipe and commit.

    `data` is the name of the training data and its fingerprint, with a space between.
    """

    architecture: str
    weights_licence: str | None = None
    data: str | None = None
    recipe: str | None = None
    commit: str | None = None

    @property
    def data_name(self) -> str:
        """Name of the training data."""
        return (self.data or "").rpartition(" ")[0]

    @property
    def fingerprint(self) -> str | None:
        """Fingerprint of the training data."""
        return self.data.rpartition(" ")[2] if self.data else None


@dataclass(frozen=True)
class Contract:
    """Classes in the order of the logits; `mean` and `std` per channel, on the scale 0 to 1."""

    classes: tuple[str, ...]
    input: Input
    resize: Resize
    mean: tuple[float, ...]
    std: tuple[float, ...]
    provenance: Provenance
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        def demand(holds: bool, field: str, problem: str) -> None:
            if not holds:
                raise ContractError(f"contract: {field}: {problem}")

        demand(len(self.classes) > 0, "classes", "empty")
        demand(len(set(self.classes)) == len(self.classes), "classes", "a name stands twice")
        size = (self.input.height_px, self.input.width_px)
        demand(min(size) > 0 and self.input.channels > 0, "input", "sizes must be positive")
        demand(size == (self.resize.crop_px,) * 2, "resize.crop_px", f"does not fit input {size}")
        demand(
            self.resize.shorter_px >= self.resize.crop_px,
            "resize.shorter_px",
            f"{self.resize.shorter_px} is less than the crop of {self.resize.crop_px}",
        )
        known = self.resize.interpolation in INTERPOLATIONS
        demand(known, "resize.interpolation", f"is not one of {', '.join(INTERPOLATIONS)}")
        for field in ("mean", "std"):
            count = len(getattr(self, field))
            demand(count == self.input.channels, field, f"{count} values for the input's channels")
            demand(all(map(math.isfinite, getattr(self, field))), field, "must be finite")
        demand(min(self.std) > 0, "std", "must be positive")
        demand(self.resize.antialias, "resize.antialias", "only true is supported")
        if self.calibration is not None:
            temperature, reject = self.calibration.temperature, self.calibration.reject_below
            demand(0 < temperature < math.inf, "calibration.temperature", "must be positive")
            demand(0 <= reject <= 1, "calibration.reject_below", "must be from 0 to 1")

    def to_json(self) -> dict[str, Any]:
        from resnext import __version__

        value = asdict(self) | {"exif": True}  # always applied; said for other readers
        return {"schema": SCHEMA, "written_by": f"resnext {__version__}"} | value

    @classmethod
    def from_json(cls, value: Any) -> Contract:
        """Inverse of `to_json`. Raises `ContractError` naming the field."""
        if not isinstance(value, dict):
            raise ContractError("contract: not a JSON object")
        if value.get("exif", True) is not True:
            raise ContractError("contract: exif: only true is supported")
        if value.get("schema") != SCHEMA:
            raise ContractError(
                f"contract: schema {value.get('schema')!r} was written by "
                f"{value.get('written_by', 'an unknown program')}; this version reads schema {SCHEMA}"
            )
        body = {k: v for k, v in value.items() if k not in ("schema", "written_by", "exif")}
        contract: Contract = _build(cls, body, "contract")
        return contract

    @classmethod
    def loads(cls, text: str) -> Contract:
        """The contract in a JSON text. Raises `ContractError`."""
        try:
            return cls.from_json(json.loads(text))
        except json.JSONDecodeError as error:
            raise ContractError(f"contract: not JSON: {error}") from None

    def dumps(self) -> str:
        return json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n"


def _build(kind: Any, value: Any, where: str) -> Any:
    """`value` from JSON as the annotated type `kind`; every mismatch is a `ContractError`."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if type(None) in arguments:  # optional
        if value is None:
            return None
        return _build(next(a for a in arguments if a is not type(None)), value, where)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ContractError(f"{where}: must be a list, not {value!r}")
        return tuple(_build(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if kind in (int, float, str, bool):
        number = kind is float and isinstance(value, int) and not isinstance(value, bool)
        if type(value) is not kind and not number:
            raise ContractError(f"{where}: must be {kind.__name__}, not {value!r}")
        return kind(value)
    if not isinstance(value, dict):
        raise ContractError(f"{where}: must be an object, not {value!r}")
    hints = typing.get_type_hints(kind)
    if unknown := value.keys() - hints.keys():
        raise ContractError(f"{where}: unknown field {sorted(unknown)[0]!r}")
    required = {f.name for f in fields(kind) if f.default is f.default_factory}  # both MISSING
    if missing := required - value.keys():
        raise ContractError(f"{where}: field {sorted(missing)[0]!r} is missing")
    return kind(**{k: _build(hints[k], v, f"{where}.{k}") for k, v in value.items()})
