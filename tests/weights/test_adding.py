"""Weights that were fetched by hand are found by their name afterwards, if they are what they should be."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import resnext
from resnext.arch import Architecture
from resnext.catalogue import DamagedWeights, UnknownWeights, entries, locate
from resnext.catalogue.references import verify_local
from resnext.models import create
from resnext.weights import WeightsError, add_weights

NAME = "resnet10t.c3_in1k"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file as it is published, and a catalogue in which it has that digest."""
    monkeypatch.setenv("RESNEXT_CACHE", str(tmp_path / "cache"))
    [entry] = [entry for entry in entries.catalogue() if entry.name == NAME]
    torch.save(create(Architecture.from_name(entry.network), 5).state_dict(), tmp_path / "draft")
    digest = hashlib.sha256((tmp_path / "draft").read_bytes()).hexdigest()
    published = replace(entry, file=f"resnet10t_176_c3-{digest[:8]}.pth")
    monkeypatch.setattr(entries, "catalogue", lambda: (published,))
    return (tmp_path / "draft").rename(tmp_path / str(published.file))


def test_the_file_name_says_which_weights_they_are(file: Path) -> None:
    entry, folder = add_weights(file)
    assert entry.name == NAME
    assert locate(NAME).path == folder
    classifier = resnext.load(NAME, "cpu")
    assert classifier.contract == entry.contract
    expected = torch.load(file)
    assert torch.equal(classifier.network.state_dict()["fc.weight"], expected["fc.weight"])


def test_a_file_of_another_name_needs_to_be_told(file: Path) -> None:
    other = file.rename(file.with_name("model.pth"))
    with pytest.raises(WeightsError, match="say which they are with --of NAME"):
        add_weights(other)
    assert add_weights(other, NAME)[0].name == NAME
    with pytest.raises(UnknownWeights, match="Nearest"):
        add_weights(other, "resnet10")


def test_a_damaged_file_is_refused_and_nothing_is_kept(file: Path, tmp_path: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(WeightsError, match="is damaged or another file"):
        add_weights(file)
    assert not (tmp_path / "cache" / "weights").exists()


def test_weights_of_another_network_are_refused(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pth"
    torch.save(create(Architecture.from_name("resnet18"), 0).state_dict(), other)
    with pytest.raises(WeightsError, match="do not fit the network"):
        add_weights(other, NAME)
    assert not (tmp_path / "cache" / "weights" / NAME).exists()


def test_what_is_damaged_later_is_noticed(file: Path) -> None:
    entry, folder = add_weights(file)
    assert verify_local(entry) == folder
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(DamagedWeights, match="at its first use"):
        resnext.load(NAME, "cpu")


def test_added_again_it_is_replaced(file: Path) -> None:
    add_weights(file)
    entry, folder = add_weights(file)
    assert verify_local(entry) == folder


def test_a_file_that_cannot_be_read(file: Any) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        add_weights(file.with_name("nope.pth"), NAME)
