"""Compiled execution of a network, tried before the first step, with a way back."""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: Inductor gives the layout up by itself where a training graph has grouped convolutions.
LAYOUT = {"force_layout_optimization": True}
#: What `training.compile` says, as options of `torch.compile`.
OPTIONS: dict[str, dict[str, bool]] = {"on": LAYOUT, "graphs": LAYOUT | {"triton.cudagraphs": True}}


def in_a_line(error: BaseException) -> str:
    """The kind of `error`, and the first line of what it says, if it says anything."""
    return ": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]])


def compile_network(
    network: nn.Module, pictures: Tensor, how: str, precision: torch.dtype
) -> tuple[nn.Module, str | None]:
    """`network`, which is in training mode, compiled as `how` says, and None; or itself, and why not.

    A pass over `pictures` (b, C, H, W) is tried, or as many as it takes to record graphs and replay them;
    that leaves nothing behind in weights or buffers.
    """
    buffers = [(buffer, buffer.clone()) for buffer in network.buffers()]
    compiled: nn.Module = network
    why = None
    try:
        compiled = torch.compile(network, options=dict(OPTIONS[how]))  # type: ignore[assignment]
        for _ in range(3 if how == "graphs" else 1):
            network.zero_grad(set_to_none=True)
            with torch.autocast(pictures.device.type, precision, enabled=precision != torch.float32):
                logits = compiled(pictures)
            logits.float().sum().backward()
        if pictures.device.type == "cuda":
            torch.cuda.synchronize(pictures.device)  # what fails there fails here
    except Exception as error:  # compilers and backends raise whatever they like
        compiled, why = network, in_a_line(error)
    network.zero_grad(set_to_none=True)
    with torch.no_grad():
        for buffer, before in buffers:
            buffer.copy_(before)
    return compiled, why
