"""Tables about images: rows that are kept while they come, and the file that they become.

The rows so far lie in NAME.partial, an Arrow stream. A process that was killed may have cut off its end
anywhere: what follows its last whole batch is removed when it is gone on with.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from resnext.data.decode import DataError
from resnext.engine.image_list import ImageList
from resnext.engine.origin import METADATA_KEY, Origin
from resnext.errors import UsageError
from resnext.files import as_it_is, naming, replacing

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

#: What the rows so far have besides: what tells whether an image has changed, and its place. The place comes
#: last, so that it is cut off where anything is.
CHANGES = [("size", pa.int64()), ("stamp", pa.int64()), ("index", pa.int64())]
#: Most rows and most values of a row group of Parquet; so many rows wait in memory, or for so many seconds.
ROW_GROUP_ROWS, ROW_GROUP_VALUES, WAITING_S = 4096, 2**23, 30.0
#: How pyarrow tells that the end of a stream is cut off.
CUT_OFF = (EOFError, OSError, pa.ArrowInvalid)


class TableFormat(ABC):
    """What the rows of a table hold, and how its file is written."""

    @property
    @abstractmethod
    def about(self) -> tuple[str, ...]:
        """Columns that tell which image a row is of, among those of `ImageList.describe`."""

    @property
    @abstractmethod
    def computed(self) -> list[tuple[str, pa.DataType]]:
        """Columns that are computed, and their types."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Numbers in a row, roughly."""

    @abstractmethod
    def write(self, tables: Iterator[pa.Table], file: BinaryIO, metadata: dict[bytes, bytes]) -> None:
        """Write the file: all rows, in tables of the same size, whose columns are `about` and `computed`."""

    @property
    def columns(self) -> list[tuple[str, pa.DataType]]:
        """All columns of a row."""
        return [*((name, pa.string()) for name in self.about), *self.computed]


def partial_path(out: Path) -> Path:
    """Where the rows so far of `out` are."""
    return out.with_name(f"{out.name}.partial")


class PartialFile:
    """The rows so far, in a file that is open and locked.

    Args:
        file: The file, open for reading and writing; what follows its last whole batch is removed.
        out: The file that it becomes.
        format: What its rows hold.
        origin: The model at hand.
        images: The images at hand.

    Attributes:
        rows: Rows so far.
        next_index: Place of what follows the last image that has a row.

    Raises:
        DataError: It is another file, or has rows of images that have changed.
        ModelError: It has rows of another model.
    """

    def __init__(
        self, file: BinaryIO, out: Path, format: TableFormat, origin: Origin, images: ImageList
    ) -> None:
        self.path, self.rows, self.next_index = partial_path(out), 0, 0
        self._file, self._out, self._format = file, out, format
        self._origin, self._images = origin, images
        self._waiting: list[pa.RecordBatch] = []
        self._written_at, self._is_whole = time.monotonic(), True
        self._group_rows, self._end = _rows_per_group(format.width), 0
        self._schema = pa.schema([*format.columns, *CHANGES], {METADATA_KEY: origin.dumps()})
        self._origin_there = self._read_origin()
        if self._origin_there is None:
            self._file.truncate(0)
            self._append(self._schema.serialize())
            return
        for batch in self._batches(check=True):
            self.rows, self.next_index = self.rows + len(batch), batch["index"][-1].as_py() + 1
        self._file.truncate(self._end)

    @property
    def batch(self) -> int:
        """Images of a batch, of which rows are written as a whole."""
        return (self._origin_there or self._origin).batch

    def add(self, indices: NDArray[np.int64], computed: Mapping[str, pa.Array]) -> None:
        """Take the rows of a batch of images: their places, ascending (B,), and the computed columns."""
        if len(indices):
            columns = {**self._images.describe(indices), **computed, "index": indices}
            arrays = [columns[name] for name in self._schema.names]
            self._waiting.append(pa.record_batch(arrays, schema=self._schema))
            self.rows, self.next_index = self.rows + len(indices), int(indices[-1]) + 1
        waiting = sum(map(len, self._waiting))
        if waiting >= self._group_rows or time.monotonic() - self._written_at >= WAITING_S:
            self.write()

    def write(self) -> None:
        """Write the rows that wait, and wait until the disk has them."""
        self._written_at = time.monotonic()
        if not self._waiting:
            return
        [batch] = pa.Table.from_batches(self._waiting).combine_chunks().to_batches()
        self._waiting.clear()
        self._append(batch.serialize())

    def finish(self) -> None:
        """Write the file beside its place, move it there, and remove the rows so far."""
        self.write()
        origin = replace(self._origin, batch=self.batch, images=self._images.digest())
        names = [name for name, _ in self._format.columns]
        tables = (group.select(names) for group in _row_groups(self._batches(), self._group_rows))
        with replacing(self._out) as file:
            self._format.write(tables, file, {METADATA_KEY: origin.dumps()})
        self.path.unlink()

    def stop(self, error: BaseException) -> None:
        """Write what waits after `error`, and say in a note on it what to do; a file without rows is
        removed."""
        if self._is_whole:
            with contextlib.suppress(OSError):  # of a full disk, which `error` may be about
                self.write()
        if self.rows:
            error.add_note(f"{self.path} holds the rows so far; the same command with --resume goes on")
        else:
            with contextlib.suppress(OSError):
                self.path.unlink()

    def _append(self, content: pa.Buffer) -> None:
        self._is_whole = False
        self._file.seek(0, os.SEEK_END)
        rest = memoryview(content)
        with naming(self.path):
            while len(rest):
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        self._is_whole = True

    def _read_origin(self) -> Origin | None:
        """What the file's rows are of, the same as at hand; None if not even that was written."""
        self._file.seek(0)
        start = self._file.read(4)
        if start != b"\xff" * len(start):  # what every Arrow stream begins with
            raise DataError(f"{self.path}: holds no rows that resnext kept; remove it, or say another --out")
        self._file.seek(0)
        try:
            schema = pa.ipc.read_schema(pa.ipc.read_message(pa.PythonFile(self._file, "r")))
        except CUT_OFF as error:
            _raise_if_real(error)
            return None
        origin = Origin.loads(schema.metadata, self.path)
        origin.check_is(self._origin, self.path)
        if not schema.equals(self._schema):
            raise DataError(f"{self.path}: has other columns than this version writes; remove it")
        self._end = self._file.tell()
        return origin

    def _batches(self, check: bool = False) -> Iterator[pa.RecordBatch]:
        """The whole batches of the file; `check`: raise `DataError` if one is of images that have changed."""
        self._file.seek(0)
        source = pa.PythonFile(self._file, "r")
        pa.ipc.read_message(source)
        last = -1
        while True:
            try:
                batch = pa.ipc.read_record_batch(pa.ipc.read_message(source), self._schema)
                batch.validate(full=True)
            except CUT_OFF as error:
                _raise_if_real(error)
                return
            places = batch["index"].to_numpy()
            if not len(places) or places[0] <= last or (np.diff(places) <= 0).any():
                return  # blocks that a machine that lost its power has not written
            last = int(places[-1])
            if check:
                self._check(batch, places)
            self._end = self._file.tell()
            yield batch

    def _check(self, batch: pa.RecordBatch, places: NDArray[np.int64]) -> None:
        """Raise `DataError` if an image is no longer what the row in `batch` was made of."""
        cure = "put back what it was, or remove the file to begin again"
        if places[-1] >= len(self._images):
            raise DataError(
                f"{self.path}: has a row of image {places[-1] + 1:,}, and now there are only "
                f"{len(self._images):,}; {cure}"
            )
        described = self._images.describe(places)
        for name in (*self._format.about, "size", "stamp"):
            values = described[name]
            for row, (then, now) in enumerate(zip(batch[name].to_pylist(), values, strict=True)):
                if then == now:
                    continue
                key = batch["key"][row].as_py()
                change = f"whose {name} was {then} and is {now} now"
                if name == "key":
                    change = f"in whose place {now} is now: images were added, removed or renamed"
                elif name in ("size", "stamp"):
                    change = "which has changed since"
                raise DataError(f"{self.path}: has a row of {key}, {change}; {cure}")


def finished_rows(out: Path, origin: Origin, images: ImageList) -> int | None:
    """Rows of `out`, if it is finished; None if it is not there, was not finished, or is a text, which does
    not say what it is of.

    Raises:
        DataError: It is another file, or of other images.
        ModelError: It is of another model.
    """
    if out.suffix != ".parquet" or os.path.lexists(partial_path(out)) or not out.exists():
        return None
    try:
        about = pq.read_metadata(out)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{out}: is there, and no Parquet file ({error}); say another --out") from None
    there = Origin.loads(about.metadata, out)
    there.check_is(origin, out)
    if there.images != images.digest():
        raise DataError(
            f"{out}: holds {there.content} of other images, or of these before some changed; remove it to "
            "begin again, or say another --out"
        )
    return int(about.num_rows)


@contextmanager
def open_partial(
    out: Path, format: TableFormat, origin: Origin, images: ImageList, resume: bool
) -> Iterator[PartialFile]:
    """The rows so far of `out`, locked for this process; after an error a note on it says what to do.

    Args:
        out: The file that they become.
        format: What they hold.
        origin: The model at hand.
        images: The images at hand.
        resume: Go on with the rows of a run that was stopped, if there are any.

    Raises:
        UsageError: There are rows and `resume` is false, or another process writes them.
        DataError: They are damaged, or of images that have changed.
        ModelError: They are of another model.
    """
    path = partial_path(out)
    is_there = os.path.lexists(path)
    if is_there and not resume:
        raise UsageError(f"{path}: has the rows of a run that was stopped; --resume goes on. Or remove it")
    # Not buffered, so that closing it after a failed write writes nothing.
    with open(path, "r+b" if is_there else "x+b", buffering=0, opener=as_it_is) as file:
        _lock(file, path)
        try:
            partial = PartialFile(file, out, format, origin, images)
        except BaseException:
            if not is_there:
                path.unlink()
            raise
        try:
            yield partial
        except BaseException as error:
            partial.stop(error)
            raise


def _lock(file: BinaryIO, path: Path) -> None:
    """Keep other processes from `file` until this one ends. Raises `UsageError` if another has done so.

    A lock of this kind does not pass to the processes that decode images, which may outlive this one by
    seconds.
    """
    if fcntl is None:
        return
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise UsageError(
                f"{path}: another process writes it; wait for it, or say another --out"
            ) from None
        # A file system without locks.


def _raise_if_real(error: BaseException) -> None:
    """Raise `error` if it is the system's, and not pyarrow's word for a stream that ends too soon."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error


def _rows_per_group(width: int) -> int:
    return max(1, min(ROW_GROUP_ROWS, ROW_GROUP_VALUES // width))


def _row_groups(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    """The same rows in tables of `rows`; the last may be shorter."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        while sum(map(len, waiting)) >= rows:
            table = pa.Table.from_batches(waiting)
            yield table.slice(0, rows)
            waiting = table.slice(rows).to_batches()
    if waiting:
        yield pa.Table.from_batches(waiting)
