"""The paper's three forms are one function, and their weights move between them without loss."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from resnext.arch import ATTENTIONS, FORMS, Architecture, StageTemplate
from resnext.models import blocks, convert_form, create, shortcuts
from resnext.models.block import Block

#: The paper's table 2: paths and the width of one in the first stage.
PAIRS = [(1, 64), (2, 40), (4, 24), (8, 14), (32, 4)]


def in_forms(cardinality: int, width: int, number: int, stride: int) -> dict[str, Block]:
    """One block of stage `number` of a 50-layer network in each form, with the same values; float64."""
    stage = StageTemplate(1, cardinality, width * 2**number, 256 * 2**number, stride)
    channels = 64 if number == 0 else 128 * 2**number
    channels = stage.out_channels if stride == 1 and number else channels
    shape = shortcuts.Shape(channels, stage.out_channels, stride, opens_bottlenecks=True)
    torch.manual_seed(0)
    made = {
        form: blocks.BLOCKS[form](channels, stage, stride, shortcuts.project_openings(shape)).double()
        for form in FORMS
    }
    with torch.no_grad():
        for parameter in made["grouped"].parameters():
            parameter.normal_(1 if parameter.dim() == 1 else 0, 0.1)
    whole = {f"layer1.0.{name}": tensor for name, tensor in made["grouped"].state_dict().items()}
    for form, block in made.items():
        state = convert_form(whole, cardinality, form)
        block.load_state_dict({name.removeprefix("layer1.0."): tensor for name, tensor in state.items()})
    return made


def as_grouped(values: dict[str, Tensor], cardinality: int) -> dict[str, Tensor]:
    return convert_form({f"layer1.0.{name}": v for name, v in values.items()}, cardinality, "grouped")


def gradients(block: Block) -> dict[str, Tensor]:
    """Of every parameter: what nothing depends on has none, which is zero."""
    return {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in block.named_parameters()}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("number", [0, 1, 2, 3])
@pytest.mark.parametrize(("cardinality", "width"), PAIRS)
def test_forms_are_equal(cardinality: int, width: int, number: int, stride: int, training: bool) -> None:
    made = in_forms(cardinality, width, number, stride)
    random = torch.Generator().manual_seed(1)
    x = torch.randn(2, made["grouped"].downsample[0].in_channels, 4, 3, dtype=torch.float64, generator=random)
    found = {}
    for form, block in made.items():
        own = x.clone().requires_grad_()
        out = block.train(training)(own)
        (out * torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)).mean().backward()
        found[form] = (out, own.grad, as_grouped(gradients(block), cardinality))
    for form in FORMS[1:]:
        out, inwards, weights = found[form]
        torch.testing.assert_close(out, found["grouped"][0], rtol=0, atol=1e-12)
        torch.testing.assert_close(inwards, found["grouped"][1], rtol=0, atol=1e-12)
        assert weights.keys() == found["grouped"][2].keys()
        for name, gradient in weights.items():
            torch.testing.assert_close(gradient, found["grouped"][2][name], rtol=0, atol=1e-12)


def outputs_of_paths(form: str, block: Block, x: Tensor, cardinality: int) -> tuple[Tensor, ...]:
    """What each path adds to the sum, computed by the block's own modules."""
    if form == "branches":
        return tuple(path(x) for path in block.paths)
    if form == "concatenated":
        hidden = torch.cat([path(x) for path in block.paths], dim=1)
    else:
        hidden = F.relu(block.bn1(block.conv1(x)))
        hidden = F.relu(block.bn2(block.conv2(hidden)))
    shares = zip(hidden.chunk(cardinality, 1), block.conv3.weight.chunk(cardinality, 1), strict=True)
    return tuple(F.conv2d(own, weight) for own, weight in shares)


@pytest.mark.parametrize("form", FORMS)
def test_no_path_learns_from_another(form: str) -> None:
    """Exactly zero: not even rounding leaks from one path to another."""
    cardinality = 8
    block = in_forms(cardinality, 14, 0, 1)[form].train()
    x = torch.randn(2, 64, 5, 5, dtype=torch.float64)
    for number in range(cardinality):
        block.zero_grad()
        outputs_of_paths(form, block, x, cardinality)[number].square().sum().backward()
        for path, own in enumerate(of_each_path(as_grouped(gradients(block), cardinality), cardinality)):
            assert (own.abs().sum() > 0) == (path == number)


def of_each_path(gradients: dict[str, Tensor], cardinality: int) -> list[Tensor]:
    """All gradients of one path's weights, path after path."""
    apart = convert_form(gradients, cardinality, "branches")
    return [
        torch.cat([g.flatten() for name, g in apart.items() if f".paths.{path}." in name])
        for path in range(cardinality)
    ]


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("form", FORMS[1:])
@pytest.mark.parametrize("back", FORMS)
def test_conversion_is_lossless(form: str, back: str, attention: str) -> None:
    arch = Architecture.from_name(f"resnext11_4x4d+transform={back}+attention={attention}", 5)
    state = create(arch, 3).state_dict()
    converted = convert_form(state, 4, form)
    assert converted.keys() == create(replace(arch, transform=form)).state_dict().keys()
    again = convert_form(converted, 4, back)
    assert all(torch.equal(again[name], tensor) for name, tensor in state.items())


@pytest.mark.parametrize("form", FORMS[1:])
def test_forms_start_as_the_same_function(form: str) -> None:
    arch = Architecture.from_name("resnext11_8x4d+template=16", 5)
    grouped, other = create(arch, 7), create(replace(arch, transform=form), 7)
    converted = convert_form(other.state_dict(), 8, "grouped")
    assert all(torch.equal(converted[name], tensor) for name, tensor in grouped.state_dict().items())
    other.reset_parameters()  # from torch's own random state, with the fan-out of the whole layer too
    assert 0.5 < other.state_dict()["layer1.0.paths.0.conv1.weight"].std() / (2 / 32) ** 0.5 < 2


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_forms_learn_the_same(attention: str) -> None:
    """20 steps of SGD from converted weights, in float64."""
    arch = Architecture.from_name(f"resnext11_4x4d+template=16+attention={attention}", 5)
    states = {}
    for form in FORMS:
        network = create(replace(arch, transform=form), 1).double().train()
        optimiser = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
        random = torch.Generator().manual_seed(2)
        for _ in range(20):
            x = torch.randn(8, 3, 8, 8, dtype=torch.float64, generator=random)
            y = torch.randint(5, (8,), generator=random)
            optimiser.zero_grad()
            F.cross_entropy(network(x), y).backward()
            optimiser.step()
        states[form] = convert_form(network.state_dict(), 4, "grouped")
    for form in FORMS[1:]:
        for name, tensor in states["grouped"].items():
            torch.testing.assert_close(states[form][name], tensor, rtol=0, atol=1e-9)
