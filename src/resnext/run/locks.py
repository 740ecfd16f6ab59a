"""File locks, which keep two processes from the same work."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal

from resnext.files import as_it_is

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]
#: Errors of file systems that cannot lock, such as Lustre mounted without it.
NO_LOCKS = errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP
#: The files that this process holds locked.
_HELD: set[IO[str]] = set()


def _close_inherited() -> None:
    """Close what a forked process inherited: a worker that outlives a killed process would keep its locks."""
    for file in tuple(_HELD):
        file.close()
    _HELD.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_inherited)


@contextmanager
def lock_file(path: Path, kind: Literal["exclusive", "shared"] = "exclusive") -> Iterator[str]:
    """A context in which the file at `path` is locked; the lock ends with the process, however that ends.

    Yields:
        An empty string, or the reason why this file system has no locks and nothing is locked.

    Raises:
        BlockingIOError: Another process holds a lock that excludes this one.
        FileExistsError: `path` is a link, or no file.
    """
    if fcntl is None:  # where an open file would also keep its folder from being renamed
        yield "no locks on Windows"
        return
    with open(path, "a", opener=as_it_is) as file:
        problem = _lock(file, path, fcntl.LOCK_EX if kind == "exclusive" else fcntl.LOCK_SH)
        _HELD.add(file)
        try:
            yield problem
        finally:
            _HELD.discard(file)
            if not problem and not file.closed:  # a process that has just been forked may hold it still
                fcntl.flock(file, fcntl.LOCK_UN)


def _lock(file: IO[str], path: Path, operation: int) -> str:
    """Lock `file`, which was opened at `path`; returns why this cannot be done, or an empty string."""
    try:
        fcntl.flock(file, operation | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in NO_LOCKS:
            return f"no locks on this file system ({error})"
        raise
    if not os.path.samestat(os.fstat(file.fileno()), path.stat()):
        raise BlockingIOError(errno.EAGAIN, "has just been replaced by another process", str(path))
    return ""
