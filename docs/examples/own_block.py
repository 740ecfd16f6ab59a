"""Bring a block of your own: one row, one class, and everything else knows it.

    python own_block.py

The block here looks at two sizes of neighbourhood: half of its paths see 3x3, the other half 3x3 with gaps
(dilation 2), which is 5x5. docs/extending.md has the same for a block that becomes part of the package.
"""

import tempfile

import torch
from torch import Tensor, nn

import resnext
from resnext.arch import TRANSFORMS, StageTemplate
from resnext.arch.transforms import CardinalityRule, Transform
from resnext.models.blocks import BLOCKS, Layered


def layers(stage: StageTemplate) -> tuple[str, ...]:
    """The layers of a block, in the words of the paper's table 1."""
    inner, out = stage.inner_channels, stage.out_channels
    half = f"{inner // 2}, C={stage.cardinality // 2}"
    return f"1x1, {inner}", f"3x3, {half} | 3x3 with gaps, {half}", f"1x1, {out}"


class Halves(nn.Module):
    """(B, C, H, W) -> (B, C, H / stride, W / stride): one convolution for each half of the channels."""

    def __init__(self, channels: int, groups: int, stride: int) -> None:
        super().__init__()
        self.near = nn.Conv2d(channels, channels, 3, stride, padding=1, groups=groups, bias=False)
        self.far = nn.Conv2d(channels, channels, 3, stride, padding=2, dilation=2, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        near, far = x.chunk(2, dim=1)
        return torch.cat([self.near(near), self.far(far)], dim=1)


class TwoReaches(Layered):
    """ResNeXt's bottleneck with `Halves` in the place of its grouped 3x3."""

    def middle(self, stage: StageTemplate, stride: int) -> nn.Module:
        return Halves(stage.inner_channels // 2, stage.cardinality // 2, stride)


EVEN = CardinalityRule(lambda cardinality, out: cardinality % 2 == 0, "two_reaches needs an even cardinality")
TRANSFORMS["two_reaches"] = Transform("two_reaches", layers=3, expansion=4, text=layers, cardinality=EVEN)
BLOCKS["two_reaches"] = TwoReaches


def main() -> None:
    name = "resnext11_4x4d+template=16"
    for network in (name, f"{name}+transform=two_reaches"):
        cost = resnext.design.describe(network, size_px=8).cost
        with tempfile.TemporaryDirectory() as runs:
            run = resnext.train("digits", model=network, epochs=3, runs=runs)
            error = run.result["metrics"]["test"]["top1_error"]
        print(f"{network}: {cost.params:,} parameters, {error:.1f} % of the test images wrong")


if __name__ == "__main__":
    main()
