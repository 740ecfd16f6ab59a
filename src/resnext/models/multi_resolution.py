"""The block of Res2Net (Gao et al. 2021) with paths at every scale."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnext.arch import SCALES, StageTemplate
from resnext.models.block import Bottleneck


class MultiResolution(Bottleneck):
    """Each of `SCALES` equal shares of the channels sees the map through one 3x3 more than the one before.

    Of the published blocks that look at several scales at equal cost it gains most over ResNeXt-50 under
    one recipe, 0.85 points of top-1 (Gao et al., table 1); SKNet's gain is mostly its attention, and those
    with maps of low resolution (OctConv, bL-ResNet) save cost instead. Module names are timm's.
    """

    def __init__(self, in_channels: int, stage: StageTemplate, stride: int, shortcut: nn.Module):
        super().__init__(shortcut)
        share, out = stage.inner_channels, stage.out_channels
        self.conv1 = nn.Conv2d(in_channels, share * SCALES, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(share * SCALES)
        self.convs = nn.ModuleList(
            nn.Conv2d(share, share, 3, stride, padding=1, groups=stage.cardinality, bias=False)
            for _ in range(SCALES - 1)
        )
        self.bns = nn.ModuleList(nn.BatchNorm2d(share) for _ in self.convs)
        # A block that opens a stage cannot add a share that the stride has made smaller to the next. It has
        # a projection even where a narrow template meets the width of the stem, and so opens there too.
        self.opens = stride > 1 or in_channels != out or isinstance(shortcut, nn.Sequential)
        self.pool = nn.AvgPool2d(3, stride, padding=1) if self.opens else nn.Identity()
        self.conv3 = nn.Conv2d(share * SCALES, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)

    def transform(self, x: Tensor) -> Tensor:
        shares = F.relu(self.bn1(self.conv1(x)), inplace=True).chunk(SCALES, dim=1)
        seen: list[Tensor] = []
        for number, (conv, bn) in enumerate(zip(self.convs, self.bns, strict=True)):
            share = shares[number] if self.opens or not seen else shares[number] + seen[-1]
            seen.append(F.relu(bn(conv(share)), inplace=True))
        y: Tensor = self.bn3(self.conv3(torch.cat([*seen, self.pool(shares[SCALES - 1])], dim=1)))
        return y
