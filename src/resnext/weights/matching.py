"""How the tensors of a file match those of a network: all of them, or an error lists those that do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from resnext.arch import Architecture
from resnext.models import Network
from resnext.weights.errors import WeightsError

#: Tensors of the head, which `new_head` leaves as they are initialised.
HEAD = ("fc.weight", "fc.bias")


@dataclass(frozen=True)
class WeightsMatch:
    """How the tensors of a file match those of a network, as lists of names."""

    loaded: tuple[str, ...]
    replaced: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: tuple[str, ...]
    mistyped: tuple[str, ...]

    @property
    def is_complete(self) -> bool:
        """Whether every tensor of either side has its partner."""
        return not (self.missing or self.unexpected or self.misshapen or self.mistyped)

    def table(self) -> list[str]:
        """A line for each kind of match, with its number of tensors and the first names."""
        rows = [
            ("loaded", self.loaded),
            ("replaced by a new head", self.replaced),
            ("missing in the file", self.missing),
            ("unexpected in the file", self.unexpected),
            ("of another shape", self.misshapen),
            ("of another type", self.mistyped),
        ]
        lines = []
        for what, names in rows:
            shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
            lines.append(f"  {what:<24}{len(names):>5}  {shown if what != 'loaded' else ''}".rstrip())
        return lines


def load_tensors(
    network: nn.Module, tensors: dict[str, Tensor], source: str, new_head: bool = False
) -> WeightsMatch:
    """Load `tensors` into `network`.

    Args:
        network: Changed in place, unless an error is raised.
        tensors: Tensors by their names in the network's state dict.
        source: Name of the file, for errors.
        new_head: Keep the head of `network`.

    Raises:
        WeightsError: A tensor is missing, unexpected, of another shape or type, or not finite.
    """
    match = match_tensors(network.state_dict(), tensors, source, new_head)
    for name in match.loaded:
        if not _is_finite(tensors[name]):
            raise WeightsError(f"{source}: the tensor {name} holds NaN or infinity; the file is damaged")
    network.load_state_dict({name: tensors[name] for name in match.loaded}, strict=False)
    return match


def match_tensors(
    own: Mapping[str, Tensor], tensors: Mapping[str, Tensor], source: str, new_head: bool = False
) -> WeightsMatch:
    """How `tensors` match those of a network, its `own`, which may be on the meta device.

    Raises:
        WeightsError: They do not; the message has a table.
    """
    kept = set(HEAD) if new_head else set()
    counters = {name for name in own if name.endswith("num_batches_tracked")}  # old files lack them
    shared = [name for name in own if name in tensors and name not in kept]
    misshapen = [name for name in shared if own[name].shape != tensors[name].shape]
    mistyped = [name for name in shared if _kind(own[name]) != _kind(tensors[name])]
    match = WeightsMatch(
        loaded=tuple(name for name in shared if name not in (*misshapen, *mistyped)),
        replaced=tuple(name for name in own if name in kept),
        missing=tuple(n for n in own if n not in tensors and n not in kept and n not in counters),
        unexpected=tuple(name for name in tensors if name not in own),
        misshapen=tuple(f"{name} {_shape(tensors[name])}, here {_shape(own[name])}" for name in misshapen),
        mistyped=tuple(f"{name} {tensors[name].dtype}, here {own[name].dtype}" for name in mistyped),
    )
    if not match.is_complete:
        hint = []
        rest = (*match.unexpected, *match.mistyped)
        if all(name in HEAD for name in (*misshapen, *match.missing)) and not rest:
            hint = ["Only the head differs (another number of classes): --new-head replaces it"]
        raise WeightsError(f"{source}: the weights do not fit the network", *match.table(), *hint)
    return match


def _kind(tensor: Tensor) -> tuple[bool, bool]:
    return tensor.is_floating_point(), tensor.is_complex()


def _is_finite(tensor: Tensor) -> bool:
    if not tensor.is_floating_point():
        return True
    values = tensor.float()  # the smallest types know no `isfinite`
    # A sum takes a tenth of the time. It is finite only if every value is; of huge values it overflows.
    return bool(values.sum().isfinite() or values.isfinite().all())


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def adapt_channels(tensors: Mapping[str, Tensor], channels: int) -> dict[str, Tensor]:
    """The tensors with a first convolution that takes images of so many channels.

    The rule is timm's (`adapt_input_conv`): for one channel the filters of red, green and blue are summed;
    for other numbers they are repeated in turn, and scaled by 3 / channels.

    >>> adapt_channels({"conv1.weight": torch.ones(64, 3, 7, 7)}, 6)["conv1.weight"][0, :, 0, 0].tolist()
    [0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
    """
    name = _first_convolution(tensors)
    first = tensors.get(name)
    if first is None or first.dim() != 4 or first.shape[1] != 3 or channels == 3:
        return dict(tensors)
    if channels == 1:
        adapted = first.float().sum(1, keepdim=True)
    else:
        repeated = first.float().repeat(1, -(-channels // 3), 1, 1)[:, :channels]
        adapted = repeated * (3 / channels)
    return dict(tensors) | {name: adapted.to(first.dtype)}


def input_channels(tensors: Mapping[str, Tensor]) -> int:
    """Channels of the images that the first convolution takes; 3 if there is none.

    >>> input_channels({"conv1.weight": torch.ones(64, 1, 7, 7)})
    1
    """
    first = tensors.get(_first_convolution(tensors))
    return 3 if first is None or first.dim() != 4 else first.shape[1]


def _first_convolution(tensors: Mapping[str, Tensor]) -> str:
    return "conv1.weight" if "conv1.weight" in tensors else "conv1.0.weight"


def blueprint(arch: Architecture) -> dict[str, Tensor]:
    """The tensors of a network, without their memory."""
    with torch.device("meta"):
        return Network(arch).state_dict()
