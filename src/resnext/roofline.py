"""The least work of a training step: operations and bytes of each of its kernels.

The step is recorded on the meta device, operation by operation, so any network can be counted. Each kernel
reads its inputs once and writes its outputs once; caches between kernels are not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from resnext.arch import Architecture
from resnext.models import Network

#: Bytes that SGD with momentum moves for each parameter, in float32: it reads three values and writes two.
UPDATE_BYTES = 20
#: Operations that only name memory, or are too small to count.
_NAMING = (
    "detach view t transpose permute expand empty ones_like zeros_like new_zeros new_empty_strided "
    "empty_strided empty_like unsqueeze squeeze alias _unsafe_view select split split_with_sizes slice"
).split()

Passes = Literal["eager", "fused"]


@dataclass(frozen=True)
class Kernel:
    """One kernel of a step.

    `kind` is such as "1x1 convolution", "norm", "joining" or "pointwise"; `flops` are twice the
    multiply-adds of convolutions and products, 0 elsewhere; `bytes` are all that it reads and writes.
    """

    kind: str
    phase: Literal["forward", "backward", "update"]
    flops: int
    bytes: int


@dataclass(frozen=True)
class Limits:
    """The most that a machine can do in a second: bytes read and written, and operations.

    >>> Limits(bytes_per_s=100e9, flops_per_s=1e12).seconds([Kernel("norm", "forward", 0, 50_000_000)])
    0.0005
    """

    bytes_per_s: float
    flops_per_s: float

    def seconds(self, kernels: Iterable[Kernel]) -> float:
        """The least time for `kernels` one after the other: each waits for its bytes or its operations."""
        return sum(max(k.bytes / self.bytes_per_s, k.flops / self.flops_per_s) for k in kernels)


@dataclass
class _Operation:
    """One recorded operation; `reads` and `writes` are (storage, size) of the tensors."""

    name: str
    kind: str
    phase: Literal["forward", "backward"]
    flops: int
    reads: list[tuple[int, int]]
    writes: list[tuple[int, int]]


def training_step(
    arch: Architecture,
    batch: int,
    size_px: int | None = None,
    passes: Passes = "eager",
    value_bytes: int = 4,
) -> tuple[Kernel, ...]:
    """The kernels of one step of SGD.

    Args:
        arch: The network.
        batch: Images in the step.
        size_px: Side of the images; None for the side that the stem was made for.
        passes: "eager": every operation is a kernel of its own. "fused": as a compiler does it, norms, ReLUs
            and sums that follow each other are one pass, and what only such a pass reads is never stored;
            statistics of a batch norm remain a pass, since all must be known before one value is used.
        value_bytes: Bytes of an activation; parameters are updated in float32.

    >>> step = training_step(Architecture.from_name("resnext11_4x4d+template=16", 10), batch=2, size_px=16)
    >>> step[0].kind, step[-1].phase
    ('3x3 convolution', 'update')
    """
    with torch.device("meta"):
        network = Network(arch)
        side = size_px or arch.size_px
        images = torch.empty(batch, arch.in_channels, side, side)
        labels = torch.empty(batch, dtype=torch.int64)
    recorder = _Recorder()
    with recorder:
        loss = F.cross_entropy(network(images), labels)
        recorder.phase = "backward"
        torch.autograd.grad(loss, list(network.parameters()))
    kernels = {"eager": _eager, "fused": _fused}[passes](recorder.operations, value_bytes)
    params = sum(p.numel() for p in network.parameters())
    return (*kernels, Kernel("update", "update", 0, UPDATE_BYTES * params))


def answer(
    arch: Architecture, batch: int, size_px: int | None = None, value_bytes: int = 4
) -> tuple[Kernel, ...]:
    """The kernels of inference: convolutions and products, into which all other operations can be folded.

    Args:
        arch: The network.
        batch: Images in the batch.
        size_px: Side of the images; None for the side that the stem was made for.
        value_bytes: Bytes of a value.
    """
    with torch.device("meta"):
        network = Network(arch).eval()
        side = size_px or arch.size_px
        images = torch.empty(batch, arch.in_channels, side, side)
    recorder = _Recorder()
    with torch.no_grad(), recorder:
        network(images)
    return tuple(kernel for kernel in _eager(recorder.operations, value_bytes) if kernel.flops)


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the operations that are executed.

    It keeps all tensors, so that a freed storage is not taken for another one.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.phase: Literal["forward", "backward"] = "forward"
        self.operations: list[_Operation] = []
        self._kept: list[Any] = []

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        output = function(*args, **(kwargs or {}))
        name = function.overloadpacket.__name__
        self._kept.append((args, output))
        if name.rstrip("_") not in _NAMING and function.namespace == "aten":
            self._record(name.removesuffix("_"), args, output)
        return output

    def _record(self, name: str, args: Sequence[Any], output: Any) -> None:
        outputs = list(output) if isinstance(output, tuple | list) else [output]
        for kind, reads, writes, flops in _WORK.get(name, _pointwise)(args, outputs):
            read, written = _values(reads), _values(writes)
            if sum(size for _, size in written) > 1:  # counters are no work
                self.operations.append(_Operation(name, kind, self.phase, flops, read, written))


#: Kind, tensors read, tensors written, and flops of one kernel.
_Work = tuple[str, Sequence[Any], Sequence[Any], int]


def _convolution(args: Sequence[Any], outputs: Sequence[Any]) -> list[_Work]:
    x, weight, bias, groups = args[0], args[1], args[2], args[8]
    return [(_kind(weight, groups), [x, weight, bias], outputs, _flops(weight, outputs[0]))]


def _convolution_backward(args: Sequence[Any], outputs: Sequence[Any]) -> list[_Work]:
    """The gradients of inputs, weights and bias, each a kernel where it is wanted."""
    gradient, x, weight, groups, wanted = args[0], args[1], args[2], args[9], args[-1]
    flops = _flops(weight, gradient)
    kernels = [([gradient, weight], flops), ([gradient, x], flops), ([gradient], 0)]
    return [
        (_kind(weight, groups), reads, [made], own)
        for is_wanted, (reads, own), made in zip(wanted, kernels, outputs, strict=True)
        if is_wanted
    ]


def _product(args: Sequence[Any], outputs: Sequence[Any]) -> list[_Work]:
    *_, a, b = args
    return [("product", args, outputs, 2 * a.shape[0] * a.shape[1] * b.shape[1])]


def _norm(args: Sequence[Any], outputs: Sequence[Any]) -> list[_Work]:
    return [("norm", args[:1], outputs[:1], 0)]


def _norm_backward(args: Sequence[Any], outputs: Sequence[Any]) -> list[_Work]:
    return [("norm", args[:2], outputs[:1], 0)]


def _joining(args: Sequence[Any], outputs: Sequence[Any]) -> list[_Work]:
    return [("joining", args, outputs, 0)]


def _pooling(args: Sequence[Any], outputs: Sequence[Any]) -> list[_Work]:
    return [("pooling", args, outputs, 0)]


def _pointwise(args: Sequence[Any], outputs: Sequence[Any]) -> list[_Work]:
    return [("pointwise", args, outputs, 0)]


#: What each operation of torch is as kernels; all others are pointwise.
_WORK: dict[str, Callable[[Sequence[Any], Sequence[Any]], list[_Work]]] = {
    "convolution": _convolution,
    "convolution_backward": _convolution_backward,
    "addmm": _product,
    "mm": _product,
    "native_batch_norm": _norm,
    "native_batch_norm_backward": _norm_backward,
    "cat": _joining,
    "max_pool2d_with_indices": _pooling,
    "max_pool2d_with_indices_backward": _pooling,
}


def _values(arguments: Sequence[Any]) -> list[tuple[int, int]]:
    """(storage, size) of the tensors in `arguments`, and in lists among them."""
    flat = [t for one in arguments for t in (one if isinstance(one, list | tuple) else [one])]
    return [(t.untyped_storage()._cdata, _size(t)) for t in flat if isinstance(t, Tensor)]


def _size(tensor: Tensor) -> int:
    """Values in memory: an expanded tensor has fewer than it shows."""
    return min(tensor.numel(), tensor.untyped_storage().nbytes() // tensor.element_size())


def _kind(weight: Tensor, groups: int) -> str:
    side = weight.shape[-1]
    return f"{'grouped ' if groups > 1 else ''}{side}x{side} convolution"


def _flops(weight: Tensor, output: Tensor) -> int:
    """Operations of a convolution with `output` (B, C, H, W), and of each half of its backward pass."""
    return 2 * output.numel() * weight[0].numel()


def _eager(operations: Sequence[_Operation], value_bytes: int) -> list[Kernel]:
    """Every operation is a kernel; a batch norm is two: its statistics read once more what it reads."""
    kernels = []
    for one in operations:
        size = sum(n for _, n in one.reads) + sum(n for _, n in one.writes)
        if one.kind == "norm":
            size += sum(n for _, n in one.reads)
        kernels.append(Kernel(one.kind, one.phase, one.flops, value_bytes * size))
    return kernels


@dataclass
class _Node:
    """Values made by one operation, from `inputs` with the sizes read.

    `light` values can be made wherever they are needed; sums are made in passing and are never stored.
    """

    operation: _Operation
    inputs: list[tuple[_Node | None, int]]
    size: int
    light: bool
    is_sum: bool = False
    users: int = 0
    first_user: _Node | None = None
    """The first operation that reads it."""


def _fused(operations: Sequence[_Operation], value_bytes: int) -> list[Kernel]:
    """Light operations are part of the passes that need their results."""
    made: dict[int, _Node] = {}
    nodes: list[_Node] = []

    def node(one: _Operation, size: int, light: bool, is_sum: bool = False) -> _Node:
        new = _Node(one, [(made.get(key), n) for key, n in one.reads], size, light, is_sum)
        for value, _ in new.inputs:
            if value is not None:
                value.users += 1
                value.first_user = value.first_user or new
        nodes.append(new)
        return new

    for one in operations:
        if one.kind == "norm":
            node(one, 0, light=False, is_sum=True)
        value = node(one, sum(n for _, n in one.writes), light=one.kind in ("norm", "pointwise"))
        made |= {key: value for key, _ in one.writes}

    kernels = []
    for this in nodes:
        if this.light and _is_inlined(this):
            continue  # the pass that needs it makes it
        stored = 0 if this.is_sum else this.size
        size = stored + sum(_reads(this).values())
        kernels.append(
            Kernel(this.operation.kind, this.operation.phase, this.operation.flops, value_bytes * size)
        )
    return kernels


def _is_inlined(node: _Node) -> bool:
    user = node.first_user
    return node.users == 1 and user is not None and (user.light or user.is_sum)


def _reads(node: _Node) -> dict[int, int]:
    """Sizes of the stored values that the pass which makes `node` reads, each once."""
    found: dict[int, int] = {}
    passing = node.light or node.is_sum
    for value, size in node.inputs:
        if value is None:
            found[-len(found) - 1] = size
        elif value.light and passing and _is_inlined(value):
            found |= _reads(value)
        elif not (value.light and passing and value.first_user is node):
            found[id(value)] = size
    return found
