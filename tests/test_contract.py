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
)

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
