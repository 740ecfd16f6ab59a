"""The least that a training step asks of a machine: operations and bytes of each of its kernels.

The step is recorded on the meta device, operation by operation, so any network can be counted. Each kernel
reads its inputs once and writes its outputs once; caches between kernels are not counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from resnext.arch import USUAL_PX, Architecture
from resnext.models import Network

#: What SGD with momentum moves for each parameter, in float32: it reads three values and writes two.
UPDATE_BYTES = 20
#: Operations that only name memory, or are too small to count.
_NAMING = (
    "detach view t transpose permute expand empty ones_like zeros_like new_zeros new_empty_strided "
    "empty_strided empty_like unsqueeze squeeze alias _unsafe_view select split split_with_sizes slice"
).split()
_POOLING = {"max_pool2d_with_indices", "max_pool2d_with_indices_backward"}

Passes = Literal["eager", "fused"]


@dataclass(frozen=True)
class Kernel:
    """One kernel of a step: `kind` such as "1x1 convolution", "norm", "joining" or "pointwise"; `flops` are
    twice the multiply-adds of convolutions and products, 0 elsewhere."""

    kind: str
    phase: Literal["forward", "backward", "update"]
    flops: int
    bytes: int


@dataclass(frozen=True)
class Limits:
    """What a machine can do at most: bytes read and written, and operations, in a second."""

    bytes_per_s: float
    flops_per_s: float

    def seconds(self, kernels: Iterable[Kernel]) -> float:
        """The least time for `kernels` one after the other: each waits for its bytes or its operations."""
        return sum(max(k.bytes / self.bytes_per_s, k.flops / self.flops_per_s) for k in kernels)


@dataclass
class _Operation:
    """One recorded operation: `reads` and `writes` are the numbers of values (storages), with their sizes."""

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
    """The kernels of one step of SGD with `batch` pictures of `size_px` pixels (the stem's own size if None).

    With `passes` "eager" every operation is a kernel of its own. With "fused", as a compiler does it, norms,
    ReLUs and sums that follow each other are one pass, and what only such a pass reads is never stored;
    statistics of a batch norm remain a pass, since all of them must be known before one value is used.
    Values of activations have `value_bytes`; parameters are updated in float32.
    """
    with torch.device("meta"):
        network = Network(arch)
        side = size_px or USUAL_PX[arch.stem]
        pictures = torch.empty(batch, arch.in_channels, side, side)
        labels = torch.empty(batch, dtype=torch.int64)
    recorder = _Recorder()
    with recorder:
        loss = F.cross_entropy(network(pictures), labels)
        recorder.phase = "backward"
        torch.autograd.grad(loss, list(network.parameters()))
    kernels = {"eager": _one_by_one, "fused": _together}[passes](recorder.operations, value_bytes)
    params = sum(p.numel() for p in network.parameters())
    return (*kernels, Kernel("update", "update", 0, UPDATE_BYTES * params))


def answer(
    arch: Architecture, batch: int, size_px: int | None = None, value_bytes: int = 4
) -> tuple[Kernel, ...]:
    """The kernels of one answer to `batch` pictures: its convolutions and products, into which all that lies
    between them can be folded."""
    with torch.device("meta"):
        network = Network(arch).eval()
        side = size_px or USUAL_PX[arch.stem]
        pictures = torch.empty(batch, arch.in_channels, side, side)
    recorder = _Recorder()
    with torch.no_grad(), recorder:
        network(pictures)
    return tuple(kernel for kernel in _one_by_one(recorder.operations, value_bytes) if kernel.flops)


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Writes down what is executed; keeps all tensors, so that no two share a storage by chance."""

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
        def add(kind: str, reads: list[Any], writes: list[Any], flops: int = 0) -> None:
            read, written = _values(reads), _values(writes)
            if sum(size for _, size in written) > 1:  # counters are no work
                self.operations.append(_Operation(name, kind, self.phase, flops, read, written))

        outputs = list(output) if isinstance(output, tuple | list) else [output]
        if name == "convolution":
            x, weight = args[0], args[1]
            add(_convolution(weight, args[8]), [x, weight], outputs, _flops(weight, output))
        elif name == "convolution_backward":
            gradient, x, weight = args[0], args[1], args[2]
            for wanted, reads, made in zip(
                args[-1], ([gradient, weight], [gradient, x]), outputs[:2], strict=False
            ):
                if wanted:
                    add(_convolution(weight, args[9]), reads, [made], _flops(weight, gradient))
        elif name in ("addmm", "mm"):
            *_, a, b = args
            add("product", list(args), outputs, 2 * a.shape[0] * a.shape[1] * b.shape[1])
        elif name == "native_batch_norm":
            add("norm", [args[0]], outputs[:1])
        elif name == "native_batch_norm_backward":
            add("norm", [args[0], args[1]], outputs[:1])
        elif name == "cat":
            add("joining", list(args), outputs)
        else:
            add("pooling" if name in _POOLING else "pointwise", list(args), outputs)


def _values(arguments: list[Any]) -> list[tuple[int, int]]:
    """(storage, size) of the tensors in `arguments`, and in lists among them."""
    flat = [t for one in arguments for t in (one if isinstance(one, list | tuple) else [one])]
    return [(t.untyped_storage()._cdata, _size(t)) for t in flat if isinstance(t, Tensor)]


def _size(tensor: Tensor) -> int:
    """Values in memory: an expanded tensor has fewer than it shows."""
    return min(tensor.numel(), tensor.untyped_storage().nbytes() // tensor.element_size())


def _convolution(weight: Tensor, groups: int) -> str:
    side = weight.shape[-1]
    return f"{'grouped ' if groups > 1 else ''}{side}x{side} convolution"


def _flops(weight: Tensor, output: Tensor) -> int:
    """Of a convolution with `output` (B, C, H, W); of each half of its backward pass too."""
    return 2 * output.numel() * weight[0].numel()


def _one_by_one(operations: Sequence[_Operation], value_bytes: int) -> list[Kernel]:
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
    """Values made by one operation: `inputs` are those that they are made from, with the sizes read. `light`
    ones can be made wherever they are needed; sums are made in passing and are nothing to store."""

    operation: _Operation
    inputs: list[tuple[_Node | None, int]]
    size: int
    light: bool
    is_sum: bool = False
    users: int = 0
    first_user: _Node | None = None
    """The first operation that reads it."""


def _together(operations: Sequence[_Operation], value_bytes: int) -> list[Kernel]:
    """Light operations are made within the passes that need them."""
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
            continue  # whoever needs it makes it
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


def by_kind(kernels: Iterable[Kernel]) -> dict[str, list[Kernel]]:
    """The kernels of each kind."""
    found: dict[str, list[Kernel]] = {}
    for kernel in kernels:
        found.setdefault(kernel.kind, []).append(kernel)
    return found
