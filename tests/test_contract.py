"""The contract's JSON: nothing is lost, and nothing doubtful is read."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnext.contract import (
    Calibration,
    Contract,
    ContractError,
    GreyRange,
    Input,
    PredictionSets,
    Provenance,
    Rejection,
    Resize,
    first_difference,
    licence_meant,
)
from resnext.names import MAX_NAME

CONTRACT = Contract(
    classes=("1", "10", "cat's", "ü"),
    input=Input(3, 224, 224),
    resize=Resize(256, 224, "bicubic"),
    mean=(0.5, 0.4, 0.3),
    std=(0.2, 0.2, 0.25),
    provenance=Provenance("resnext50_32x4d", data="pets 0123456789abcdef"),
    calibration=Calibration(1.5, Rejection("probability", 0.2, 0.05), PredictionSets(0.9, 0.03)),
)


def test_round_trip() -> None:
    ct = replace(CONTRACT, grey=GreyRange(-1000, 3000))
    for contract in (CONTRACT, replace(CONTRACT, calibration=None), ct):
        assert Contract.loads(contract.dumps()) == contract
    assert CONTRACT.provenance.fingerprint == "0123456789abcdef"


def test_without_deep_grey_the_contract_is_that_of_earlier_versions() -> None:
    assert "grey" not in json.loads(CONTRACT.dumps())
    value = json.loads(replace(CONTRACT, grey=GreyRange(0, 4095)).dumps())
    assert value.pop("grey") == {"black": 0, "white": 4095}
    assert Contract.from_json(value) == CONTRACT


def test_other_readers_find_what_they_need() -> None:
    value = json.loads(CONTRACT.dumps())
    assert value["schema"] == 2
    assert value["written_by"].startswith("resnext ")
    assert value["exif"] is True
    assert value["input"] == {"channels": 3, "height_px": 224, "width_px": 224}


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("schema", 3, "schema 3 was written by resnext"),
        ("classes", [], "classes: empty"),
        ("classes", ["a", "a"], "classes: a name appears twice"),
        ("classes", "ab", "classes: must be a list"),
        ("classes", ["a", 3], r"classes\[1\]: must be str"),
        ("input.height_px", 100, "resize.crop_px"),
        ("input.height_px", "224", "input.height_px: must be int"),
        ("input.height_px", True, "input.height_px: must be int"),
        ("resize.shorter_px", 100, "resize.shorter_px"),
        ("resize.interpolation", "nearest", "resize.interpolation"),
        ("resize.crop", 3, "unknown field 'crop'"),
        ("resize.shorter_px", None, "resize.shorter_px: must be int"),
        ("input.channels", 0, "input: sizes must be positive"),
        ("mean", [0.5], "mean: 1 values"),
        ("mean", [0.5, "0.5", 0.5], r"mean\[1\]: must be float"),
        ("calibration", [], "calibration: must be an object"),
        ("calibration.temperature", "hot", "calibration.temperature: must be float"),
        (
            "provenance.weights_licence",
            "mit\n---\n# x",
            "weights_licence: must be the identifier",
        ),
        ("provenance.weights_licence", "mit\x1b[31m", "weights_licence: must be the identifier"),
        ("provenance.weights_licence", 7, "provenance.weights_licence: must be str"),
        ("provenance.commit", 7, "provenance.commit: must be str"),
        ("std", [0.2, 0.0, 0.2], "std: must be positive"),
        ("std", [0.2, float("nan"), 0.2], r"std\[1\]: must be finite"),
        ("resize.antialias", False, "resize.antialias"),
        ("calibration.temperature", 0.0, "calibration.temperature"),
        ("calibration.reject_below", 0.2, "unknown field 'reject_below'"),
        ("calibration.rejection.threshold", 2.0, "calibration.rejection.threshold: must be from 0 to 1"),
        (
            "calibration.rejection.score",
            "mood",
            "score: must be one of probability, energy, clipped",
        ),
        ("calibration.rejection.clip", 0.5, "rejection.clip: belongs to the score clipped"),
        ("calibration.rejection.neighbour", 5, "rejection.neighbour: belongs to the score neighbours"),
        ("calibration.rejection.false_alarms", 1.0, "rejection.false_alarms: must be from 0 to less than 1"),
        ("calibration.sets.coverage", 1.0, "calibration.sets.coverage: must be between 0 and 1"),
        ("calibration.sets.least_probability", -0.1, "sets.least_probability: must be from 0 to 1"),
        ("exif", False, "exif"),
        ("provenance", None, "provenance: must be an object"),
        ("provenance", {}, "'architecture' is missing"),
        ("colour", 3, "unknown field 'colour'"),
        ("grey", {"black": 0}, "'white' is missing"),
        ("grey", {"black": 5, "white": 5}, "grey: black is 5 and white 5; white must be the larger one"),
        ("grey", [0, 4095], "grey: must be an object"),
    ],
)
def test_bad_fields_are_named(path: str, value: Any, says: str) -> None:
    broken = json.loads(CONTRACT.dumps())
    *parents, last = path.split(".")
    target = broken
    for parent in parents:
        target = target[parent]
    target[last] = value
    with pytest.raises(ContractError, match=says):
        Contract.from_json(broken)


def changed(changes: dict[str, Any]) -> Contract:
    """The contract, read after its fields, by their dotted names, have got other values."""
    value = json.loads(CONTRACT.dumps())
    for path, new in changes.items():
        *parents, last = path.split(".")
        target = value
        for parent in parents:
            target = target[parent]
        target[last] = new
    return Contract.from_json(value)


def rejection(score: str, threshold: float, **more: float) -> dict[str, Any]:
    return {"calibration.rejection": {"score": score, "threshold": threshold, **more}}


def sized(px: int) -> dict[str, Any]:
    return dict.fromkeys(("input.height_px", "input.width_px", "resize.crop_px"), px)


#: Values that are just allowed, values just beyond them, and what the error names.
LIMITS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"resize.shorter_px": 4096}, {"resize.shorter_px": 4097}, "resize.shorter_px: 4097 is more than"),
    ({"resize.shorter_px": 224}, {"resize.shorter_px": 223}, "resize.shorter_px: 223 is less than"),
    (sized(1), sized(0), "input: sizes must be positive"),
    (
        {"input.channels": 1, "mean": [0.5], "std": [0.5]},
        {"input.channels": 0, "mean": [], "std": []},
        "input: sizes must be positive",
    ),
    ({"mean": [1e6, 0, 0]}, {"mean": [1e6 + 0.5, 0, 0]}, "mean: must be"),
    ({"mean": [-1e6, 0, 0]}, {"mean": [-1e6 - 0.5, 0, 0]}, "mean: must be"),
    ({"std": [1e-6, 1, 1]}, {"std": [9e-7, 1, 1]}, "std: must be"),
    ({"std": [1e6, 1, 1]}, {"std": [1e6 + 0.5, 1, 1]}, "std: must be"),
    ({"classes": ["a" * MAX_NAME]}, {"classes": ["a" * (MAX_NAME + 1)]}, r"classes\[0\]: longer"),
    ({"classes": ["ü"]}, {"classes": ["\ud800"]}, r"classes\[0\]: .* is not UTF-8"),
    ({"provenance.commit": "a" * 10_000}, {"provenance.commit": "a" * 10_001}, "commit: longer than 10,000"),
    ({"calibration.temperature": 1e-3}, {"calibration.temperature": 9e-4}, "calibration.temperature"),
    ({"calibration.temperature": 1e3}, {"calibration.temperature": 1000.5}, "calibration.temperature"),
    ({"grey": {"black": -1e12, "white": 0}}, {"grey": {"black": -1e12 - 0.5, "white": 0}}, "grey: black"),
    ({"grey": {"black": 0, "white": 1e12}}, {"grey": {"black": 0, "white": 1e12 + 0.5}}, "grey: black"),
    ({"grey": {"black": 0, "white": 1e-9}}, {"grey": {"black": 0, "white": 9e-10}}, "grey: black"),
    (rejection("probability", 0), rejection("probability", -0.1), "threshold: must be from 0 to 1"),
    (rejection("probability", 1), rejection("probability", 1.1), "threshold: must be from 0 to 1"),
    (rejection("energy", -1e30), rejection("energy", -1.1e30), "threshold: must be"),
    (rejection("energy", 1e30), rejection("energy", 1.1e30), "threshold: must be"),
    (rejection("clipped", -1e30, clip=0.1), rejection("clipped", -1.1e30, clip=0.1), "threshold: must be"),
    (rejection("clipped", 1e30, clip=1e30), rejection("clipped", 1.1e30, clip=1), "threshold: must be"),
    (rejection("clipped", 1, clip=1e30), rejection("clipped", 1, clip=1.1e30), "clip: must be up to"),
    (rejection("clipped", 1, clip=1e-9), rejection("clipped", 1, clip=0), "clip: must be up to"),
    (rejection("clipped", 1, clip=1), rejection("clipped", 1), "clip: belongs to the score clipped"),
    (rejection("neighbours", -1, neighbour=1), rejection("neighbours", -1.1, neighbour=1), "threshold: must"),
    (rejection("neighbours", 1, neighbour=1), rejection("neighbours", 1.1, neighbour=1), "threshold: must"),
    (
        rejection("neighbours", 1, neighbour=1000),
        rejection("neighbours", 1, neighbour=1001),
        "neighbour: must be up to 1000",
    ),
    (rejection("neighbours", 1, neighbour=1), rejection("neighbours", 1, neighbour=0), "neighbour: must be"),
    (rejection("energy", 1, false_alarms=0), rejection("energy", 1, false_alarms=-0.1), "false_alarms"),
    (rejection("energy", 1, false_alarms=0.99), rejection("energy", 1, false_alarms=1), "false_alarms"),
    ({"calibration.sets.coverage": 1e-9}, {"calibration.sets.coverage": 0}, "coverage: must be between"),
    ({"calibration.sets.coverage": 0.99}, {"calibration.sets.coverage": 1}, "coverage: must be between"),
    (
        {"calibration.sets.least_probability": 0},
        {"calibration.sets.least_probability": -0.1},
        "least_probability: must be from 0 to 1",
    ),
    (
        {"calibration.sets.least_probability": 1},
        {"calibration.sets.least_probability": 1.1},
        "least_probability: must be from 0 to 1",
    ),
    ({"descriptions": []}, {"descriptions": ["a"]}, "descriptions: 1 for 4 classes"),
    ({"descriptions": [""] * 4}, {"descriptions": [""] * 5}, "descriptions: 5 for 4 classes"),
    (
        {"descriptions": ["a" * MAX_NAME] * 4},
        {"descriptions": ["a" * (MAX_NAME + 1)] * 4},
        r"descriptions\[0\]: longer",
    ),
    (
        {"descriptions": ["ü"] * 4},
        {"descriptions": ["a", "\ud800", "b", "c"]},
        r"descriptions\[1\]: is not UTF",
    ),
    ({"schema": 2}, {"schema": 2.0}, "schema 2.0 was written by"),
    ({"schema": 2}, {"schema": True}, "schema True was written by"),
]


@pytest.mark.parametrize(("allowed", "beyond", "says"), LIMITS)
def test_the_limits_of_each_field(allowed: dict[str, Any], beyond: dict[str, Any], says: str) -> None:
    contract = changed(allowed)
    assert Contract.loads(contract.dumps()) == contract
    with pytest.raises(ContractError, match=says) as caught:
        changed(beyond)
    assert caught.value.exit_code == 4


def test_a_million_classes() -> None:
    names = tuple(map(str, range(1_000_001)))
    assert len(replace(CONTRACT, classes=names[:-1]).classes) == 1_000_000
    with pytest.raises(ContractError, match="classes: more than 1,000,000"):
        replace(CONTRACT, classes=names)


def test_who_wrote_a_schema_that_is_not_known() -> None:
    for writer, named in (("x" * 200, "x" * 100), (None, "an unknown program")):
        with pytest.raises(ContractError, match=f"was written by {named}; this version"):
            changed({"schema": 9, "written_by": writer})


def test_the_text_is_for_people_too() -> None:
    lines = CONTRACT.dumps().split("\n")
    assert (lines[0], lines[1], lines[-1]) == ("{", '  "schema": 2,', "")
    assert '    "ü"' in lines


def test_a_class_is_described_where_it_has_a_description() -> None:
    assert CONTRACT.describe("10") == "10"
    told = replace(CONTRACT, descriptions=("one", "ten", "of the cat", "u"))
    assert told.describe("10") == "10 (ten)"
    assert json.loads(told.dumps())["descriptions"] == ["one", "ten", "of the cat", "u"]
    assert "descriptions" not in json.loads(CONTRACT.dumps())


def test_what_the_origin_says() -> None:
    bare, full = Provenance("resnet18"), Provenance("resnet18", "cc-by-nc-4.0", "my pets 0123")
    assert (bare.licence_warning, bare.data_name, bare.fingerprint) == ("", "", None)
    assert (full.data_name, full.fingerprint) == ("my pets", "0123")
    assert full.licence_warning.startswith("the weights are under cc-by-nc-4.0, which forbids commercial use")
    assert Provenance("resnet18", "apache-2.0").licence_warning == ""
    assert licence_meant(None) is None
    assert licence_meant("mit\n# x") == "mit\n# x"  # no line: `Provenance` refuses it


def test_the_first_field_that_differs() -> None:
    assert first_difference(CONTRACT, CONTRACT) == ""
    for path, new in {
        "mean": [0.5, 0.4, 0.2],
        "resize.crop_px": 100,
        "calibration.rejection.threshold": 0.3,
        "calibration.rejection": None,
        "calibration.sets": None,
    }.items():
        other = changed({path: new} if path != "resize.crop_px" else sized(100))
        expected = path if path != "resize.crop_px" else "input.height_px"
        assert first_difference(CONTRACT, other) == first_difference(other, CONTRACT) == expected
        assert first_difference(CONTRACT, other, "here") == f"here.{expected}"
    assert first_difference(1, 2, "here") == "here"


def test_schema_1_is_read() -> None:
    """Its calibration had a least probability."""
    old = json.loads(CONTRACT.dumps()) | {"schema": 1}
    assert Contract.from_json(old | {"calibration": None}).calibration is None
    old["calibration"] = {"temperature": 1.5, "reject_below": 0.2}
    assert Contract.from_json(old).calibration == Calibration(1.5, Rejection("probability", 0.2))
    for wrong in ({"temperature": 1.5}, {"temperature": 1.5, "rejection": None}):
        with pytest.raises(ContractError, match="must have temperature and reject_below"):
            Contract.from_json(old | {"calibration": wrong})


def test_texts_that_are_no_contract() -> None:
    for text in ("", "[1]", "{", "null"):
        with pytest.raises(ContractError):
            Contract.loads(text)


numbers = st.floats(-1e6, 1e6)
shares = st.floats(0, 0.99)
rejections = st.none() | st.one_of(
    st.builds(Rejection, st.sampled_from(["probability", "energy"]), shares, st.none() | shares),
    st.builds(Rejection, st.just("clipped"), shares, shares, st.floats(0.1, 9)),
    st.builds(Rejection, st.just("neighbours"), shares, shares, st.none(), st.integers(1, 9)),
)
prediction_sets = st.none() | st.builds(PredictionSets, st.floats(0.1, 0.99), shares)


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    channels, crop = draw(st.integers(1, 4)), draw(st.integers(1, 500))
    words = st.none() | st.text()
    licences = st.none() | st.sampled_from(["mit", "CC-BY-NC-4.0", "MIT OR Apache-2.0"])
    resize = Resize(crop + draw(st.integers(0, 99)), crop, draw(st.sampled_from(["bilinear", "lanczos"])))
    return Contract(
        classes=tuple(draw(st.lists(st.text(), min_size=1, max_size=5, unique=True))),
        input=Input(channels, crop, crop),
        resize=resize,
        mean=tuple(draw(st.lists(numbers, min_size=channels, max_size=channels))),
        std=tuple(draw(st.lists(st.floats(1e-6, 9), min_size=channels, max_size=channels))),
        provenance=Provenance(draw(st.text()), draw(licences), draw(words), draw(words), draw(words)),
        calibration=draw(st.none() | st.builds(Calibration, st.floats(0.1, 9), rejections, prediction_sets)),
    )


@given(contracts())
def test_json_loses_nothing(contract: Contract) -> None:
    assert Contract.loads(contract.dumps()) == contract
    assert not re.search("[\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", contract.dumps())


@pytest.mark.parametrize(
    "licence", ["", "mit: x", "mit\n", "'mit'", "ü", "a" * 101, " mit", "-", "\u202emit"]
)
def test_a_licence_is_an_identifier(licence: str) -> None:
    with pytest.raises(ContractError, match="weights_licence"):
        Provenance("resnet18", weights_licence=licence)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("apache-2.0", "apache-2.0"),
        ("MIT (see LICENSE, © us)", "MIT see LICENSE us"),
        ("cc-by-nc-4.0: non-commercial", "cc-by-nc-4.0 non-commercial"),
        ("?", None),
        ("a" * 500, "a" * 100),
    ],
)
def test_what_earlier_versions_took_for_a_licence_stays_readable(written: str, read: str | None) -> None:
    value = json.loads(CONTRACT.dumps())
    value["provenance"]["weights_licence"] = written
    assert Contract.from_json(value).provenance.weights_licence == read


@pytest.mark.parametrize("field", ["classes", "input", "resize", "mean", "std", "provenance"])
def test_missing_fields_are_named(field: str) -> None:
    value = {k: v for k, v in CONTRACT.to_json().items() if k != field}
    with pytest.raises(ContractError, match=f"field '{field}' is missing"):
        Contract.from_json(value)


def test_what_may_be_left_out() -> None:
    value = json.loads(replace(CONTRACT, resize=Resize(256, 224)).dumps())
    for optional in ("calibration", "exif", "written_by"):
        del value[optional]
    del value["resize"]["interpolation"], value["provenance"]["commit"]
    assert Contract.from_json(value) == replace(CONTRACT, resize=Resize(256, 224), calibration=None)
