"""The contract's JSON: nothing is lost, and nothing doubtful is read."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from resnext.contract import Calibration, Contract, ContractError, Input, Provenance, Resize

CONTRACT = Contract(
    classes=("1", "10", "cat's", "ü"),
    input=Input(3, 224, 224),
    resize=Resize(256, 224, "bicubic"),
    mean=(0.5, 0.4, 0.3),
    std=(0.2, 0.2, 0.25),
    provenance=Provenance("resnext50_32x4d", data="pets 0123456789abcdef"),
    calibration=Calibration(1.5, 0.2),
)


def test_round_trip() -> None:
    for contract in (CONTRACT, replace(CONTRACT, calibration=None)):
        assert Contract.loads(contract.dumps()) == contract
    assert CONTRACT.provenance.fingerprint == "0123456789abcdef"


def test_other_readers_find_what_they_need() -> None:
    value = json.loads(CONTRACT.dumps())
    assert value["schema"] == 1
    assert value["written_by"].startswith("resnext ")
    assert value["exif"] is True
    assert value["input"] == {"channels": 3, "height_px": 224, "width_px": 224}


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("schema", 2, "schema 2 was written by resnext"),
        ("classes", [], "classes: empty"),
        ("classes", ["a", "a"], "classes: a name stands twice"),
        ("classes", "ab", "classes: must be a list"),
        ("classes", ["a", 3], r"classes\[1\]: must be str"),
        ("input.height_px", 100, "resize.crop_px"),
        ("input.height_px", "224", "input.height_px: must be int"),
        ("input.height_px", True, "input.height_px: must be int"),
        ("resize.shorter_px", 100, "resize.shorter_px"),
        ("resize.interpolation", "nearest", "resize.interpolation"),
        ("resize.crop", 3, "unknown field 'crop'"),
        ("mean", [0.5], "mean: 1 values"),
        ("std", [0.2, 0.0, 0.2], "std: must be positive"),
        ("provenance", None, "provenance: must be an object"),
        ("provenance", {}, "'architecture' is missing"),
        ("colour", 3, "unknown field 'colour'"),
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


def test_texts_that_are_no_contract() -> None:
    for text in ("", "[1]", "{", "null"):
        with pytest.raises(ContractError):
            Contract.loads(text)
