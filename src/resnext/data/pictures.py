"""`Pictures`: labelled pictures that can be opened by index, again and again, in any process."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from resnext.data.decode import BadPicture, DataError, decode

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Scan:
    """What one look at all pictures finds: what cannot be read, how large they are, their colour.

    `shorter_px[i]` is picture i's shorter side, 0 where it is bad; `mean` and `std` are of each channel, on
    the scale 0 to 1.
    """

    bad: dict[int, BadPicture]
    shorter_px: NDArray[np.int64]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class Pictures(ABC):
    """N pictures; `labels[i]` indexes `classes`, and `keys[i]` is what a person finds picture i by.

    Where `window` is a number, opening them is fast only in an order that is shuffled within so many.
    `known` is what an earlier look at all of them found, `unread` are files beside them in formats that are
    not read.
    """

    window: int | None = None
    known: Scan | None = None
    unread: Sequence[str] = ()

    def __init__(self, keys: Sequence[str], labels: Labels, classes: tuple[str, ...]) -> None:
        self.keys = keys
        self.labels = labels
        self.classes = classes

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def open(self, index: int) -> Image.Image:
        """Picture `index` as upright RGB. Raises `BadPicture`."""

    def stored(self, index: int) -> bytes | None:
        """Picture `index` as its encoded bytes, where there are any. A stream gives them once."""
        return None

    def file(self, index: int) -> Path | None:
        """The file that holds picture `index` and nothing else, where there is one."""
        return None

    @abstractmethod
    def weigh(self, index: int) -> int:
        """Bytes of picture `index` as stored: part of the fingerprint."""

    def select(self, indices: Sequence[int] | Labels) -> Pictures:
        """The pictures at `indices`, in that order."""
        return Subset(self, np.asarray(indices, dtype=np.int64))


class Taken(Sequence[str]):
    """The names at `indices` of others, which are not copied."""

    def __init__(self, names: Sequence[str], indices: Labels) -> None:
        self.names, self.indices = names, indices

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Taken: ...
    def __getitem__(self, index: int | slice) -> str | Taken:
        if isinstance(index, slice):
            return Taken(self.names, self.indices[index])
        return self.names[int(self.indices[index])]


class Subset(Pictures):
    """Some pictures of another source."""

    def __init__(self, source: Pictures, indices: Labels) -> None:
        super().__init__(Taken(source.keys, indices), source.labels[indices], source.classes)
        if source.window is not None:  # so many of these lie in one of the source's
            self.window = max(1, source.window * len(indices) // max(1, len(source)))
        self.source = source
        self.indices = indices

    def open(self, index: int) -> Image.Image:
        return self.source.open(int(self.indices[index]))

    def stored(self, index: int) -> bytes | None:
        return self.source.stored(int(self.indices[index]))

    def file(self, index: int) -> Path | None:
        return self.source.file(int(self.indices[index]))

    def weigh(self, index: int) -> int:
        return self.source.weigh(int(self.indices[index]))


class Kept(Pictures):
    """Another source's pictures, each decoded when it is first opened and kept as long as all that are kept
    need no more than `room` bytes; `is_full` once one had none. Each process keeps its own."""

    def __init__(self, source: Pictures, room: int) -> None:
        super().__init__(source.keys, source.labels, source.classes)
        self.window, self.known = source.window, source.known
        self.source = source
        self.room, self.is_full = room, False
        self._kept: dict[int, NDArray[np.uint8]] = {}

    def open(self, index: int) -> Image.Image:
        if index in self._kept:
            return Image.fromarray(self._kept[index])
        image = self.source.open(index)
        values = np.asarray(image)
        if values.nbytes <= self.room:
            self.room -= values.nbytes
            self._kept[index] = values
        else:
            self.is_full = True
        return image

    def weigh(self, index: int) -> int:
        return self.source.weigh(index)


class Files(Pictures):
    """Picture files; keys are paths relative to `root`."""

    def __init__(self, root: Path, keys: Sequence[str], labels: Labels, classes: tuple[str, ...]) -> None:
        super().__init__(keys, labels, classes)
        self.root = root

    def open(self, index: int) -> Image.Image:
        path = self.root / self.keys[index]
        return decode(path, str(path))

    def stored(self, index: int) -> bytes | None:
        try:
            return (self.root / self.keys[index]).read_bytes()
        except (OSError, ValueError):
            return None  # opening it says why

    def file(self, index: int) -> Path | None:
        return self.root / self.keys[index]

    def weigh(self, index: int) -> int:
        try:
            return (self.root / self.keys[index]).stat().st_size
        except (OSError, ValueError):
            return -1  # a list may name a file that is not there; opening it says so


class Encoded(Pictures):
    """Encoded pictures in a column of bytes, such as Parquet's."""

    def __init__(
        self, column: pa.ChunkedArray, keys: Sequence[str], labels: Labels, classes: tuple[str, ...]
    ) -> None:
        super().__init__(keys, labels, classes)
        self.column = column

    def open(self, index: int) -> Image.Image:
        value = self.stored(index)
        if value is None:
            raise BadPicture(self.keys[index], "has no bytes")
        return decode(value, self.keys[index])

    def stored(self, index: int) -> bytes | None:
        value: bytes | None = self.column[index].as_py()
        return value

    def weigh(self, index: int) -> int:
        buffer = self.column[index].as_buffer()
        return 0 if buffer is None else len(buffer)


class Arrays(Pictures):
    """Grey pictures in memory: uint8 (N, H, W)."""

    def __init__(self, values: NDArray[np.uint8], labels: Labels, classes: tuple[str, ...]) -> None:
        super().__init__([str(i) for i in range(len(values))], labels, classes)
        self.values = values

    def open(self, index: int) -> Image.Image:
        return Image.fromarray(self.values[index]).convert("RGB")

    def weigh(self, index: int) -> int:
        return int(self.values[index].nbytes)


class Loose(Pictures):
    """Unlabelled pictures by path, as bytes or as images (their labels are all 0)."""

    def __init__(self, items: Sequence[str | Path | bytes | Image.Image]) -> None:
        named = [isinstance(item, str | Path) for item in items]
        keys = [
            str(item) if n else f"picture {i}" for i, (item, n) in enumerate(zip(items, named, strict=True))
        ]
        super().__init__(keys, np.zeros(len(items), dtype=np.int64), ("",))
        self.items = items

    def open(self, index: int) -> Image.Image:
        return decode(self.items[index], self.keys[index])

    def weigh(self, index: int) -> int:
        item = self.items[index]
        return len(item) if isinstance(item, bytes) else 0


@dataclass(frozen=True)
class Splits:
    """A data set: `val` chooses, `test` is only reported (and may be missing).

    All share `classes`. `mirrors` says whether a mirrored picture still belongs to its class, where
    the source knows; `notes` is what a person should be told about how it was read.
    """

    name: str
    train: Pictures
    val: Pictures
    test: Pictures | None = None
    mirrors: bool = True
    notes: tuple[str, ...] = ()
    digest: str | None = None
    """Their fingerprint, where it is known."""

    @property
    def classes(self) -> tuple[str, ...]:
        return self.train.classes

    def without(self, bad: dict[str, set[int]]) -> Splits:
        """The splits without the pictures at the indices in `bad`, by split."""
        kept: dict[str, Any] = {
            name: pictures.select(np.delete(np.arange(len(pictures)), sorted(bad[name])))
            for name, pictures in self.items()
            if bad.get(name)
        }
        return replace(self, **kept)

    def items(self) -> list[tuple[str, Pictures]]:
        """The splits there are, by name."""
        every = (("train", self.train), ("val", self.val), ("test", self.test))
        return [(name, pictures) for name, pictures in every if pictures is not None]


def align(pictures: Pictures, classes: tuple[str, ...], where: str) -> Pictures:
    """`pictures` with labels that index `classes`, matched by name.

    Classes that no picture shows may be missing on either side. Raises `DataError` for a picture of
    a class that `classes` lacks.
    """
    position = {name: i for i, name in enumerate(classes)}
    shown = [pictures.classes[i] for i in np.unique(pictures.labels)]
    if lacking := [name for name in shown if name not in position]:
        raise DataError(
            f"{where} has pictures of {_some(lacking)}, which the network's classes lack "
            f"({_some(classes)}). Rename or remove them, or train with them"
        )
    table = np.array([position.get(name, -1) for name in pictures.classes], dtype=np.int64)
    aligned = pictures.select(np.arange(len(pictures)))
    aligned.labels = table[pictures.labels] if len(pictures) else pictures.labels
    aligned.classes = classes
    return aligned


def hold_out(labels: Labels, count: int, seed: int) -> tuple[Labels, Labels]:
    """Indices (kept, held out): `count` held out, each class in its share to within one picture.

    scikit-learn's stratified splitters refuse small classes and miss exact counts; taking every
    n-th picture of a list sorted by class, shuffled within it, does neither.
    """
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    chosen = np.zeros(len(labels), dtype=bool)
    chosen[((np.arange(count) + 0.5) * len(labels) / max(count, 1)).astype(np.int64)] = True
    return np.sort(by_class[~chosen]), np.sort(by_class[chosen])


def fingerprint(splits: Splits) -> str:
    """Digest of names, labels and stored sizes of all pictures: equal for equal data."""
    if splits.digest is not None:
        return splits.digest
    digest = hashlib.sha256(repr(splits.classes).encode())
    for name, pictures in splits.items():
        digest.update(f"\n{name} {len(pictures)}\n".encode())
        for index, key in enumerate(pictures.keys):
            line = f"{key}\0{pictures.labels[index]}\0{pictures.weigh(index)}\n"
            digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def _some(names: Sequence[str], limit: int = 5) -> str:
    shown = ", ".join(repr(name) for name in names[:limit])
    return shown + (f" and {len(names) - limit} more" if len(names) > limit else "")
