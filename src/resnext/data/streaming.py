"""Streams: images that are read from start to end, because the data set does not fit on the disk."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from resnext.data.columns import IMAGE_COLUMNS, LABEL_COLUMNS, find_column
from resnext.data.contents import UNKNOWN_STAMP
from resnext.data.decode import BadImage, DataError
from resnext.data.images import Labels
from resnext.data.labels import label_column
from resnext.data.stored_images import EncodedImages
from resnext.data.tables import row_keys

#: Prefix of DATA that is to be read as a stream.
STREAM = "stream:"
#: Images that are shuffled together. They are held in memory, encoded: about 200 MB of ImageNet's images.
WINDOW = 2048
#: Rows that are read from a table at once.
ROWS = 64
#: Column of tables that were made of tars: the name of each image.
KEY_COLUMN = "__key__"


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


class Rows(Protocol):
    """Rows that are read from the first to the last, as often as asked, in the same order each time."""

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns, and what else is known about them."""

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Some columns of all rows."""

    def batches(self, column: str) -> Iterator[pa.RecordBatch | pa.Table]:
        """One column, some rows at once."""


def stream_of_rows(rows: Rows, data: Path, files_stamp: int = UNKNOWN_STAMP) -> ImageStream:
    """The images in `rows`: their labels are read now, the images when they are opened.

    Args:
        rows: Rows with an image column, which holds bytes, and a label column.
        data: DATA, for keys and errors.
        files_stamp: Stamp of the files that are read; unknown if they are elsewhere.

    Raises:
        DataError: If a column is missing or holds something else.
    """
    names = rows.schema.empty_table()
    image_name = find_column(names, IMAGE_COLUMNS, data, "image")
    label_name = find_column(names, LABEL_COLUMNS, data, "label")
    if not _holds_bytes(image_type := rows.schema.field(image_name).type):
        raise DataError(f"{data}: column {image_name} holds {image_type}; a stream needs the images' bytes")
    has_keys = KEY_COLUMN in rows.schema.names
    table = rows.read([label_name, *[KEY_COLUMN] * has_keys])
    labels, classes = label_column(table.replace_schema_metadata(rows.schema.metadata), label_name, data)
    keys = row_keys(table[KEY_COLUMN].to_pylist() if has_keys else [None] * len(labels), data)
    return ImageStream(ColumnReader(rows, image_name), keys, labels, classes, files_stamp=files_stamp)


@dataclass(frozen=True)
class ColumnReader:
    """Reads the encoded images in a column from the first to the last."""

    rows: Rows
    column: str

    def __call__(self) -> Iterator[bytes | None]:
        for batch in self.rows.batches(self.column):
            yield from _bytes_of(batch.column(self.column)).to_pylist()


def _holds_bytes(kind: pa.DataType) -> bool:
    """Whether a column holds bytes, or has a field `bytes` that does."""
    if pa.types.is_struct(kind):
        place = kind.get_field_index("bytes")
        return place >= 0 and _holds_bytes(kind.field(place).type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _bytes_of(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """The encoded images in a column: the column itself, or its field `bytes`."""
    if not pa.types.is_struct(column.type):
        return column
    return column.flatten()[column.type.get_field_index("bytes")]
