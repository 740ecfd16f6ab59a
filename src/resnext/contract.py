"""What the user of a trained network must know: class names, pre-processing, calibration, origin.

Every model carries a contract, as `contract.json` or inside its own metadata. Classes are matched by name,
never by position; pixels are prepared as the contract says, never by convention. Standard library only.
"""

from __future__ import annotations

import json
import math
import typing
from dataclasses import asdict, dataclass, fields
from typing import Any

from resnext.errors import ResnextError
from resnext.version import __version__

SCHEMA = 1
INTERPOLATIONS = ("bilinear", "bicubic", "lanczos")


class ContractError(ResnextError, ValueError):
    """A contract that cannot be used; the message names the field."""

    exit_code = 4


@dataclass(frozen=True)
class Input:
    """Shape of one image that the network takes."""

    channels: int
    height_px: int
    width_px: int


@dataclass(frozen=True)
class Resize:
    """How an image gets that shape: its shorter side becomes `shorter_px`, then the centre is cropped."""

    shorter_px: int
    crop_px: int
    interpolation: str = "bilinear"
    antialias: bool = True


@dataclass(frozen=True)
class Calibration:
    """Temperature of the softmax, and the probability below which the answer is "none of these"."""

    temperature: float
    reject_below: float


@dataclass(frozen=True)
class Provenance:
    """Origin of the weights: the network's name, the licence, training data, recipe and commit.

    `data` is the name of the training data and its fingerprint, separated by a space.
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
    """Everything besides the weights that predictions depend on.

    `classes` are in the order of the logits, `mean` and `std` per channel on the scale 0 to 1.

    Raises:
        ContractError: If values are wrong or do not fit together.

    >>> contract = Contract(
    ...     classes=("cat", "dog"),
    ...     input=Input(channels=3, height_px=224, width_px=224),
    ...     resize=Resize(shorter_px=256, crop_px=224),
    ...     mean=(0.5, 0.5, 0.5),
    ...     std=(0.2, 0.2, 0.2),
    ...     provenance=Provenance("resnext50_32x4d"),
    ... )
    >>> Contract.loads(contract.dumps()) == contract
    True
    """

    classes: tuple[str, ...]
    input: Input
    resize: Resize
    mean: tuple[float, ...]
    std: tuple[float, ...]
    provenance: Provenance
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        _demand(len(self.classes) > 0, "classes", "empty")
        _demand(len(set(self.classes)) == len(self.classes), "classes", "a name appears twice")
        self._check_shape()
        self._check_colours()
        if self.calibration is not None:
            temperature, reject = self.calibration.temperature, self.calibration.reject_below
            _demand(0 < temperature < math.inf, "calibration.temperature", "must be positive")
            _demand(0 <= reject <= 1, "calibration.reject_below", "must be from 0 to 1")

    def _check_shape(self) -> None:
        size = (self.input.height_px, self.input.width_px)
        _demand(min(size) > 0 and self.input.channels > 0, "input", "sizes must be positive")
        shorter, crop = self.resize.shorter_px, self.resize.crop_px
        _demand(size == (crop, crop), "resize.crop_px", f"does not fit input {size}")
        _demand(shorter >= crop, "resize.shorter_px", f"{shorter} is less than the crop of {crop}")
        known = self.resize.interpolation in INTERPOLATIONS
        _demand(known, "resize.interpolation", f"is not one of {', '.join(INTERPOLATIONS)}")
        _demand(self.resize.antialias, "resize.antialias", "only true is supported")

    def _check_colours(self) -> None:
        for field, values in (("mean", self.mean), ("std", self.std)):
            fits = len(values) == self.input.channels
            _demand(fits, field, f"{len(values)} values for {self.input.channels} channels")
            _demand(all(map(math.isfinite, values)), field, "must be finite")
        _demand(min(self.std) > 0, "std", "must be positive")

    def to_json(self) -> dict[str, Any]:
        """The contract as plain values, with the schema and the version that wrote it."""
        value = asdict(self) | {"exif": True}  # for other readers: EXIF orientation is always applied
        return {"schema": SCHEMA, "written_by": f"resnext {__version__}"} | value

    @classmethod
    def from_json(cls, value: Any) -> Contract:
        """The contract that `to_json` turned into `value`. Raises `ContractError`, which names the field."""
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
        """The contract as a JSON text, the content of contract.json."""
        return json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n"


def _demand(holds: bool, field: str, problem: str) -> None:
    if not holds:
        raise ContractError(f"contract: {field}: {problem}")


def _build(kind: Any, value: Any, where: str) -> Any:
    """`value` from JSON as the annotated type `kind`; `where` is its field. Raises `ContractError`."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if type(None) in arguments:
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
    return _build_dataclass(kind, value, where)


def _build_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise ContractError(f"{where}: must be an object, not {value!r}")
    hints = typing.get_type_hints(kind)
    if unknown := value.keys() - hints.keys():
        raise ContractError(f"{where}: unknown field {sorted(unknown)[0]!r}")
    required = {f.name for f in fields(kind) if f.default is f.default_factory}  # both are MISSING
    if missing := required - value.keys():
        raise ContractError(f"{where}: field {sorted(missing)[0]!r} is missing")
    return kind(**{k: _build(hints[k], v, f"{where}.{k}") for k, v in value.items()})
