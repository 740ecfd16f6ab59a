"""Running out of memory: how to recognise it, and what helps."""

from __future__ import annotations

import errno

#: Parts of what allocators say, in lower case: torch's on CPUs ("can't allocate memory", "not enough memory")
#: and GPUs, cuBLAS, cuDNN; and what torch makes of an error that it cannot bring over from a worker.
MESSAGES = (
    *("allocate memory", "not enough memory", "out of memory", "alloc_failed"),
    "memoryerror in dataloader worker",
)


def is_out_of_memory(error: Exception) -> bool:
    """Whether torch, Python or the system asked for more memory than there is.

    >>> is_out_of_memory(OSError(errno.ENOMEM, "Cannot allocate memory")), is_out_of_memory(OSError("no"))
    (True, False)
    """
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if isinstance(error, RuntimeError):  # `torch.OutOfMemoryError` too
        return any(text in str(error).lower() for text in MESSAGES)
    return isinstance(error, MemoryError)


def device_hint(device: str | None) -> str:
    """What to try where the memory of `device`, or of the best one if None, runs out."""
    import torch

    on_gpu = torch.accelerator.is_available() if device is None else device != "cpu"
    return "try --device cpu" if on_gpu else ""
