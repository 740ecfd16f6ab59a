"""A file that one process holds, to keep others from the same work."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

try:
    import fcntl
except ImportError:  # not on Windows, where nothing keeps two processes apart
    fcntl = None  # type: ignore[assignment]
#: Errors of file systems that cannot lock, such as Lustre mounted without it.
NO_LOCKS = errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP


@contextmanager
def hold(path: Path, how: Literal["alone", "together"] = "alone") -> Iterator[str]:
    """Hold the file at `path` while entered, alone or with others that hold it `together`; it ends with the
    process, however that ends. What is given is empty, or why nothing is held on this file system.

    Raises `BlockingIOError` if another process keeps it from being held so.
    """
    with open(path, "w") as file:
        problem = ""
        try:
            if fcntl is not None:
                kind = fcntl.LOCK_EX if how == "alone" else fcntl.LOCK_SH
                fcntl.flock(file, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            problem = f"no locks on this file system ({error})"
        yield problem
