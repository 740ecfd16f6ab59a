"""Laws of the networks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from resnext.arch import (
    ATTENTIONS,
    FORMS,
    KNOWN_NAMES,
    SHORTCUTS,
    STEMS,
    TRANSFORMS,
    Architecture,
    ArchitectureError,
    StageTemplate,
)
from resnext.models import Network, blocks, create, shortcuts
from resnext.models import attention as attentions
from resnext.models.block import Block
from resnext.models.stochastic_depth import StochasticDepth


def small(transform: str, **values: Any) -> Architecture:
    """A small network, with several paths where the transformation can have them."""
    paths = (4, 4) if TRANSFORMS[transform].cardinality.allows(4, 64) else (1, 12)
    base = Architecture(
        (2, 2, 2), *paths, template_width=16, transform=transform, stem="cifar", in_channels=1, classes=5
    )
    return replace(base, **values)


def test_every_row_has_its_class() -> None:
    assert set(blocks.BLOCKS) == set(TRANSFORMS)
    assert set(attentions.ATTENTION_MODULES) == set(ATTENTIONS)
    assert set(shortcuts.SHORTCUT_MODULES) == set(SHORTCUTS)


@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_the_side_of_the_last_map_is_known_from_the_name(stem: str, shortcut: str) -> None:
    arch = Architecture.from_name(f"resnet14+template=8+blocks=1-1-1-1+shortcut={shortcut}+stem={stem}")
    with torch.device("meta"):
        network = Network(arch).eval()
    maps: list[torch.Size] = []
    network.get_submodule("layer4").register_forward_hook(lambda *one: maps.append(one[-1].shape[2:]))
    sides = (2, 3, 15, 16, 17, 31, 32, 33, 64, 65, 100, 224)
    for side_px in sides:
        network(torch.empty(1, 3, side_px, side_px, device="meta"))
    assert maps == [(arch.last_map_px(side_px),) * 2 for side_px in sides]


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_the_side_of_the_last_map_is_the_same_for_every_transformation(transform: str) -> None:
    arch = small(transform)
    network, maps = create(arch).eval(), []
    network.get_submodule("layer3").register_forward_hook(lambda *one: maps.append(one[-1].shape[2:]))
    for side_px in (4, 5, 8, 9):
        network(torch.zeros(1, 1, side_px, side_px))
    assert maps == [(arch.last_map_px(side_px),) * 2 for side_px in (4, 5, 8, 9)]


@pytest.mark.parametrize("stem", STEMS)
def test_every_stem_is_built_as_its_row_says(stem: str) -> None:
    row, net = STEMS[stem], create(Architecture.from_name(f"resnet14+blocks=1-1-1-1+stem={stem}", 5, 1))
    layers = net.conv1 if len(row.convolutions) > 1 else [net.conv1]
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    found = [(one.kernel_size[0], one.out_channels, one.stride[0]) for one in convolutions]
    assert found == [(one.kernel, one.channels, one.stride) for one in row.convolutions]
    side = row.size_px
    for layer in (*row.convolutions, row.early_pooling, row.pooling):
        side //= layer.stride if layer is not None else 1
    pooled = net.maxpool(
        net.relu(net.bn1(net.early_maxpool(net.conv1(torch.zeros(1, 1, *[row.size_px] * 2)))))
    )
    assert pooled.shape == (1, row.channels, side, side)


VALUES = [
    *({"stem": stem, "shortcut": shortcut} for stem in STEMS for shortcut in SHORTCUTS),
    *({"attention": name} for name in ATTENTIONS),
]


@pytest.mark.parametrize("values", VALUES, ids=lambda values: "-".join(values.values()))
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_everything_runs_together_and_every_parameter_learns(transform: str, values: dict[str, str]) -> None:
    net = create(small(transform, **values))
    logits = net(torch.randn(3, 1, 37, 45))
    assert logits.shape == (3, 5)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


@pytest.mark.parametrize("shortcut", SHORTCUTS)
@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_no_convolution_before_a_norm_has_a_bias(transform: str, stem: str, shortcut: str) -> None:
    with torch.device("meta"):
        net = Network(small(transform, stem=stem, shortcut=shortcut))
    assert not [
        name for name, one in net.named_modules() if isinstance(one, nn.Conv2d) and one.bias is not None
    ]


def test_only_the_first_block_of_a_bottleneck_stage_projects_where_nothing_changes() -> None:
    """The authors' networks do so even where a narrow template meets the width of the stem."""
    for transform, projects in (("grouped", True), ("basic", False)):
        width = 64 // TRANSFORMS[transform].expansion
        net = create(small(transform, template_width=width, in_channels=3))
        first, second = net.get_submodule("layer1").children()
        assert isinstance(first.downsample, nn.Sequential) == projects
        assert isinstance(second.downsample, nn.Identity)


def test_averages_count_no_pixel_outside_the_map() -> None:
    """torch never does without a margin; programs that read an export may."""
    pool, *_ = shortcuts.project_averages(shortcuts.Shape(8, 16, 2, opens_bottlenecks=True)).children()
    assert isinstance(pool, nn.AvgPool2d)
    assert not pool.count_include_pad


def test_a_new_network_has_fresh_weights() -> None:
    arch = Architecture.from_name("resnext11_4x4d+template=16", 10)
    net = Network(arch)
    assert not net.fc.bias.any()
    bound = net.num_features**-0.5
    assert -bound <= net.fc.weight.min() < -0.9 * bound < 0.9 * bound < net.fc.weight.max() <= bound
    one, other = create(arch).state_dict(), create(arch, seed=0).state_dict()
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_zero_pad_has_no_parameters_and_keeps_the_old_channels() -> None:
    shape = shortcuts.Shape(8, 16, 2, opens_bottlenecks=True)
    module, x = shortcuts.zero_pad(shape), torch.randn(1, 8, 7, 7)
    assert not list(module.parameters())
    assert torch.equal(module(x)[:, :8], x[:, :, ::2, ::2])
    assert module(x)[:, 8:].abs().sum() == 0


@torch.no_grad()
def test_squeeze_and_excitation_scales_each_channel_by_the_means_of_all() -> None:
    module = attentions.SqueezeExcitation(48).double()
    x = torch.randn(3, 48, 5, 4, dtype=torch.float64)
    means = x.flatten(2).mean(2)
    hidden = F.relu(F.linear(means, module.fc1.weight[:, :, 0, 0], module.fc1.bias))
    factors = torch.sigmoid(F.linear(hidden, module.fc2.weight[:, :, 0, 0], module.fc2.bias))
    torch.testing.assert_close(module(x), x * factors[:, :, None, None], rtol=0, atol=1e-12)


def test_biases_of_convolutions_start_at_zero() -> None:
    net = create(Architecture.from_name("resnext11_4x4d+template=16+attention=se", 5))
    biased = [m for m in net.modules() if isinstance(m, nn.Conv2d) and m.bias is not None]
    assert len(biased) == 2 * 3
    assert not any(module.bias.any() for module in biased)


class Scale(nn.Module):
    """A parameter that no rule knows."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_a_parameter_without_a_rule_is_named(transform: str) -> None:
    net = create(small(transform))
    net.get_submodule("layer2.0").se = Scale()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(TypeError, match=r"layer2\.0\.se \(Scale\) has parameters and no initialisation rule"):
        net.reset_parameters()
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_initialisation_is_the_paper_s() -> None:
    net = create(Architecture.from_name("resnext29_8x64d", 100), seed=3)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            expected = (2 / (module.out_channels * module.kernel_size[0] ** 2)) ** 0.5
            error = module.weight.std().item() / expected - 1
            assert abs(error) < 5 / (2 * module.weight.numel()) ** 0.5  # five standard errors
            assert module.bias is None
        elif isinstance(module, nn.BatchNorm2d):
            assert torch.equal(module.weight, torch.ones_like(module.weight))
            assert torch.equal(module.bias, torch.zeros_like(module.bias))
            assert (module.eps, module.momentum) == (1e-5, 0.1)
    bound = net.fc.in_features**-0.5
    assert 0.99 * bound < net.fc.weight.abs().max() <= bound
    assert torch.equal(net.fc.bias, torch.zeros(100))


def test_weights_depend_on_the_seed_alone() -> None:
    arch = Architecture.from_name("resnext11_4x4d", 10)
    torch.manual_seed(1)
    a = create(arch, 5).state_dict()
    torch.manual_seed(2)
    b, other = create(arch, 5).state_dict(), create(arch, 6).state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["conv1.weight"], other["conv1.weight"])


@pytest.mark.parametrize("name", KNOWN_NAMES)
@torch.no_grad()
def test_known_networks_take_odd_sizes(name: str) -> None:
    """Shapes of all; finite logits of those with fewer than ten million parameters."""
    arch = Architecture.from_name(name, 7)
    sizes = ((65, 47), (33, 129)) if arch.size_px == 224 else ((17, 13), (5, 33))
    with torch.device("meta"):
        net = Network(arch).eval()
        for size in sizes:
            assert net(torch.empty(2, 3, *size)).shape == (2, 7)
    if sum(p.numel() for p in net.parameters()) < 10_000_000:
        net = create(arch).eval()
        for size in sizes:
            logits = net(torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0)))
            assert logits.isfinite().all()
            assert not torch.equal(logits[0], logits[1])


@pytest.mark.parametrize(
    "name",
    [
        "resnet18+template=8",
        "resnext50_2x4d+template=8",
        "resnext29_2x4d+template=8",
        "resnext29_2x4d+template=8+stem=deep",
        "resnext50_2x4d+template=8+stem=deep_imagenet+attention=se+shortcut=average_projection",
    ],
)
def test_the_map_halves_where_the_width_doubles(name: str) -> None:
    arch, maps = Architecture.from_name(name), []
    with torch.device("meta"):
        net = Network(arch)
        for number in range(1, len(arch.blocks) + 1):
            net.get_submodule(f"layer{number}").register_forward_hook(
                lambda m, x, y: maps.append(y.shape[1:])
            )
        net(torch.empty(2, 3, 64, 64))
    size = {"imagenet": 16, "cifar": 64, "deep": 32, "deep_imagenet": 16}[arch.stem]
    channels = arch.stages[0].out_channels
    assert maps == [(channels * 2**s, size // 2**s, size // 2**s) for s in range(len(arch.blocks))]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("cardinality", [1, 4])
def test_a_grouped_block_is_the_sum_of_its_paths(cardinality: int, stride: int) -> None:
    """Form (a) of the paper's figure 3: each path by itself, then the sum and one batch norm."""
    d, out = 3, 16
    shape = shortcuts.Shape(10, out, stride, opens_bottlenecks=True)
    stage = StageTemplate(blocks=1, cardinality=cardinality, path_width=d, out_channels=out, stride=stride)
    block = blocks.Grouped(10, stage, stride, shortcuts.project_openings(shape)).double().train()
    x = torch.randn(4, 10, 9, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    merged = torch.zeros((), dtype=torch.float64)
    for i in range(cardinality):
        own = slice(i * d, i * d + d)
        y = F.conv2d(x, block.conv1.weight[own])
        y = F.relu(F.batch_norm(y, None, None, block.bn1.weight[own], block.bn1.bias[own], training=True))
        y = F.conv2d(y, block.conv2.weight[own], stride=stride, padding=1)
        y = F.relu(F.batch_norm(y, None, None, block.bn2.weight[own], block.bn2.bias[own], training=True))
        merged = merged + F.conv2d(y, block.conv3.weight[:, own])
    expected = F.relu(block.bn3(merged) + block.downsample(x))
    torch.testing.assert_close(block(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("stride", [1, 2])
def test_nothing_stands_between_the_halves_of_a_separable_3x3(stride: int) -> None:
    """Written out, in training: 1x1, a filter for each channel, a 1x1 across them, 1x1."""
    inner, out = 6, 16
    shape = shortcuts.Shape(10, out, stride, opens_bottlenecks=True)
    stage = StageTemplate(blocks=1, cardinality=1, path_width=inner, out_channels=out, stride=stride)
    block = blocks.Separable(10, stage, stride, shortcuts.project_openings(shape)).double().train()
    x = torch.randn(4, 10, 9, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def norm(y: torch.Tensor, module: torch.nn.Module) -> torch.Tensor:
        return F.batch_norm(y, None, None, module.weight, module.bias, training=True)

    y = F.relu(norm(F.conv2d(x, block.conv1.weight), block.bn1))
    each, across = block.conv2
    columns = F.unfold(y, 3, padding=1, stride=stride).view(4, inner, 9, -1)
    filtered = (columns * each.weight.view(1, inner, 9, 1)).sum(2)
    mixed = torch.einsum("oc,bcp->bop", across.weight[:, :, 0, 0], filtered)
    y = mixed.view(4, inner, -(-9 // stride), -(-7 // stride))
    y = norm(F.conv2d(F.relu(norm(y, block.bn2)), block.conv3.weight), block.bn3)
    expected = F.relu(y + norm(F.conv2d(x, block.downsample[0].weight, stride=stride), block.downsample[1]))
    torch.testing.assert_close(block(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("shortcut", SHORTCUTS)
@pytest.mark.parametrize("transform", TRANSFORMS)
@torch.no_grad()
def test_every_block_adds_its_shortcut_to_its_transformation(
    transform: str, shortcut: str, attention: str
) -> None:
    arch = small(transform, shortcut=shortcut, attention=attention)
    net = create(replace(arch, in_channels=64)).eval()
    x = torch.randn(2, 64, 9, 7, generator=torch.Generator().manual_seed(0))
    for number, stage in enumerate(arch.stages, start=1):
        for place, block in enumerate(net.get_submodule(f"layer{number}").children()):
            opens = place == 0
            averages = shortcut == "average_projection"
            projects = shortcut == "projection_all" or (opens and (averages or shortcut == "projection"))
            assert any(True for _ in block.downsample.parameters()) == projects
            added = x  # the identity
            if shortcut == "none":
                added = torch.zeros(())
            elif projects:
                *_, convolution, norm = block.downsample
                stride = stage.stride if opens else 1
                pooled = F.avg_pool2d(x, stride, ceil_mode=True) if averages else x
                added = norm(F.conv2d(pooled, convolution.weight, stride=1 if averages else stride))
            elif opens:  # every second pixel, and zeros for the new channels
                thinned = x[:, : stage.out_channels, :: stage.stride, :: stage.stride]
                added = thinned.new_zeros(2, stage.out_channels, *thinned.shape[2:])
                added[:, : thinned.shape[1]] = thinned
            expected = F.relu(block.se(block.transform(x)) + added)
            torch.testing.assert_close(block(x), expected)
            x = expected


@pytest.mark.parametrize(("name", "strided"), [("resnext50_2x4d", "conv2"), ("resnet18", "conv1")])
def test_only_the_first_3x3_of_a_stage_has_a_stride(name: str, strided: str) -> None:
    arch = Architecture.from_name(f"{name}+template=8")
    net = create(arch)
    for number, stage in enumerate(arch.stages, start=1):
        for place, block in enumerate(net.get_submodule(f"layer{number}").children()):
            convolutions = {n: m for n, m in block.named_children() if isinstance(m, nn.Conv2d)}
            assert convolutions[strided].kernel_size == (3, 3)
            for conv, module in convolutions.items():
                stride = stage.stride if place == 0 and conv == strided else 1
                assert module.stride == (stride, stride)


def test_create_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    net = create(Architecture.from_name("resnext11_4x4d+template=16", 10), 5)
    assert torch.equal(torch.get_rng_state(), before)
    other = create(net.arch, 6).state_dict()
    drawn = {name for name, tensor in net.state_dict().items() if tensor.dim() > 1}
    assert not [name for name in drawn if torch.equal(net.state_dict()[name], other[name])]


@pytest.mark.parametrize("name", ["resnext29_8x4d+template=16", "resnet20+template=16"])
def test_blocks_are_dropped_more_often_the_deeper_they_are(name: str) -> None:
    network = create(Architecture.from_name(name, 10))
    names = network.state_dict().keys()
    before = network.eval()(torch.ones(2, 3, 16, 16))
    network.regularise(drop_path=0.3, dropout=0.5)
    rates = [m.rate for m in network.modules() if isinstance(m, StochasticDepth)]
    blocks = sum(network.arch.blocks)
    assert rates == pytest.approx([0.3 * (i + 1) / blocks for i in range(blocks)])
    assert network.state_dict().keys() == names
    assert torch.equal(network(torch.ones(2, 3, 16, 16)), before)  # evaluation drops nothing
    network.train().regularise()
    assert not [m for m in network.modules() if isinstance(m, StochasticDepth | nn.Dropout)]


def test_with_last_scales_of_zero_every_block_is_its_shortcut() -> None:
    network = create(Architecture.from_name("resnext29_8x4d+template=16", 10)).eval()
    network.zero_last_scales()
    for module in network.modules():
        if isinstance(module, Block):
            x = torch.randn(1, module.conv1.in_channels, 8, 8).relu()
            assert torch.equal(module(x), module.downsample(x).relu())


def test_the_parts_hold_every_parameter_once() -> None:
    network = create(Architecture.from_name("resnext50_2x4d+template=8"))
    held = [id(p) for part in network.parts() for p in part.parameters()]
    assert sorted(held) == sorted(id(p) for p in network.parameters())
    assert len(network.parts()) == 1 + 4 + 1


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_features_and_head_are_the_network(transform: str) -> None:
    network = create(small(transform)).eval()
    x = torch.randn(2, 1, 19, 23)
    maps = network.forward_features(x)
    assert maps.shape[1] == network.num_features
    assert torch.equal(network.forward_head(maps), network(x))
    means = network.forward_head(maps, pre_logits=True)
    torch.testing.assert_close(means, maps.mean((2, 3)))
    torch.testing.assert_close(F.linear(means, network.fc.weight, network.fc.bias), network(x))


def test_the_classifier_alone_is_replaced() -> None:
    network = create(small("grouped")).double().eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    x = torch.randn(2, 1, 16, 16, dtype=torch.float64)
    features = network.forward_head(network.forward_features(x), pre_logits=True)
    network.reset_classifier(0)
    assert torch.equal(network(x), features)
    assert (network.num_classes, isinstance(network.get_classifier(), nn.Identity)) == (0, True)
    torch.manual_seed(3)
    network.reset_classifier(4)
    assert (network.num_classes, network.arch.classes) == (4, 4)
    assert network(x).shape == (2, 4)
    assert network.fc.weight.dtype == torch.float64
    assert not network.fc.training
    after = network.state_dict()
    assert [name for name in before if not torch.equal(before[name], after[name])] == ["fc.weight", "fc.bias"]
    assert 0 < network.fc.weight.abs().max() <= network.num_features**-0.5
    for classes in (-1, 1.5, 10**9):
        with pytest.raises(ArchitectureError, match="classes"):
            network.reset_classifier(classes)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", FORMS)
def test_a_network_without_a_classifier_starts_afresh(form: str) -> None:
    network = create(small(form))
    network.reset_classifier(0)
    before = network.get_parameter("conv1.weight").clone()
    network.reset_parameters(torch.Generator().manual_seed(8))
    assert not torch.equal(network.get_parameter("conv1.weight"), before)
