"""The roofline's kernels, against torch's own counter and against passes counted by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from resnext.arch import Architecture
from resnext.models import create
from resnext.models.block import Block
from resnext.roofline import Kernel, Limits, answer, training_step

NAMES = ["resnet20+transform=basic+template=16", "resnext11_4x4d+template=16", "resnext26_2x8d+template=32"]
VARIANTS = [
    "resnext11_4x4d+template=16+attention=se",
    "resnext26_2x8d+template=32+shortcut=average_projection+stem=deep_imagenet",
]


def by_kind(kernels: Iterable[Kernel]) -> dict[str, list[Kernel]]:
    """The kernels of each kind."""
    found: dict[str, list[Kernel]] = {}
    for kernel in kernels:
        found.setdefault(kernel.kind, []).append(kernel)
    return found


@pytest.mark.parametrize("name", NAMES + VARIANTS)
def test_operations_are_those_that_torch_counts(name: str) -> None:
    arch = Architecture.from_name(name, 10)
    network = create(arch)
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(2, 3, 32, 32))
    first = "Network.conv1" + ".0" * (arch.stem == "deep_imagenet")
    stem = sum(counter.get_flop_counts()[first].values())
    for passes in ("eager", "fused"):
        kernels = training_step(arch, 2, 32, passes)
        assert sum(k.flops for k in kernels if k.phase == "forward") == counter.get_total_flops()
        # Gradients of weights and of inputs cost as much each; nobody wants those of the images.
        assert sum(k.flops for k in kernels) == 3 * counter.get_total_flops() - stem


def traffic(name: str, batch: int, size_px: int) -> dict[str, int]:
    """Values that norms, ReLUs and sums move in an eager step, from the shapes of a real pass.

    A norm reads its input for the statistics, reads and writes to apply them; backward it reads gradient and
    input twice and writes. A ReLU moves two values and three backward, a sum three. Each block adds the two
    gradients that reach its input. The average before the head reads its input and writes its gradient.
    """
    network = create(Architecture.from_name(name, 10))
    norms: list[int] = []
    blocks: list[tuple[int, int, bool]] = []

    def after_norm(module: torch.nn.Module, inputs: Any, output: torch.Tensor) -> None:
        norms.append(output.numel())

    def after_block(module: Any, inputs: Any, output: torch.Tensor) -> None:
        projects = not isinstance(module.downsample, torch.nn.Identity)
        blocks.append((inputs[0].numel(), output.numel(), projects))

    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.register_forward_hook(after_norm)
        if isinstance(module, Block):
            module.register_forward_hook(after_block)
    network(torch.zeros(batch, 3, size_px, size_px))
    outputs = sum(out for _, out, _ in blocks)
    relus = sum(norms) - sum(out for _, out, projects in blocks if projects)
    sums = 3 * outputs + 3 * sum(x for x, _, _ in blocks)
    return {"norm": 8 * sum(norms), "pointwise": 5 * relus + sums + 2 * blocks[-1][1]}


@pytest.mark.parametrize("name", NAMES)
def test_bytes_are_those_counted_by_hand(name: str) -> None:
    kernels = by_kind(training_step(Architecture.from_name(name, 10), 4, 64))
    for kind, values in traffic(name, 4, 64).items():
        counted = sum(kernel.bytes for kernel in kernels[kind])
        assert counted == pytest.approx(4 * values, rel=0.002)  # the head's are left out


def test_a_compiler_saves_passes_over_norms_and_relus_alone() -> None:
    arch = Architecture.from_name("resnext26_2x8d+template=32", 10)
    eager, fused = (by_kind(training_step(arch, 4, 64, passes)) for passes in ("eager", "fused"))

    def moved(kernels: dict[str, list[Kernel]], *kinds: str) -> int:
        return sum(kernel.bytes for kind in kinds for kernel in kernels[kind])

    for kind in eager:
        if "convolution" in kind:
            assert moved(eager, kind) == moved(fused, kind)
    # An inner norm with its ReLU: 13 passes over its values without the convolutions', 10 fused; the sum of a
    # block, its ReLU, its norm and the sum of gradients: 19 and 12 (their shares depend on the widths).
    ratio = moved(fused, "norm", "pointwise") / moved(eager, "norm", "pointwise")
    assert 12 / 19 <= ratio <= 10 / 13


def test_each_kernel_waits_for_its_bytes_or_for_its_operations() -> None:
    limits = Limits(bytes_per_s=100, flops_per_s=1000)
    busy, wide = Kernel("3x3 convolution", "forward", 5000, 10), Kernel("norm", "forward", 0, 300)
    assert limits.seconds([busy, wide]) == 5 + 3


@pytest.mark.parametrize("transform", ["concatenated", "multi_resolution"])
def test_joining_and_parting_paths(transform: str) -> None:
    """Forward, what is joined is read and written once, and parting it is only another name for it."""
    name = f"resnext11_4x4d+template=16+transform={transform}"
    network = create(Architecture.from_name(name, 10))
    joined = 0

    class Joins(TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal joined
            output = function(*args, **(kwargs or {}))
            if function is torch.cat:
                joined += output.numel()
            return output

    with Joins():
        network(torch.zeros(4, 3, 64, 64))
    assert joined > 0
    kernels = training_step(Architecture.from_name(name, 10), 4, 64)
    own = sum(k.bytes for k in kernels if k.kind == "joining" and k.phase == "forward")
    assert own == 4 * 2 * joined
    assert not any(k.kind.startswith("split") for k in kernels)


def test_an_answer_is_the_forward_half_without_statistics() -> None:
    arch = Architecture.from_name("resnext11_4x4d+template=16", 10)
    forward = [k for k in training_step(arch, 2, 32) if k.phase == "forward"]
    assert sum(k.flops for k in answer(arch, 2, 32)) == sum(k.flops for k in forward)
    assert answer(Architecture.from_name("resnet20+template=16", 10), 1, 32)  # a last map of one value


def test_squeeze_and_excitation_adds_a_mean_and_a_product_to_each_block() -> None:
    """Forward and eager: the means read a block's output, scaling reads and writes it; the rest is small."""
    plain, with_se = (
        by_kind(training_step(Architecture.from_name(f"resnext11_4x4d+template=16{more}", 10), 4, 64))
        for more in ("", "+attention=se")
    )
    moved, before = (
        sum(k.bytes for k in kinds["pointwise"] if k.phase == "forward") for kinds in (with_se, plain)
    )
    outputs = sum(4 * 64 * 2**s * (64 // 2**s) ** 2 for s in range(3))
    assert moved - before == pytest.approx(4 * 3 * outputs, rel=0.005)
    biases = [k for k in with_se["1x1 convolution"] if k.phase == "backward" and k.flops == 0]
    assert len(biases) == 2 * 3
