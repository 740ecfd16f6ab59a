"""`Network`: stem, stages of blocks, head."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnext.arch import FORMS, STEMS, TRANSFORMS, Architecture, StageTemplate
from resnext.models.attention import ATTENTION_MODULES
from resnext.models.block import Block
from resnext.models.blocks import BLOCKS
from resnext.models.forms import convert_form
from resnext.models.initialisation import find_rules
from resnext.models.shortcuts import SHORTCUT_MODULES, Shape
from resnext.models.stems import make_convolutions, make_pooling
from resnext.models.stochastic_depth import StochasticDepth


class Network(nn.Module):
    """The network that `arch` describes; parameters have torchvision's and timm's names.

    Images of any size that survives the strides give logits: (B, in_channels, H, W) -> (B, classes).
    Weights start as in the paper (section 4, He et al. 2015), from torch's global random state; `create`
    starts them from a seed.

    Args:
        arch: What to build.

    Raises:
        TypeError: A module has parameters and no initialisation rule.
    """

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        self.arch = arch
        stem = STEMS[arch.stem]
        self.conv1 = make_convolutions(stem, arch.in_channels)
        self.early_maxpool = make_pooling(stem.early_pooling)
        self.bn1 = nn.BatchNorm2d(stem.channels)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = make_pooling(stem.pooling)
        channels = stem.channels
        for number, stage in enumerate(arch.stages, start=1):
            self.add_module(f"layer{number}", _stage(arch, stage, channels))
            channels = stage.out_channels
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout: nn.Module = nn.Identity()
        self.fc: nn.Module = nn.Linear(channels, arch.classes)
        self.bank: Tensor | None
        self.register_buffer("bank", None, persistent=False)
        if self._device.type != "meta":  # there are no values to set, and setting them takes its time
            self.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))

    def forward_features(self, x: Tensor) -> Tensor:
        """The last feature map: (B, in_channels, H, W) -> (B, num_features, H', W')."""
        x = self.maxpool(self.relu(self.bn1(self.early_maxpool(self.conv1(x)))))
        for number in range(1, len(self.arch.blocks) + 1):
            x = self.get_submodule(f"layer{number}")(x)
        return x

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """What the head makes of the last feature map: (B, num_features, H', W') -> (B, classes).

        Args:
            x: What `forward_features` returned.
            pre_logits: Return what the classifier would receive, the mean of each channel: (B, num_features).
        """
        x = self.dropout(self.avgpool(x).flatten(1))
        return x if pre_logits else self.fc(x)

    @property
    def num_features(self) -> int:
        """Channels of the last feature map, which the classifier receives."""
        return self.arch.features

    @property
    def num_classes(self) -> int:
        """Number of logits; 0 without a classifier."""
        return self.arch.classes if isinstance(self.fc, nn.Linear) else 0

    def get_classifier(self) -> nn.Module:
        """The layer from features to logits; `nn.Identity` if there is none."""
        return self.fc

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the classifier by a fresh one, drawn from torch's global random state.

        Args:
            num_classes: Number of logits. 0 leaves the classifier out, so that the network returns features,
                (B, num_features).

        Raises:
            ArchitectureError: No network has so many classes.

        >>> network = create(Architecture.from_name("resnext11_4x4d+template=16", classes=10))
        >>> network.reset_classifier(3)
        >>> network(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 3])
        """
        if num_classes == 0:
            self.fc = nn.Identity()
            return
        self.arch = replace(self.arch, classes=num_classes)
        like = next(self.parameters())
        self.fc = nn.Linear(self.num_features, num_classes, device=like.device, dtype=like.dtype)
        for module, rule in find_rules([("fc", self.fc)]):
            rule(module, None)
        self.fc.train(self.training)

    def activation_maps(self, features: Tensor) -> Tensor:
        """Class activation maps (B, classes, h, w) of last feature maps (Zhou et al. 2016).

        The head is linear in the mean of the features, so the mean of a map plus the bias of its class is the
        logit, but for rounding.

        >>> network = create(Architecture.from_name("resnet11+template=8", 3)).eval()
        >>> features = network.forward_features(torch.ones(1, 3, 32, 32))
        >>> logits = network.activation_maps(features).mean((2, 3)) + network.fc.bias
        >>> torch.allclose(logits, network.forward_head(features), atol=1e-5)
        True
        """
        assert isinstance(self.fc, nn.Linear)
        return F.conv2d(features, self.fc.weight[:, :, None, None])

    def parts(self) -> list[nn.Module]:
        """The layers from input to output: stem, stages, head."""
        stages = [self.get_submodule(f"layer{n}") for n in range(1, len(self.arch.blocks) + 1)]
        return [nn.ModuleList([self.conv1, self.bn1]), *stages, self.fc]

    def regularise(self, drop_path: float = 0.0, dropout: float = 0.0) -> None:
        """Set the rates at which blocks and inputs of the head are dropped in training; adds no parameter.

        Args:
            drop_path: Rate for the last block; it grows with the depth from nearly 0 for the first.
            dropout: Rate for the inputs of the head.
        """
        blocks = self._blocks()
        for number, block in enumerate(blocks, start=1):
            rate = drop_path * number / len(blocks)
            block.drop_path = StochasticDepth(rate) if rate else nn.Identity()
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.train(self.training)  # the new modules too

    def zero_last_scales(self) -> None:
        """Let every block start as its shortcut: its last batch norm has scale 0 (Goyal et al. 2017)."""
        for block in self._blocks():
            nn.init.zeros_(block.last_norm.weight)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Fresh weights by the rules in `resnext.models.initialisation`, drawn from `generator`.

        The paper's three forms start as the same function.

        Raises:
            TypeError: A module has parameters and no initialisation rule.
        """
        rules = find_rules(self.named_modules())
        if self.arch.transform in FORMS[1:]:  # a path by itself does not know the whole layer's fan-out
            twin = _fresh(replace(self.arch, transform=FORMS[0]), self._device, generator)
            if self.num_classes == 0:
                twin.reset_classifier(0)
            self.load_state_dict(convert_form(twin.state_dict(), self.arch.cardinality, self.arch.transform))
            return
        for module, rule in rules:
            rule(module, generator)

    @property
    def _device(self) -> torch.device:
        return next(self.parameters()).device

    def _blocks(self) -> list[Block]:
        return [module for module in self.modules() if isinstance(module, Block)]


def _stage(arch: Architecture, stage: StageTemplate, in_channels: int) -> nn.Sequential:
    widths = [in_channels] + [stage.out_channels] * (stage.blocks - 1)
    return nn.Sequential(*(_block(arch, stage, width, n == 0) for n, width in enumerate(widths)))


def _block(arch: Architecture, stage: StageTemplate, in_channels: int, opens: bool) -> Block:
    """One block; `opens`: it is the first of its stage, and so has the stride."""
    shape = Shape(
        in_channels=in_channels,
        out_channels=stage.out_channels,
        stride=stage.stride if opens else 1,
        opens_bottlenecks=opens and TRANSFORMS[arch.transform].expansion > 1,
    )
    shortcut = SHORTCUT_MODULES[arch.shortcut](shape)
    block = BLOCKS[arch.transform](in_channels, stage, shape.stride, shortcut)
    block.se = ATTENTION_MODULES[arch.attention](stage.out_channels)
    return block


def _fresh(arch: Architecture, device: torch.device, generator: torch.Generator | None) -> Network:
    with torch.device("meta"):  # without the cost of weights that would be drawn over
        network = Network(arch)
    network.to_empty(device=device)
    network.reset_parameters(generator)
    return network


def create(arch: Architecture, seed: int = 0) -> Network:
    """`Network(arch)` on the CPU, with weights that depend on `arch` and `seed` alone.

    Args:
        arch: What to build.
        seed: Where the random draws start.

    Raises:
        TypeError: A module has parameters and no initialisation rule.

    >>> network = create(Architecture.from_name("resnext11_4x4d+template=16", classes=10))
    >>> network(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    return _fresh(arch, torch.device("cpu"), torch.Generator().manual_seed(seed))
