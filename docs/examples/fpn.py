"""A feature pyramid network (Lin et al. 2017, arXiv 1612.03144) on a ResNeXt, with a head for detection.

Each level of the pyramid has `width` channels. At each of its places the head scores every class, and gives
the distances to the four sides of a box, in pixels of the level.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import resnext


class Detector(nn.Module):
    """(B, 3, H, W) -> for the reductions 8, 16 and 32: scores (B, classes, h, w) and boxes (B, 4, h, w)."""

    def __init__(self, backbone: str, classes: int, weights: str | None = None, width: int = 256) -> None:
        super().__init__()
        self.backbone = resnext.create(backbone, weights=weights, features_only=True, out_indices=(2, 3, 4))
        channels = self.backbone.feature_info.channels()
        self.lateral = nn.ModuleList(nn.Conv2d(one, width, 1) for one in channels)
        self.smooth = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in channels)
        self.scores = nn.Conv2d(width, classes, 3, padding=1)
        self.boxes = nn.Conv2d(width, 4, 3, padding=1)

    def forward(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        levels = [layer(one) for layer, one in zip(self.lateral, self.backbone(images), strict=True)]
        for finer, coarser in ((1, 2), (0, 1)):
            levels[finer] = levels[finer] + F.interpolate(levels[coarser], size=levels[finer].shape[-2:])
        levels = [layer(one) for layer, one in zip(self.smooth, levels, strict=True)]
        return [(self.scores(one), self.boxes(one).exp()) for one in levels]


if __name__ == "__main__":  # weights="resnext50_32x4d" starts from public ones
    for scores, boxes in Detector("resnext50_32x4d", classes=80)(torch.zeros(1, 3, 256, 320)):
        print(tuple(scores.shape), tuple(boxes.shape))
