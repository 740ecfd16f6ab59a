"""Files in folders that others may have made: written as such, never through a link.

A run folder of somebody else may hold links in the place of the files that are written there. Whoever follows
them writes to another place. Standard library only.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

#: The file is no link, and opening it does not wait for another process (0 on systems without these).
_AS_IT_IS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


def as_it_is(path: str, flags: int) -> int:
    """An `opener` for `open` that opens no link and nothing but ordinary files.

    Raises:
        FileExistsError: There is something else at `path`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     os.symlink("elsewhere", f"{folder}/log.txt")
    ...     open(f"{folder}/log.txt", "a", opener=as_it_is)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    FileExistsError: [Errno 17] Is a link or no ordinary file, so nothing is written to it; remove it: '...'
    """
    try:
        handle = os.open(path, flags | _AS_IT_IS, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link; a pipe that nobody reads
            raise _not_ordinary(path) from None
        raise
    if os.path.islink(path) or not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _not_ordinary(path)
    return handle


def write_whole(path: Path, content: str | bytes) -> None:
    """Write `content` to a file beside `path`, sync it, and rename it to `path`, where a link is replaced.

    In text, bytes of file names that are not UTF-8 are escaped as JSON does it.
    """
    part = path.with_name(path.name + ".part")
    with contextlib.suppress(FileNotFoundError):
        part.unlink()
    try:
        with open(part, "xb", opener=as_it_is) as file:
            file.write(content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def find_link(folder: Path, skipped: str) -> Path | None:
    """The first link in `folder`, at any depth; `folder` itself may be one.

    Args:
        folder: The folder.
        skipped: Name of a folder in it that is not searched.
    """
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            if os.path.islink(os.path.join(parent, name)):
                return Path(parent, name)
        folders[:] = [name for name in folders if Path(parent, name) != folder / skipped]
    return None


def _not_ordinary(path: str) -> FileExistsError:
    why = "Is a link or no ordinary file, so nothing is written to it; remove it"
    return FileExistsError(errno.EEXIST, why, path)
