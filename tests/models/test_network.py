"""Laws of the networks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from resnext.arch import SHORTCUTS, STEMS, TRANSFORMS, Architecture
from resnext.models import blocks, create, network, shortcuts


def test_every_word_has_its_class() -> None:
    assert set(blocks.TRANSFORMS) == set(TRANSFORMS)
    assert set(shortcuts.SHORTCUTS) == set(SHORTCUTS)
    assert set(network.STEMS) == set(STEMS)


@pytest.mark.parametrize("shortcut", SHORTCUTS)
@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("base", ["resnext11_4x4d+blocks=1-1-1", "resnet14+transform=basic+blocks=2-2-2"])
def test_everything_runs_together_and_every_parameter_learns(base: str, stem: str, shortcut: str) -> None:
    net = create(Architecture.from_name(f"{base}+stem={stem}+shortcut={shortcut}+template=16", 5, 1))
    logits = net(torch.randn(3, 1, 37, 45))
    assert logits.shape == (3, 5)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_paths_do_not_see_each_other() -> None:
    """The output of path i of the 3x3 depends on path i's weights in the 1x1, and on no other's."""
    net = create(Architecture.from_name("resnext11_4x4d", 10)).double()
    block = net.get_submodule("layer1.0")
    x = torch.randn(2, 64, 8, 8, dtype=torch.float64)
    for path in range(4):
        block.zero_grad()
        own = slice(4 * path, 4 * path + 4)
        hidden = torch.relu(block.bn1(block.conv1(x)))
        block.conv2(hidden)[:, own].square().sum().backward()
        grad = block.conv1.weight.grad
        assert grad[own].abs().sum() > 0
        others = torch.ones(16, dtype=torch.bool)
        others[own] = False
        assert torch.equal(grad[others], torch.zeros_like(grad[others]))


def test_a_block_without_shortcut_is_its_transformation() -> None:
    net = create(Architecture.from_name("resnext11_4x4d+shortcut=none", 10)).eval()
    block, x = net.get_submodule("layer1.0"), torch.randn(2, 64, 8, 8)
    assert torch.equal(block(x), torch.relu(block.transform(x)))


def test_the_stride_is_in_the_3x3() -> None:
    block = create(Architecture.from_name("resnext50_32x4d")).get_submodule("layer2.0")
    strides = [block.get_submodule(name).stride[0] for name in ("conv1", "conv2", "conv3", "downsample.0")]
    assert strides == [1, 2, 1, 2]


def test_zero_pad_has_no_parameters_and_keeps_the_old_channels() -> None:
    shape = shortcuts.Shape(8, 16, 2, opens_bottlenecks=True)
    module, x = shortcuts.zero_pad(shape), torch.randn(1, 8, 7, 7)
    assert not list(module.parameters())
    assert torch.equal(module(x)[:, :8], x[:, :, ::2, ::2])
    assert module(x)[:, 8:].abs().sum() == 0


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
