"""What the user of a trained network must know: class names, pre-processing, calibration, origin.

Every model carries a contract, as `contract.json` or inside its own metadata. Classes are matched by name,
never by position; pixels are prepared as the contract says, never by convention. Standard library only.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any, Literal, get_args

from resnext.errors import ResnextError
from resnext.names import MAX_NAME, encodable, printable, printable_lines
from resnext.parsing import build, parse_json, show
from resnext.version import __version__

#: What this version writes. It reads 1 too, where a calibration has a least probability for `rejection`.
SCHEMA = 2
INTERPOLATIONS = ("bilinear", "bicubic", "lanczos")
#: Most classes, longest side of an image in pixels, and longest text about the origin of weights.
MAX_CLASSES, LARGEST_PX, MAX_TEXT = 1_000_000, 4096, 10_000
#: The identifier of a licence, such as `apache-2.0` or `MIT OR Apache-2.0`: it goes into model cards.
LICENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+ -]{0,99}")
#: Largest mean of a channel, whatever its sign, and least and largest standard deviation: beyond them,
#: float32 cannot tell the levels of an image apart.
MAX_MEAN, MIN_STD, MAX_STD = 1e6, 1e-6, 1e6
#: Least and largest temperature of the softmax.
MIN_TEMPERATURE, MAX_TEMPERATURE = 1e-3, 1e3
#: Largest threshold of an energy, whatever its sign.
MAX_ENERGY = 1e30
#: Largest grey value that may be black or white, whatever its sign, and how far white must be above black.
MAX_GREY, MIN_GREY_SPAN = 1e12, 1e-9


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
class GreyRange:
    """The values that are black and white in grey images of more than 8 bits; others lie between them, or are
    cut off.

    Raises:
        ContractError: If white is not larger than black.

    >>> GreyRange(black=-1000, white=3000)
    GreyRange(black=-1000, white=3000)
    """

    black: float
    white: float

    def __post_init__(self) -> None:
        if not -MAX_GREY <= self.black <= self.white - MIN_GREY_SPAN <= MAX_GREY:
            raise ContractError(
                f"grey: black is {self.black:g} and white {self.white:g}; white must be the larger one, both "
                f"from -{MAX_GREY:g} to {MAX_GREY:g}"
            )


#: How familiar an image looks, larger where it looks more like those of the classes: the largest
#: `probability`; the `energy`, the logarithm of the sum of the logits' exponentials (Liu et al. 2020); the
#: same of features that are `clipped` (Sun, Guo and Li 2021); the cosine to the nearest `neighbours` among
#: the features of known images (Sun et al. 2022).
RejectionScore = Literal["probability", "energy", "clipped", "neighbours"]


#: Least and largest threshold of each score.
THRESHOLDS: dict[RejectionScore, tuple[float, float]] = {
    "probability": (0, 1),
    "energy": (-MAX_ENERGY, MAX_ENERGY),
    "clipped": (-MAX_ENERGY, MAX_ENERGY),
    "neighbours": (-1, 1),
}


@dataclass(frozen=True)
class Rejection:
    """When the answer is "none of these".

    Attributes:
        score: What tells how familiar an image looks.
        threshold: The answer is "none of these" below it.
        false_alarms: Share of the images of the classes that it was chosen to reject; None if nobody says.
        clip: Largest value of a feature; only of `clipped`.
        neighbour: Which of the nearest neighbours is taken, counted from 1; only of `neighbours`. The
            features of known images lie beside the weights.
    """

    score: RejectionScore
    threshold: float
    false_alarms: float | None = None
    clip: float | None = None
    neighbour: int | None = None


@dataclass(frozen=True)
class PredictionSets:
    """The set of an image: all classes whose probability is at least a number, and always the likeliest.

    Attributes:
        coverage: Share of images whose set holds the true class, as was promised.
        least_probability: That number.
    """

    coverage: float
    least_probability: float


@dataclass(frozen=True)
class Calibration:
    """What makes of logits an answer that means what it says.

    Attributes:
        temperature: Of the softmax.
        rejection: When the answer is "none of these"; never, if None.
        sets: The sets of classes; none, if None.

    Raises:
        ContractError: If a value is out of its bounds.
    """

    temperature: float
    rejection: Rejection | None = None
    sets: PredictionSets | None = None

    def __post_init__(self) -> None:
        allowed = f"must be positive, from {MIN_TEMPERATURE:g} to {MAX_TEMPERATURE:g}"
        _demand(MIN_TEMPERATURE <= self.temperature <= MAX_TEMPERATURE, "calibration.temperature", allowed)
        if (one := self.rejection) is not None:
            where = "calibration.rejection"
            known = get_args(RejectionScore)
            _demand(one.score in known, f"{where}.score", f"must be one of {', '.join(known)}")
            low, high = THRESHOLDS[one.score]
            _demand(low <= one.threshold <= high, f"{where}.threshold", f"must be from {low:g} to {high:g}")
            for field, score, most in (("clip", "clipped", MAX_ENERGY), ("neighbour", "neighbours", 1000)):
                value, needs = getattr(one, field), one.score == score
                _demand(
                    (value is not None) == needs, f"{where}.{field}", f"belongs to the score {score} only"
                )
                _demand(value is None or 0 < value <= most, f"{where}.{field}", f"must be up to {most:g}")
            share = one.false_alarms
            _demand(share is None or 0 <= share < 1, f"{where}.false_alarms", "must be from 0 to less than 1")
        if (sets := self.sets) is not None:
            where = "calibration.sets"
            _demand(0 < sets.coverage < 1, f"{where}.coverage", "must be between 0 and 1")
            held = 0 <= sets.least_probability <= 1
            _demand(held, f"{where}.least_probability", "must be from 0 to 1")


@dataclass(frozen=True)
class Provenance:
    """Origin of the weights: the network's name, the licence, training data, recipe and commit.

    `data` is the name of the training data and its fingerprint, separated by a space.

    Raises:
        ContractError: If the licence is no identifier of one; see `licence_meant` for what others write.
    """

    architecture: str
    weights_licence: str | None = None
    data: str | None = None
    recipe: str | None = None
    commit: str | None = None

    def __post_init__(self) -> None:
        licence = self.weights_licence
        _demand(
            licence is None or LICENCE.fullmatch(licence) is not None,
            "provenance.weights_licence",
            "must be the identifier of a licence, such as apache-2.0 (letters, digits, blanks and -._+, at "
            f"most 100), not {show(licence)}",
        )

    @property
    def licence_warning(self) -> str:
        """What to tell about the licence of the weights where it forbids commercial use; else empty.

        >>> Provenance("resnet50", weights_licence="cc-by-nc-4.0").licence_warning[:48]
        'the weights are under cc-by-nc-4.0, which forbid'
        """
        licence = self.weights_licence or ""
        if "nc" not in re.split("[ -]", licence.lower()):
            return ""
        return f"the weights are under {licence}, which forbids commercial use, of what is made from them too"

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

    `classes` are in the order of the logits, `mean` and `std` per channel on the scale 0 to 1. `descriptions`
    has a text for people for each class, or nothing where the names say enough. `grey` is None where the
    network was trained on no deep grey image (of more than 8 bits), and in contracts of earlier versions:
    then each such image has a range of its own.

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
    descriptions: tuple[str, ...] = ()
    grey: GreyRange | None = None

    def __post_init__(self) -> None:
        self._check_classes()
        self._check_descriptions()
        self._check_shape()
        self._check_colours()
        self._check_origin()

    def _check_classes(self) -> None:
        _demand(len(self.classes) > 0, "classes", "empty")
        _demand(len(self.classes) <= MAX_CLASSES, "classes", f"more than {MAX_CLASSES:,}")
        _demand(len(set(self.classes)) == len(self.classes), "classes", "a name appears twice")
        for i, name in enumerate(self.classes):
            _demand(len(name) <= MAX_NAME, f"classes[{i}]", f"longer than {MAX_NAME:,} characters")
            _demand(name.isascii() or encodable(name) == name, f"classes[{i}]", f"{show(name)} is not UTF-8")

    def _check_descriptions(self) -> None:
        count = len(self.descriptions)
        _demand(count in (0, len(self.classes)), "descriptions", f"{count} for {len(self.classes)} classes")
        for i, text in enumerate(self.descriptions):
            _demand(len(text) <= MAX_NAME, f"descriptions[{i}]", f"longer than {MAX_NAME:,} characters")
            _demand(text.isascii() or encodable(text) == text, f"descriptions[{i}]", "is not UTF-8")

    def describe(self, label: str) -> str:
        """The name of a class for people: with its description, if it has one, as in
        `n01440764 (tench, Tinca tinca)`."""
        if not self.descriptions:
            return label
        return f"{label} ({self.descriptions[self.classes.index(label)]})"

    def _check_shape(self) -> None:
        size = (self.input.height_px, self.input.width_px)
        _demand(min(size) > 0 and self.input.channels > 0, "input", "sizes must be positive")
        shorter, crop = self.resize.shorter_px, self.resize.crop_px
        _demand(size == (crop, crop), "resize.crop_px", f"does not fit input {size}")
        _demand(shorter >= crop, "resize.shorter_px", f"{shorter} is less than the crop of {crop}")
        _demand(shorter <= LARGEST_PX, "resize.shorter_px", f"{shorter} is more than {LARGEST_PX}")
        known = self.resize.interpolation in INTERPOLATIONS
        _demand(known, "resize.interpolation", f"is not one of {', '.join(INTERPOLATIONS)}")
        _demand(self.resize.antialias, "resize.antialias", "only true is supported")

    def _check_colours(self) -> None:
        for field, values in (("mean", self.mean), ("std", self.std)):
            fits = len(values) == self.input.channels
            _demand(fits, field, f"{len(values)} values for {self.input.channels} channels")
        small = all(abs(one) <= MAX_MEAN for one in self.mean)
        _demand(small, "mean", f"must be from -{MAX_MEAN:g} to {MAX_MEAN:g}")
        allowed = f"must be positive, from {MIN_STD:g} to {MAX_STD:g}"
        _demand(all(MIN_STD <= one <= MAX_STD for one in self.std), "std", allowed)

    def _check_origin(self) -> None:
        for field, text in vars(self.provenance).items():
            short = text is None or len(text) <= MAX_TEXT
            _demand(short, f"provenance.{field}", f"longer than {MAX_TEXT:,} characters")

    def to_json(self) -> dict[str, Any]:
        """The contract as plain values, with the schema and the version that wrote it."""
        value = asdict(self) | {"exif": True}  # for other readers: EXIF orientation is always applied
        for field in ("descriptions", "grey"):  # earlier versions do not know them
            if not value[field]:
                del value[field]
        return {"schema": SCHEMA, "written_by": f"resnext {__version__}"} | value

    @classmethod
    def from_json(cls, value: Any) -> Contract:
        """The contract that `to_json` turned into `value`. Raises `ContractError`, which names the field."""
        if not isinstance(value, dict):
            raise ContractError("contract: not a JSON object")
        if value.get("exif", True) is not True:
            raise ContractError("contract: exif: only true is supported")
        schema, writer = value.get("schema"), value.get("written_by")
        if type(schema) is not int or schema not in (1, SCHEMA):
            who = writer[:100] if isinstance(writer, str) else "an unknown program"
            raise ContractError(
                f"contract: schema {show(schema)} was written by {who}; this version reads schemas 1 and "
                f"{SCHEMA}"
            )
        body = {k: v for k, v in value.items() if k not in ("schema", "written_by", "exif")}
        origin = body.get("provenance")
        if isinstance(origin, dict) and isinstance(text := origin.get("weights_licence"), str):
            body["provenance"] = origin | {"weights_licence": licence_meant(text)}
        if schema == 1 and isinstance(calibration := body.get("calibration"), dict):
            body["calibration"] = _calibration_of_schema_1(calibration)
        try:
            return build(cls, body, "contract")
        except ContractError:
            raise
        except ValueError as error:
            raise ContractError(str(error)) from None

    @classmethod
    def loads(cls, text: str) -> Contract:
        """The contract in a JSON text. Raises `ContractError`."""
        try:
            value = parse_json(text)
        except ValueError as error:
            raise ContractError(f"contract: {error}") from None
        return cls.from_json(value)

    def dumps(self) -> str:
        """The contract as a JSON text, the content of contract.json."""
        return printable_lines(json.dumps(self.to_json(), indent=2, ensure_ascii=False)) + "\n"


def _calibration_of_schema_1(value: dict[str, Any]) -> dict[str, Any]:
    """A calibration of schema 1, with its least probability, as it is written now."""
    if value.keys() != {"temperature", "reject_below"}:
        raise ContractError("contract: calibration: must have temperature and reject_below, and no more")
    rejection = {"score": "probability", "threshold": value["reject_below"], "false_alarms": None}
    return {"temperature": value["temperature"], "rejection": rejection, "sets": None}


def licence_meant(text: str | None) -> str | None:
    """What others wrote about a licence, as its identifier: earlier versions took any text. What is no line
    of text stays as it is, and is refused by `Provenance`.

    >>> licence_meant("CC BY-NC 4.0 (c) ACME")
    'CC BY-NC 4.0 c ACME'
    """
    if text is None or printable(text) != text:
        return text
    return " ".join(re.sub(r"[^A-Za-z0-9._+-]", " ", text).split()).lstrip("-._+ ")[:100] or None


def first_difference(one: Any, other: Any, where: str = "") -> str:
    """The first field in which two values of the same dataclass differ, by its dotted name; empty if none
    does.

    >>> first_difference(Resize(256, 224), Resize(232, 224), "resize")
    'resize.shorter_px'
    """
    if one == other:
        return ""
    if is_dataclass(one) and type(one) is type(other):
        pairs = ((f.name, getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
        name, mine, theirs = next(pair for pair in pairs if pair[1] != pair[2])
        return first_difference(mine, theirs, f"{where}.{name}" if where else name)
    return where


def _demand(holds: bool, field: str, problem: str) -> None:
    if not holds:
        raise ContractError(f"contract: {field}: {problem}")
