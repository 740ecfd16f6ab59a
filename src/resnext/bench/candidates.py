"""What is timed: a network in a mode, as a call that makes one training step or infers one batch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnext.arch import Architecture
from resnext.models import create
from resnext.training.compiling import OPTIONS
from resnext.training.optimisers import build_optimiser
from resnext.training.precision import autocast, torch_precision
from resnext.training.settings import TrainingSettings

#: Words for a mode's execution and precision, and for its memory layout.
WORDS = {"execution": ("eager", "compiled"), "precision": ("float32", "bfloat16", "float16")}
LAYOUTS = ("contiguous", "channels-last")
#: Compiled graphs that torch keeps for one bench.
MAX_GRAPHS = 256


@dataclass(frozen=True)
class Mode:
    """How a network is executed.

    >>> Mode(precision="bfloat16").name
    'eager bfloat16 channels-last'
    """

    compiled: bool = False
    precision: str = "float32"
    channels_last: bool = True

    @property
    def name(self) -> str:
        """Execution, precision and layout in the words that `parse_modes` takes."""
        return " ".join(
            (
                "compiled" if self.compiled else "eager",
                self.precision,
                "channels-last" if self.channels_last else "contiguous",
            )
        )

    @property
    def memory_format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format


def parse_modes(words: Sequence[str]) -> list[Mode]:
    """Every mode that `words` allow; what they leave open is that of `Mode()`.

    Args:
        words: Any of eager, compiled; float32, bfloat16, float16; contiguous, channels-last.

    Raises:
        ValueError: A word is none of these.

    >>> [mode.name for mode in parse_modes(["eager", "compiled"])]
    ['eager float32 channels-last', 'compiled float32 channels-last']
    """
    known = (*WORDS["execution"], *WORDS["precision"], *LAYOUTS)
    if unknown := [word for word in words if word not in known]:
        raise ValueError(f"{unknown[0]!r} is no mode; known are {', '.join(known)}")
    executions = [w == "compiled" for w in WORDS["execution"] if w in words] or [False]
    precisions = [w for w in WORDS["precision"] if w in words] or ["float32"]
    layouts = [w == "channels-last" for w in LAYOUTS if w in words] or [True]
    return [Mode(*one) for one in itertools.product(executions, precisions, layouts)]


@dataclass(frozen=True)
class Candidate:
    """A network to be timed.

    `name` is its row's, `make` builds it, and `arch` gives its least cost, where it is known.
    """

    name: str
    make: Callable[[], nn.Module]
    arch: Architecture | None = None


def candidate(name: str, classes: int = 1000) -> Candidate:
    """The network of this package called `name`, as a candidate for a bench.

    Args:
        name: As in `resnext models`.
        classes: Number of its outputs.

    Raises:
        ArchitectureError: No network has this name; the message has the nearest names.

    >>> candidate("resnext50_32x4d").arch.cardinality
    32
    """
    arch = Architecture.from_name(name, classes)
    return Candidate(name, partial(create, arch), arch)


def step_call(network: nn.Module, images: Tensor, mode: Mode) -> Callable[[], object]:
    """A call that makes one training step: forward, loss, backward, SGD with momentum.

    Args:
        network: Is moved to the device of the images.
        images: (B, 3, H, W).
        mode: How the network is executed.
    """
    network = network.to(images.device, memory_format=mode.memory_format).train()  # type: ignore[call-overload]
    optimiser = build_optimiser([network], TrainingSettings(lr=1e-4))
    images = images.contiguous(memory_format=mode.memory_format)
    labels = torch.zeros(
        len(images), dtype=torch.int64, device=images.device
    )  # class 0, which every network has
    forward = _compiled(network, mode)

    def step() -> None:
        with autocast(images.device, torch_precision(mode.precision)):
            logits = forward(images)
        F.cross_entropy(logits.float(), labels).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    return step


def infer_call(network: nn.Module, images: Tensor, mode: Mode) -> Callable[[], object]:
    """A call that computes the logits of one batch.

    Args:
        network: Is moved to the device of the images.
        images: (B, 3, H, W).
        mode: How the network is executed.
    """
    network = network.to(images.device, memory_format=mode.memory_format).eval()  # type: ignore[call-overload]
    images = images.contiguous(memory_format=mode.memory_format)
    forward = _compiled(network, mode)

    def infer() -> Any:
        with torch.inference_mode(), autocast(images.device, torch_precision(mode.precision)):
            return forward(images)

    return infer


def _compiled(network: nn.Module, mode: Mode) -> Callable[[Tensor], Any]:
    if not mode.compiled:
        return network
    # All our networks share one `forward`: above the limit of graphs the last ones would run eagerly.
    torch._dynamo.config.recompile_limit = MAX_GRAPHS
    compiled: Callable[[Tensor], Any] = torch.compile(network, options=dict(OPTIONS["on"]))
    return compiled
