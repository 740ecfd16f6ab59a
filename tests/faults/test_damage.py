"""Damaged files: a checkpoint that is not whole is never loaded, and other files give our errors only."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from resnext.contract import Contract, ContractError, Input, Provenance, Resize
from resnext.recipe import Recipe, RecipeError, named_recipe
from resnext.training import checkpoints
from resnext.training.checkpoints import CheckpointError
from resnext.training.loop import TrainState
from resnext.training.settings import TrainingSettings

SETTINGS = TrainingSettings(averaging=0.1)


def state() -> TrainState:
    torch.manual_seed(0)
    return TrainState(nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)), SETTINGS)


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    """A checkpoint's bytes."""
    made = state()
    made.step = 7
    for parameter in made.network.parameters():
        parameter.grad = torch.ones_like(parameter)
    made.optimiser.step()
    checkpoints.write_snapshot(checkpoints.take_snapshot(made, {"best": 1}), tmp_path / "whole.safetensors")
    return (tmp_path / "whole.safetensors").read_bytes()


def loads_rightly(content: bytes, path: Path, reference: TrainState) -> bool:
    """Loaded: then it must be what was saved. Refused: False. Anything else: the test fails."""
    path.write_bytes(content)
    made = state()
    try:
        extra = checkpoints.load_checkpoint(made, path)
    except CheckpointError:
        return False
    assert (made.step, extra) == (7, {"best": 1})
    expected = reference.network.state_dict()
    assert all(torch.equal(t, expected[name]) for name, t in made.network.state_dict().items())
    return True


@pytest.fixture
def reference(whole: bytes, tmp_path: Path) -> TrainState:
    made = state()
    (tmp_path / "reference.safetensors").write_bytes(whole)
    checkpoints.load_checkpoint(made, tmp_path / "reference.safetensors")
    return made


def test_cut_short_or_one_byte_flipped(
    full: bool, record: Callable[..., None], whole: bytes, reference: TrainState, tmp_path: Path
) -> None:
    places = 200 if full else 40
    draw, path, harmless = random.Random(0), tmp_path / "x.safetensors", 0
    for place in range(places):
        size = draw.randrange(len(whole))
        assert not loads_rightly(whole[:size], path, reference)
        flipped = bytearray(whole)
        at = len(whole) * place // places
        flipped[at] ^= 1 << draw.randrange(8)
        harmless += loads_rightly(bytes(flipped), path, reference)
    assert harmless <= places // 20  # bytes that say nothing, such as the blanks after the header
    record("cut short and one bit flipped", places=places, refused=2 * places - harmless, harmless=harmless)


def mutate(content: bytes, draw: random.Random) -> bytes:
    """One to three random edits: bits, bytes, cuts, insertions, repetitions, exchanges of ends."""
    out = bytearray(content)
    for _ in range(draw.randint(1, 3)):
        if not out:
            break
        at, size = draw.randrange(len(out)), draw.randint(1, 20)
        match draw.randrange(6):
            case 0:
                out[at] ^= 1 << draw.randrange(8)
            case 1:
                out[at] = draw.randrange(256)
            case 2:
                del out[at : at + size]
            case 3:
                out[at:at] = draw.randbytes(size)
            case 4:
                out[at:at] = out[at : at + size]
            case 5:
                out = out[at:] + out[:at] if draw.random() < 0.2 else out[:at]
    return bytes(out)


CONTRACT = Contract(
    ("cat", "dog"), Input(3, 32, 32), Resize(36, 32), (0.5,) * 3, (0.2,) * 3, Provenance("resnet50")
)


@pytest.mark.filterwarnings("ignore")
def test_random_mutations(
    full: bool, record: Callable[..., None], whole: bytes, reference: TrainState, tmp_path: Path
) -> None:
    count = 5000 if full else 300
    draw, path = random.Random(1), tmp_path / "x.safetensors"
    recipe, contract = named_recipe("cifar").to_toml().encode(), CONTRACT.dumps().encode()
    outcomes = {"checkpoint": [0, 0], "config": [0, 0], "contract": [0, 0]}  # accepted, refused
    for _ in range(count):
        accepted = loads_rightly(mutate(whole, draw), path, reference)
        outcomes["checkpoint"][not accepted] += 1
        try:
            read = Recipe.from_toml(mutate(recipe, draw).decode("utf-8", "surrogateescape"))
            assert Recipe.from_toml(read.to_toml()) == read  # still a valid file
            outcomes["config"][0] += 1
        except RecipeError:
            outcomes["config"][1] += 1
        try:
            other = Contract.loads(mutate(contract, draw).decode("utf-8", "surrogateescape"))
            assert Contract.loads(other.dumps()) == other
            outcomes["contract"][0] += 1
        except ContractError:
            outcomes["contract"][1] += 1
    assert all(refused > count / 3 for _, refused in outcomes.values())
    record(
        "random mutations", each=count, **{k: {"valid": a, "refused": r} for k, (a, r) in outcomes.items()}
    )
