"""`give_back`: memory that the process no longer uses, for other programs.

The C library keeps what is freed among what is not, for what comes next. Under load, with bodies and images
of all sizes, that was more than half of the memory of a server.
"""

from __future__ import annotations

import asyncio
import ctypes
import sys

#: Seconds between two times that memory is given back. It takes some milliseconds.
EVERY_S = 10.0


def give_back() -> None:
    """Give the system all memory that is free; where the C library cannot, nothing happens.

    >>> give_back()
    """
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)


async def keep_giving_back() -> None:
    """`give_back` every `EVERY_S`, in a thread, until this is cancelled."""
    while True:
        await asyncio.sleep(EVERY_S)
        await asyncio.to_thread(give_back)
