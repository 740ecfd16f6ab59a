"""Streams: images that are read from start to end, because the data set does not fit on the disk."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from resnext.data.contents import UNKNOWN_STAMP
from resnext.data.decode import BadImage
from resnext.data.images import Labels
from resnext.data.stored_images import EncodedImages

#: Prefix of DATA that is to be read as a stream.
STREAM = "stream:"
#: Images that are shuffled together. They are held in memory, encoded: about 200 MB of ImageNet's images.
WINDOW = 2048


@dataclass
class _Position:
    """Position of one process in the stream.

    `next_index` is the index of the image that `rows` yields next; `buffer` holds images that were passed but
    not opened, by index.
    """

    rows: Iterator[bytes | None]
    next_index: int = 0
    buffer: dict[int, bytes | None] = field(default_factory=dict)
    process: int = field(default_factory=os.getpid)
    lock: threading.Lock = field(default_factory=threading.Lock)


class ImageStream(EncodedImages):
    """Encoded images that can only be read in one fixed order.

    Images that are passed stay in memory up to twice `window`, so opening in an order that is shuffled within
    windows reads the stream once. Any other order is correct but slow, because it reads again from the
    start. Each process reads for itself.

    Args:
        read: Returns a fresh iterator over the bytes of all images, in the same order each time; None stands
            for an image without bytes.
        keys: Names of the images.
        labels: Classes as indices into `classes`, int64 (N,).
        classes: Names of the classes.
        window: Number of images that are shuffled together.
        files_stamp: Stamp of the files that are read; unknown if they are elsewhere.
    """

    def __init__(
        self,
        read: Callable[[], Iterator[bytes | None]],
        keys: Sequence[str],
        labels: Labels,
        classes: tuple[str, ...],
        window: int = WINDOW,
        files_stamp: int = UNKNOWN_STAMP,
    ) -> None:
        super().__init__(keys, labels, classes)
        self.read, self.files_stamp = read, files_stamp
        self.window: int = window
        self._position = _Position(read())

    def stamp(self, index: int) -> int:
        return self.files_stamp

    def read_bytes(self, index: int) -> bytes | None:
        if self._position.process != os.getpid():  # a forked process would share the open file
            self._position = _Position(self.read())
        position = self._position
        with position.lock:
            if index in position.buffer:
                return position.buffer.pop(index)
            if index < position.next_index:
                position.rows, position.next_index = self.read(), 0
                position.buffer.clear()
            for encoded in position.rows:
                position.next_index += 1
                if position.next_index == index + 1:
                    return encoded
                position.buffer[position.next_index - 1] = encoded
                if len(position.buffer) > 2 * self.window:
                    del position.buffer[next(iter(position.buffer))]
        raise BadImage(self.keys[index], "the stream has become shorter since it was first read")

    def stored_size(self, index: int) -> int:
        return 0  # knowing it would mean reading the whole stream

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_position"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._position = _Position(self.read())
