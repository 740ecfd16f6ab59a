"""Files in folders that others may have made: nobody waits for a pipe, and nothing is written through a link.

A run folder of somebody else may hold links in the place of the files that are written there. Whoever follows
them writes to another place. Whether something is an ordinary file is asked of what was opened: what lies at
a path may change between a look at it and its opening. Standard library only.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

#: Opening does not wait for another process, and follows no link (0 on systems without these).
_AT_ONCE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


def ordinary(path: str, flags: int) -> int:
    """An `opener` for `open` that opens ordinary files only, also through links.

    Raises:
        IsADirectoryError: There is a folder at `path`.
        OSError: (EINVAL) There is a pipe, socket or device.

    >>> open("/dev/null", "rb", opener=ordinary)
    Traceback (most recent call last):
    ...
    OSError: [Errno 22] a pipe, socket or device, not a file: '/dev/null'
    """
    handle = _open_ordinary(path, flags)
    if handle is not None:
        return handle
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    raise OSError(errno.EINVAL, "a pipe, socket or device, not a file", path)


def check_ordinary(path: Path) -> None:
    """Raises what `ordinary` raises, for libraries that open `path` themselves and would wait for a pipe."""
    with open(path, "rb", opener=ordinary):
        pass


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
    handle = None if os.path.islink(path) else _open_ordinary(path, flags | _NO_LINK)
    if handle is None:
        why = "Is a link or no ordinary file, so nothing is written to it; remove it"
        raise FileExistsError(errno.EEXIST, why, path)
    return handle


@contextlib.contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """A context in which an `OSError` that says no file, as that of a full disk, gets the name `path`.

    >>> with naming("x.csv"):
    ...     raise OSError(errno.ENOSPC, "No space left on device")
    Traceback (most recent call last):
    ...
    OSError: [Errno 28] No space left on device: 'x.csv'
    """
    try:
        yield
    except OSError as error:
        if error.errno is None and type(error) is OSError:  # of a library that keeps the reason to itself
            raise OSError(f"{path}: cannot be written ({error})") from error
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def write_output(path: Path, content: str) -> None:
    """Write `content` where a user wants it: as `write_whole` to what is or will be an ordinary file, also
    through links, and at once to a pipe or device, such as /dev/stdout."""
    place = Path(os.path.realpath(path)) if path.is_symlink() else path
    is_of_system = os.path.abspath(path).startswith(("/dev/", "/proc/"))  # a link to a file, if redirected
    if is_of_system or (place.exists() and not place.is_file()):
        with naming(path):
            path.write_text(content, encoding="utf-8", errors="backslashreplace")
    else:
        write_whole(place, content)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write `content` to `path`, as `replacing` does.

    In text, bytes of file names that are not UTF-8 are escaped as JSON does it.
    """
    with replacing(path) as file:
        file.write(content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file beside `path`, to be written; then it is synced and renamed to `path`, where a link or pipe
    is replaced. After an error, what was at `path` stays."""
    part = path.with_name(path.name + ".part")
    with contextlib.suppress(FileNotFoundError):
        part.unlink()
    try:
        with naming(path), open(part, "xb", opener=as_it_is) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
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


def _open_ordinary(path: str, flags: int) -> int | None:
    """The ordinary file at `path`, opened at once; None if something else is there."""
    try:
        handle = os.open(path, flags | _AT_ONCE, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link; a socket, or a pipe that nobody reads
            return None
        raise
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    return None
