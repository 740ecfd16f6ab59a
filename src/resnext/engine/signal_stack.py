"""`keeping_signal_stack`: this thread's stack for signals, as it was before OpenVINO.

OpenVINO's plugin for CPUs gives the thread that makes it another stack for signals. When it is freed, it
gives back the one that it found (2026.4.1): of two plugins, the second the stack of the first, which may be
freed already. Python's handlers run on that stack, so the next signal, such as of Ctrl-C or of a worker that
ends, kills the process (SIGSEGV). So no plugin may find the stack of another one.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _Stack(ctypes.Structure):
    """`stack_t` of sigaltstack(2) on Linux."""

    _fields_ = (("ss_sp", ctypes.c_void_p), ("ss_flags", ctypes.c_int), ("ss_size", ctypes.c_size_t))


@contextmanager
def keeping_signal_stack() -> Iterator[None]:
    """A context at the end of which this thread has the stack for signals that it had before.

    >>> with keeping_signal_stack():
    ...     pass
    """
    if sys.platform != "linux":
        yield
        return
    libc, before = ctypes.CDLL(None), _Stack()
    libc.sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        libc.sigaltstack(ctypes.byref(before), None)
