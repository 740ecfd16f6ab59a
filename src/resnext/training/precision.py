"""The precision of convolutions and products: float32, or bfloat16 by autocast."""

from __future__ import annotations

import torch


def torch_precision(name: str) -> torch.dtype:
    """The torch dtype called `float32` or `bfloat16`."""
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[name]


def autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """A context in which convolutions and products on `device` are of `precision`; float32 changes nothing.

    >>> with autocast(torch.device("cpu"), torch.bfloat16):
    ...     (torch.ones(1, 1) @ torch.ones(1, 1)).dtype
    torch.bfloat16
    """
    return torch.autocast(device.type, precision, enabled=precision != torch.float32)
