"""File locks, which keep two processes from the same work."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

try:
    import fcntl
except ImportError:  # on Windows, where nothing keeps two processes apart
    fcntl = None  # type: ignore[assignment]
#: Errors of file systems that cannot lock, such as Lustre mounted without it.
NO_LOCKS = errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP


@contextmanager
def lock_file(path: Path, kind: Literal["exclusive", "shared"] = "exclusive") -> Iterator[str]:
    """Lock the file at `path` inside; the lock ends with the process, however that ends.

    Yields:
        An empty string, or the reason why this file system has no locks and nothing is locked.

    Raises:
        BlockingIOError: Another process holds a lock that excludes this one.
    """
    with open(path, "w") as file:
        problem = ""
        try:
            if fcntl is not None:
                operation = fcntl.LOCK_EX if kind == "exclusive" else fcntl.LOCK_SH
                fcntl.flock(file, operation | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            problem = f"no locks on this file system ({error})"
        yield problem
