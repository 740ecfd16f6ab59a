"""What is timed: a network in a mode, as a call that makes one training step or answers one batch."""

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
from resnext.training.settings import TrainingSettings

#: The words that a mode is made of, by what they decide.
WORDS = {"execution": ("eager", "compiled"), "precision": ("float32", "bfloat16", "float16")}
LAYOUTS = ("contiguous", "channels-last")
#: Compiled graphs that one bench has room for.
MOST_GRAPHS = 256


@dataclass(frozen=True)
class Mode:
    """How a network is executed."""

    compiled: bool = False
    precision: str = "float32"
    channels_last: bool = True

    @property
    def name(self) -> str:
        """Such as `eager float32 channels-last`."""
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


def modes_of(words: Sequence[str]) -> list[Mode]:
    """Every mode that `words` allow: of what they say nothing about, the first way of `Mode` alone.

    Raises `ValueError` for a word that is none.
    """
    known = (*WORDS["execution"], *WORDS["precision"], *LAYOUTS)
    if unknown := [word for word in words if word not in known]:
        raise ValueError(f"{unknown[0]!r} is no mode; known are {', '.join(known)}")
    executions = [w == "compiled" for w in WORDS["execution"] if w in words] or [False]
    precisions = [w for w in WORDS["precision"] if w in words] or ["float32"]
    layouts = [w == "channels-last" for w in LAYOUTS if w in words] or [True]
    return [Mode(*one) for one in itertools.product(executions, precisions, layouts)]


@dataclass(frozen=True)
class Contender:
    """A network by the name of who made it; `arch` says what it costs at least, where it is known."""

    name: str
    make: Callable[[], nn.Module]
    arch: Architecture | None = None


def contender(name: str, classes: int = 1000) -> Contender:
    """Our own network of this name. Raises `ArchitectureError`."""
    arch = Architecture.from_name(name, classes)
    return Contender(name, partial(create, arch), arch)


def step_call(network: nn.Module, pictures: Tensor, mode: Mode) -> Callable[[], object]:
    """One training step as a call: forward, loss, backward, SGD with momentum."""
    network = network.to(pictures.device, memory_format=mode.memory_format).train()  # type: ignore[call-overload]
    optimiser = build_optimiser([network], TrainingSettings(lr=1e-4))
    pictures = pictures.contiguous(memory_format=mode.memory_format)
    labels = torch.zeros(len(pictures), dtype=torch.int64, device=pictures.device)  # a class that all have
    forward = _compiled(network, mode)

    def step() -> None:
        with _precision(pictures, mode):
            logits = forward(pictures)
        F.cross_entropy(logits.float(), labels).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    return step


def answer_call(network: nn.Module, pictures: Tensor, mode: Mode) -> Callable[[], object]:
    """The logits of one batch as a call."""
    network = network.to(pictures.device, memory_format=mode.memory_format).eval()  # type: ignore[call-overload]
    pictures = pictures.contiguous(memory_format=mode.memory_format)
    forward = _compiled(network, mode)

    def answer() -> Any:
        with torch.inference_mode(), _precision(pictures, mode):
            return forward(pictures)

    return answer


def _compiled(network: nn.Module, mode: Mode) -> Callable[[Tensor], Any]:
    if not mode.compiled:
        return network
    # All our networks share one `forward`: without room for a graph of each, the last would run eagerly.
    torch._dynamo.config.recompile_limit = MOST_GRAPHS
    compiled: Callable[[Tensor], Any] = torch.compile(network, options=dict(OPTIONS["on"]))
    return compiled


def _precision(pictures: Tensor, mode: Mode) -> torch.autocast:
    kind = getattr(torch, mode.precision)
    return torch.autocast(pictures.device.type, kind, enabled=kind != torch.float32)
