"""`Network`: stem, stages of blocks, head; its initialisation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from resnext.arch import EXPANSION, FORMS, STEM_CHANNELS, Architecture, StageTemplate
from resnext.models.blocks import TRANSFORMS, Block, StochasticDepth
from resnext.models.forms import convert_form
from resnext.models.shortcuts import SHORTCUTS, Shape


@dataclass(frozen=True)
class Stem:
    """A convolution to the stem's width, followed by batch norm and ReLU, and what pools its map before or
    after these. `narrow` are the channels of a 3x3 convolution before it, with a norm and ReLU of its own."""

    kernel: int
    stride: int
    narrow: int | None = None
    pooling: Callable[[], nn.Module] = nn.Identity
    early_pooling: Callable[[], nn.Module] = nn.Identity

    def convolution(self, in_channels: int) -> nn.Module:
        """From `in_channels` to the stem's width."""

        def to(channels: int, out: int, kernel: int, stride: int) -> nn.Conv2d:
            return nn.Conv2d(channels, out, kernel, stride, padding=kernel // 2, bias=False)

        if self.narrow is None:
            return to(in_channels, STEM_CHANNELS, self.kernel, self.stride)
        return nn.Sequential(
            to(in_channels, self.narrow, 3, 1),
            nn.BatchNorm2d(self.narrow),
            nn.ReLU(inplace=True),
            to(self.narrow, STEM_CHANNELS, self.kernel, self.stride),
        )


STEMS = {
    "imagenet": Stem(kernel=7, stride=2, pooling=lambda: nn.MaxPool2d(3, stride=2, padding=1)),
    "cifar": Stem(kernel=3, stride=1),
    # For small pictures where time is short: all stages at half the size, twice as wide for the same time.
    # Two convolutions see the whole map before it is pooled. A maximum passes through norm and ReLU, so it is
    # taken before them: a quarter of their work.
    "deep": Stem(kernel=3, stride=1, narrow=24, early_pooling=lambda: nn.MaxPool2d(2)),
}


class Network(nn.Module):
    """The network that `arch` describes; parameters named as in torchvision.

    Logits come from pictures of any size that survives the strides: (B, in_channels, H, W) ->
    (B, classes). Weights start as in the paper (section 4, He et al. 2015), from torch's global
    random state; `create` starts them from a seed.
    """

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        self.arch = arch
        stem = STEMS[arch.stem]
        self.conv1 = stem.convolution(arch.in_channels)
        self.early_maxpool = stem.early_pooling()
        self.bn1 = nn.BatchNorm2d(STEM_CHANNELS)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = stem.pooling()
        channels = STEM_CHANNELS
        for number, stage in enumerate(arch.stages, start=1):
            self.add_module(f"layer{number}", _stage(arch, stage, channels))
            channels = stage.out_channels
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout: nn.Module = nn.Identity()
        self.fc = nn.Linear(channels, arch.classes)
        if not self.fc.weight.is_meta:  # there are no values to set, and setting them takes its time
            self.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.early_maxpool(self.conv1(x)))))
        for number in range(1, len(self.arch.blocks) + 1):
            x = self.get_submodule(f"layer{number}")(x)
        logits: Tensor = self.fc(self.dropout(self.avgpool(x).flatten(1)))
        return logits

    def parts(self) -> list[nn.Module]:
        """The layers from input to output: stem, stages, head."""
        stages = [self.get_submodule(f"layer{n}") for n in range(1, len(self.arch.blocks) + 1)]
        return [nn.ModuleList([self.conv1, self.bn1]), *stages, self.fc]

    def regularise(self, drop_path: float = 0.0, dropout: float = 0.0) -> None:
        """Drop blocks at a rate that grows with their depth up to `drop_path`, and inputs of the head at
        the rate `dropout`, in training. Neither adds a parameter."""
        blocks = [module for module in self.modules() if isinstance(module, Block)]
        for number, block in enumerate(blocks, start=1):
            rate = drop_path * number / len(blocks)
            block.drop_path = StochasticDepth(rate) if rate else nn.Identity()
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.train(self.training)  # the new modules too

    def zero_last_scales(self) -> None:
        """Let every block start as its shortcut: its last batch norm has scale 0 (Goyal et al. 2017)."""
        for module in self.modules():
            if isinstance(module, Block):
                nn.init.zeros_(module.last_norm.weight)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Fresh weights: normal with std sqrt(2 / (k * k * out)) in convolutions, as in the authors'
        code (fan-out of the whole layer, not of one group); 1 and 0 in batch norms; uniform within
        1 / sqrt(fan_in) and bias 0 in the head. The paper's three forms start as the same function.
        """
        if self.arch.transform in FORMS[1:]:  # a path by itself does not know the whole layer's fan-out
            twin = _fresh(replace(self.arch, transform=FORMS[0]), self.fc.weight.device, generator)
            self.load_state_dict(convert_form(twin.state_dict(), self.arch.cardinality, self.arch.transform))
            return
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.out_channels * module.kernel_size[0] * module.kernel_size[1]
                nn.init.normal_(module.weight, std=(2 / fan_out) ** 0.5, generator=generator)
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()
            elif isinstance(module, nn.Linear):
                bound = module.in_features**-0.5
                nn.init.uniform_(module.weight, -bound, bound, generator=generator)
                nn.init.zeros_(module.bias)


def _stage(arch: Architecture, stage: StageTemplate, in_channels: int) -> nn.Sequential:
    blocks = []
    for number in range(stage.blocks):
        shape = Shape(
            in_channels=in_channels if number == 0 else stage.out_channels,
            out_channels=stage.out_channels,
            stride=stage.stride if number == 0 else 1,
            opens_bottlenecks=number == 0 and EXPANSION[arch.transform] > 1,
        )
        shortcut = SHORTCUTS[arch.shortcut](shape)
        blocks.append(TRANSFORMS[arch.transform](shape.in_channels, stage, shape.stride, shortcut))
    return nn.Sequential(*blocks)


def _fresh(arch: Architecture, device: torch.device, generator: torch.Generator | None) -> Network:
    with torch.device("meta"):  # without the cost of weights that would be drawn over
        network = Network(arch)
    network.to_empty(device=device)
    network.reset_parameters(generator)
    return network


def create(arch: Architecture, seed: int = 0) -> Network:
    """`Network(arch)` with weights that depend on `arch` and `seed` alone."""
    return _fresh(arch, torch.device("cpu"), torch.Generator().manual_seed(seed))
