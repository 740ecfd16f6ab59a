"""`GroupedLayer`: a kind of grouped convolution, and the small graph of ONNX in which it is timed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from resnext.contract import Contract
from resnext.engine.libraries import import_library
from resnext.export.graph import PIXELS
from resnext.export.onnx_format import OPSET
from resnext.export.packing import pack_weight
from resnext.models import Network, fold_batch_norms

#: Version of the format of ONNX, as torch writes it.
IR_VERSION = 10
#: Every bias of a block.
BIAS = 0.1

Pair = tuple[int, int]


@dataclass(frozen=True)
class GroupedLayer:
    """All that the time of a grouped convolution depends on, for each image.

    Attributes:
        channels_in: Channels of its input.
        channels_out: Channels of its output.
        groups: Number of groups.
        kernel: Height and width of its kernel, in pixels.
        stride: Its strides.
        padding: Rows and columns of zeros on each side.
        dilation: Its dilations.
        size_px: Height and width of its input.
    """

    channels_in: int
    channels_out: int
    groups: int
    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    size_px: Pair

    @property
    def width(self) -> int:
        """Channels that a group takes."""
        return self.channels_in // self.groups

    def __str__(self) -> str:
        (height, width), stride = self.kernel, max(self.stride)
        size = " x ".join(str(side) for side in dict.fromkeys(self.size_px))
        strided = f", stride {stride}" if stride > 1 else ""
        return f"{height}x{width} of {self.channels_in} channels at {size} px{strided}"

    def pixels(self, batch: int) -> NDArray[np.float32]:
        """Inputs of the block, (batch, channels_in, height, width)."""
        values = np.random.default_rng(0).standard_normal((batch, self.channels_in, *self.size_px))
        return values.astype(np.float32)

    def block(self, times: int) -> Any:
        """An ONNX `ModelProto` of a convolution of 1x1, this one with groups `times` as wide, and one of 1x1
        again, with ReLUs between them, for batches of any size. Its weights are random, and the same for all
        `times`."""
        onnx = import_library("onnx", "the timing of grouped convolutions")
        helper, weights = onnx.helper, self._weights(times)
        settings = {
            "strides": self.stride,
            "pads": (*self.padding, *self.padding),
            "dilations": self.dilation,
            "group": self.groups // times,
        }
        values = {f"{name}.weight": one for name, one in weights.items()}
        values |= {f"{name}.bias": torch.full((len(one),), BIAS) for name, one in weights.items()}
        nodes, given = [], PIXELS
        for name in weights:
            inputs = [given, f"{name}.weight", f"{name}.bias"]
            own_settings = settings if name == "grouped" else {}
            nodes.append(helper.make_node("Conv", inputs, [name], name=name, **own_settings))
            nodes.append(helper.make_node("Relu", [name], [given := f"{name}.relu"], name=given))
        sizes = ["batch", self.channels_in, *self.size_px], ["batch", self.channels_out, None, None]
        ports = [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, size)
            for name, size in zip((PIXELS, given), sizes, strict=True)
        ]
        constants = [onnx.numpy_helper.from_array(one.numpy(), name) for name, one in values.items()]
        graph = helper.make_graph(nodes, "block", ports[:1], ports[1:], constants)
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)

    def module(self, times: int) -> nn.Module:
        """The same block as a module of torch, in the order of memory that torch computes in: channels
        last."""
        layers: list[nn.Module] = []
        for name, weight in self._weights(times).items():
            settings: dict[str, Any] = {
                "groups": self.groups // times,
                "stride": self.stride,
                "padding": self.padding,
                "dilation": self.dilation,
            }
            out, width, *kernel = weight.shape
            own = settings if name == "grouped" else {"groups": 1}
            layer = nn.Conv2d(own["groups"] * width, out, _pair(tuple(kernel)), **own)
            layer.weight = nn.Parameter(weight)
            layer.bias = nn.Parameter(torch.full((out,), BIAS))
            layers += [layer, nn.ReLU(inplace=True)]
        block = nn.Sequential(*layers).eval().requires_grad_(False)
        return block.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    def _weights(self, times: int) -> dict[str, Tensor]:
        """Weights of the convolutions of `block`, by name."""
        generator = torch.Generator().manual_seed(0)

        def weight(out: int, fan: int, *kernel: int) -> Tensor:
            values = torch.randn(out, fan, *kernel, generator=generator)
            return values.mul_((2 / values[0].numel()) ** 0.5)  # activations keep their size

        own = weight(self.channels_out, self.width, *self.kernel)
        return {
            "reduce": weight(self.channels_in, self.channels_in, 1, 1),
            "grouped": pack_weight(own, self.groups, times),
            "expand": weight(self.channels_out, self.channels_out, 1, 1),
        }


@torch.inference_mode()
def find_grouped(network: Network, contract: Contract) -> dict[GroupedLayer, list[str]]:
    """The kinds of grouped convolutions of `network` for images of the contract's size, and the names of
    those of each kind, in the order in which they compute."""
    folded = fold_batch_norms(network).cpu()
    found: dict[GroupedLayer, list[str]] = {}

    def note(name: str, layer: nn.Conv2d, given: tuple[Tensor, ...]) -> None:
        names = found.setdefault(_kind(layer, given[0]), [])
        if name not in names:
            names.append(name)

    for name, module in folded.named_modules():
        if isinstance(module, nn.Conv2d) and module.groups > 1:
            module.register_forward_pre_hook(lambda layer, given, name=name: note(name, layer, given))
    size = contract.input
    folded(torch.zeros(1, size.channels, size.height_px, size.width_px))
    return found


def _kind(layer: nn.Conv2d, given: Tensor) -> GroupedLayer:
    assert not isinstance(layer.padding, str)  # our networks say numbers
    return GroupedLayer(
        channels_in=layer.in_channels,
        channels_out=layer.out_channels,
        groups=layer.groups,
        kernel=_pair(layer.kernel_size),
        stride=_pair(layer.stride),
        padding=_pair(layer.padding),
        dilation=_pair(layer.dilation),
        size_px=_pair(given.shape[2:]),
    )


def _pair(values: tuple[int, ...]) -> Pair:
    height, width = values
    return height, width
