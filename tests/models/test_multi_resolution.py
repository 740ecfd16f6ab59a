"""The block of Res2Net, written out from its paper's equation 1."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from resnext.arch import StageTemplate
from resnext.models.blocks import BLOCKS
from resnext.models.shortcuts import Shape, no_shortcut, project_openings


@pytest.mark.parametrize(
    ("in_channels", "stride", "opens", "projects"),
    [
        (48, 1, False, False),
        (48, 1, True, True),  # a narrow template meets the width of the stem
        (40, 1, True, True),
        (48, 2, True, True),
        (48, 2, True, False),
    ],
)
def test_shares_are_added_but_where_a_stage_opens(
    in_channels: int, stride: int, opens: bool, projects: bool
) -> None:
    """The first share passes one 3x3, each next one the 3x3 of its sum with the result before; the last of
    the four passes none. Where a stage opens, nothing is added, and the last share is averaged over 3x3."""
    stage = StageTemplate(blocks=1, cardinality=2, path_width=3, out_channels=48, stride=stride)
    shape = Shape(in_channels, 48, stride, opens_bottlenecks=opens)
    shortcut = project_openings(shape) if projects or not opens else no_shortcut(shape)
    block: Any = BLOCKS["multi_resolution"](in_channels, stage, stride, shortcut).double().train()
    x = torch.randn(3, in_channels, 9, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def norm(y: torch.Tensor) -> torch.Tensor:
        return F.batch_norm(y, None, None, training=True)  # all scales are 1 and shifts 0

    shares = F.relu(norm(F.conv2d(x, block.conv1.weight))).split(6, dim=1)
    assert len(shares) == 4
    results: list[torch.Tensor] = []
    for share, convolution in zip(shares, block.convs, strict=False):
        seen = share if opens or not results else share + results[-1]
        y = F.conv2d(seen, convolution.weight, stride=stride, padding=1, groups=2)
        results.append(F.relu(norm(y)))
    last = F.avg_pool2d(shares[3], 3, stride, padding=1) if opens else shares[3]
    expected = norm(F.conv2d(torch.cat([*results, last], dim=1), block.conv3.weight))
    torch.testing.assert_close(block.transform(x), expected, rtol=0, atol=1e-12)
