"""Compilation of a network, tried before the first step, with eager execution as the fallback."""

from __future__ import annotations

import os

import torch
from torch import Tensor, nn

from resnext.training.precision import autocast

#: Without this option, Inductor turns channels-last off for training graphs with grouped convolutions.
LAYOUT = {"force_layout_optimization": True}
#: Options of `torch.compile` for each value of `training.compile`.
OPTIONS: dict[str, dict[str, bool]] = {"on": LAYOUT, "graphs": LAYOUT | {"triton.cudagraphs": True}}


def first_line(error: BaseException) -> str:
    """The class of `error`, and the first line of its message, if it has one."""
    return ": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]])


def compile_network(
    network: nn.Module, images: Tensor, how: str, precision: torch.dtype
) -> tuple[nn.Module, str | None]:
    """Compile `network`, which is in training mode, and try it.

    Args:
        network: Its weights and buffers are the same afterwards.
        images: (b, C, H, W) for the trial; several passes are made where CUDA graphs are recorded and
            replayed.
        how: A value of `training.compile`.
        precision: Type of convolutions and products.

    Returns:
        The compiled network and None; or, if it cannot be compiled, `network` and the reason.
    """
    # The compiler starts Python again and again, which would look for modules in the current folder.
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    buffers = [(buffer, buffer.clone()) for buffer in network.buffers()]
    compiled: nn.Module = network
    why = None
    try:
        compiled = torch.compile(network, options=dict(OPTIONS[how]))  # type: ignore[assignment]
        for _ in range(3 if how == "graphs" else 1):
            network.zero_grad(set_to_none=True)
            with autocast(images.device, precision):
                logits = compiled(images)
            logits.float().sum().backward()
        if images.device.type == "cuda":
            torch.cuda.synchronize(images.device)  # so that errors on the GPU appear here
    except Exception as error:  # compilers and backends raise errors of any class
        compiled, why = network, first_line(error)
    network.zero_grad(set_to_none=True)
    with torch.no_grad():
        for buffer, before in buffers:
            buffer.copy_(before)
    return compiled, why
