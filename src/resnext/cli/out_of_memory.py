"""Running out of memory: how to recognise it, and what helps."""

from __future__ import annotations

#: Parts of the messages of allocators.
MESSAGES = ("not enough memory", "out of memory", "ALLOC_FAILED")


def is_out_of_memory(error: Exception) -> bool:
    """Whether torch or Python asked for more memory than there is."""
    import torch

    from_allocator = isinstance(error, RuntimeError) and any(text in str(error) for text in MESSAGES)
    return from_allocator or isinstance(error, MemoryError | torch.OutOfMemoryError)


def device_hint(device: str | None) -> str:
    """What to try where the memory of `device`, or of the best one if None, runs out."""
    import torch

    on_gpu = torch.accelerator.is_available() if device is None else device != "cpu"
    return "try --device cpu" if on_gpu else ""
