"""Arrays of one dimension in numpy's file format, read strictly.

numpy evaluates the header of a file as Python and takes its shape at its word; a damaged or hostile one
could cost any time and memory, or raise any error. Files that numpy has written are read all the same.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resnext.files import ordinary

#: A header as numpy writes it for one dimension, in the first version of the format.
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(?P<size>..)(?P<text>\{'descr': '(?P<type>[<|][iuf][1248])', "
    rb"'fortran_order': False, 'shape': \((?P<count>[0-9]{1,15}),\), \} *\n)",
    re.DOTALL,
)
#: Most bytes of a header.
MAX_HEADER = 256


def parse_array(content: bytes) -> NDArray[Any]:
    """The array in the bytes of a file.

    Raises:
        ValueError: They are no array of numbers of one dimension, or not whole.

    >>> import io
    >>> file = io.BytesIO()
    >>> np.save(file, np.arange(3))
    >>> parse_array(file.getvalue())
    array([0, 1, 2])
    """
    dtype, count, start = _parse_header(content[:MAX_HEADER], len(content))
    return np.frombuffer(content, dtype, count, start)


def map_array(path: Path) -> NDArray[Any]:
    """The array in the file at `path`, which stays on the disk until it is read.

    Raises:
        OSError: The file cannot be opened, or is no ordinary one.
        ValueError: It is no array of numbers of one dimension, or not whole.
    """
    with open(path, "rb", opener=ordinary) as file:
        start = file.read(MAX_HEADER)
        dtype, count, offset = _parse_header(start, file.seek(0, 2))
        if count == 0:
            return np.empty(0, dtype)  # there is nothing to map
        return np.memmap(file, dtype, "r", offset, (count,))


def _parse_header(start: bytes, size: int) -> tuple[np.dtype[Any], int, int]:
    """Type, length and first byte of the array in a file of `size` bytes that begins with `start`."""
    found = _HEADER.match(start)
    if found is None or int.from_bytes(found["size"], "little") != len(found["text"]):
        raise ValueError("not an array of numbers of one dimension")
    dtype, count = np.dtype(found["type"].decode()), int(found["count"])
    if found.end() + count * dtype.itemsize != size:
        raise ValueError("is not whole")
    return dtype, count, found.end()
