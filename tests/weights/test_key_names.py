"""Names of tensors of other programs: peeled and translated, and never by half."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from resnext.arch import Architecture
from resnext.models import create
from resnext.weights.key_names import CONTAINERS, MAX_NESTING, WRAPPERS, find_tensors, translate

STATE = create(Architecture.from_name("resnext11_4x4d+template=8", 3)).state_dict()


@given(st.lists(st.sampled_from(WRAPPERS), max_size=4))
@settings(max_examples=60)
def test_wrappers_are_peeled_in_any_order(wrappers: list[str]) -> None:
    prefix = "".join(wrappers)
    found = translate({prefix + name: tensor for name, tensor in STATE.items()})
    assert list(found.tensors) == list(STATE)
    assert len(found.notes) == len(wrappers)
    assert all(found.tensors[name] is STATE[name] for name in STATE)


@pytest.mark.parametrize("containers", [*itertools.product(CONTAINERS, repeat=2)])
def test_containers_are_opened_at_any_depth(containers: tuple[str, str]) -> None:
    value: dict[str, Any] = dict(STATE)
    for name in containers:
        value = {name: value, "epoch": 7, "optimizer": {"state": {}}}
    found = find_tensors(value)
    assert list(found.tensors) == list(STATE)
    assert found.notes == (f"took {' / '.join(reversed(containers))}",)


def test_averaged_weights_come_first() -> None:
    averaged = {name: torch.ones_like(tensor) for name, tensor in STATE.items()}
    for key in ("state_dict_ema", "model_ema", "ema"):
        found = find_tensors({"state_dict": STATE, "model": STATE, key: averaged})
        assert found.tensors["fc.bias"].sum() == 3, key


def test_a_nest_without_end_is_not_followed() -> None:
    value: dict[str, Any] = {}
    value["model"] = value
    assert find_tensors(value).notes == ("took " + " / ".join(["model"] * MAX_NESTING),)


def test_a_prefix_of_some_names_stays() -> None:
    """Half a file in a wrapper is not understood, so it must not pass for a whole one."""
    some = {(f"module.{n}" if n.startswith("layer1") else n): t for n, t in STATE.items()}
    assert list(translate(some).tensors) == list(some)


@pytest.mark.parametrize(
    ("kept", "others"),
    [
        ("encoder_q.", {"encoder_k.conv1.weight": 1, "queue": 1, "encoder_q.fc.0.weight": 1}),
        ("encoder.", {"predictor.0.weight": 1, "encoder.fc.0.weight": 1}),
        ("", {"prototypes.weight": 1, "projection_head.0.weight": 1}),
        ("backbone.", {"head.last_layer.weight": 1, "head.mlp.0.weight": 1}),
    ],
)
def test_what_pre_training_without_labels_leaves(kept: str, others: dict[str, int]) -> None:
    """The network, without its head; a head of that training is none for classes."""
    body = {name: tensor for name, tensor in STATE.items() if not name.startswith("fc.")}
    file = {f"module.{kept}{name}": tensor for name, tensor in body.items()}
    file |= {f"module.{name}": torch.zeros(2) for name in others}
    found = find_tensors({"state_dict": file})
    assert list(found.tensors) == list(body)
    assert "has no head" in found.notes[-1]


def test_counters_of_averaging_are_no_weights() -> None:
    found = find_tensors(
        {"model_ema": {"n_averaged": torch.tensor(3)} | {f"module.{n}": t for n, t in STATE.items()}}
    )
    assert list(found.tensors) == list(STATE)


@pytest.mark.parametrize("head", ["fc", "head.fc", "last_linear"])
def test_two_tensors_that_would_have_one_name_are_refused(head: str) -> None:
    """A network and a second head: neither may be dropped without a word."""
    file = {f"module.{own}": tensor for own, tensor in STATE.items()} | {f"{head}.weight": torch.zeros(3, 3)}
    with pytest.raises(ValueError, match=r"would both be fc\.weight: it holds more than one network"):
        translate(file)
