"""Pictures that can only be read from the start to the end, because the set does not fit the disk."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from resnext.data.decode import BadPicture, decode
from resnext.data.pictures import Labels, Pictures

#: Pictures that are shuffled together. They are held in memory, encoded: some 200 MB of ImageNet's.
WINDOW = 2048


@dataclass
class _Place:
    """Where one process stands: picture `next` comes next out of `rows`, `passed` ones are kept."""

    rows: Iterator[bytes | None]
    next: int = 0
    passed: dict[int, bytes | None] = field(default_factory=dict)
    process: int = field(default_factory=os.getpid)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Stream(Pictures):
    """Encoded pictures from `read()`, which gives the bytes of all of them in one fixed order.

    Opening in order reads on; what was passed stays in memory for twice `window` pictures, so that
    opening in an order that is shuffled within windows reads everything once. Anything else is right
    but slow: it reads again from the start. Each process reads for itself.
    """

    def __init__(
        self,
        read: Callable[[], Iterator[bytes | None]],
        keys: Sequence[str],
        labels: Labels,
        classes: tuple[str, ...],
        window: int = WINDOW,
    ) -> None:
        super().__init__(keys, labels, classes)
        self.read = read
        self.window: int = window
        self._place = _Place(read())

    def open(self, index: int) -> Image.Image:
        value = self.stored(index)
        if value is None:
            raise BadPicture(self.keys[index], "has no bytes")
        return decode(value, self.keys[index])

    def stored(self, index: int) -> bytes | None:
        return self._take(index)

    def weigh(self, index: int) -> int:
        return 0  # would mean to read it all

    def _take(self, index: int) -> bytes | None:
        if self._place.process != os.getpid():  # a forked reader would share its place in the file
            self._place = _Place(self.read())
        place = self._place
        with place.lock:
            if index in place.passed:
                return place.passed.pop(index)
            if index < place.next:
                place.rows, place.next = self.read(), 0
                place.passed.clear()
            for value in place.rows:
                place.next += 1
                if place.next == index + 1:
                    return value
                place.passed[place.next - 1] = value
                if len(place.passed) > 2 * self.window:
                    del place.passed[next(iter(place.passed))]
        raise BadPicture(self.keys[index], "the stream has become shorter since it was first read")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_place"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._place = _Place(self.read())
