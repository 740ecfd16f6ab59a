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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from resnext.data.decode import BadImage, DataError
from resnext.engine.image_list import ImageList
from resnext.engine.origin import METADATA_KEY, Origin
from resnext.errors import UsageError
from resnext.files import as_it_is, naming, replacing

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

#: What the rows so far have besides: why an image could not be read, which then has no row in the end; what
#: tells whether it has changed; and its place, which comes last, so that it is cut off where anything is.
BESIDES = [("error", pa.string()), ("size", pa.int64()), ("stamp", pa.int64()), ("index", pa.int64())]
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
        bad: Errors of the images that could not be read.
        next_index: Place of what follows the last of these images.

    Raises:
        DataError: It is another file, or has rows of images that have changed.
        ModelError: It has rows of another model.
    """

    def __init__(
        self, file: BinaryIO, out: Path, format: TableFormat, origin: Origin, images: ImageList
    ) -> None:
        self.path, self.rows, self.next_index = partial_path(out), 0, 0
        self.bad: list[BadImage] = []
        self._file, self._out, self._format = file, out, format
        self._origin, self._images = origin, images
        self._waiting: list[pa.RecordBatch] = []
        self._written_at, self._is_whole, self._are_rows_kept = time.monotonic(), True, False
        self._group_rows, self._end = _rows_per_group(format.width), 0
        self._schema = pa.schema([*format.columns, *BESIDES], {METADATA_KEY: origin.dumps()})
        self._origin_there = self._read_origin()
        if self._origin_there is None:
            self._file.truncate(0)
            self._append(self._schema.serialize())
            return
        for batch in self._batches(check=True):
            self.next_index = batch["index"][-1].as_py() + 1
            self.rows += batch["error"].null_count
            left_out = batch.filter(pc.is_valid(batch["error"])).select(["key", "error"]).to_pylist()
            self.bad += [BadImage(row["key"], row["error"]) for row in left_out]
        self._file.truncate(self._end)
        self._are_rows_kept = self.next_index > 0

    @property
    def batch(self) -> int:
        """Images of a batch, of which rows are written as a whole."""
        return (self._origin_there or self._origin).batch

    def add(
        self, indices: NDArray[np.int64], computed: Mapping[str, pa.Array], bad: Sequence[BadImage]
    ) -> None:
        """Take a batch of images, all that follow `next_index`.

        Args:
            indices: Places of those that could be read, ascending (B,).
            computed: Their computed columns.
            bad: Errors of the others, in their order.
        """
        places = np.arange(self.next_index, self.next_index + len(indices) + len(bad))
        if not len(places):
            return
        others = np.setdiff1d(places, indices)
        rows = pa.concat_tables([self._table(indices, computed), self._table(others, {}, bad)])
        [batch] = rows.sort_by("index").combine_chunks().to_batches()
        self._waiting.append(batch)
        self.rows, self.next_index = self.rows + len(indices), int(places[-1]) + 1
        self.bad += bad
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
        self._are_rows_kept = True

    def finish(self) -> None:
        """Write the file beside its place, move it there, and remove the rows so far.

        Raises `UsageError` if these were removed or replaced meanwhile.
        """
        self.write()
        if not _is_at(self._file, self.path):
            raise UsageError(f"{self.path}: was removed or replaced while it was written; begin again")
        origin = replace(self._origin, batch=self.batch, images=self._images.digest())
        names = [name for name, _ in self._format.columns]
        good = (batch.filter(pc.is_null(batch["error"])) for batch in self._batches())
        tables = (group.select(names) for group in _row_groups(good, self._group_rows))
        with replacing(self._out) as file:
            self._format.write(tables, file, {METADATA_KEY: origin.dumps()})
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()

    def stop(self, error: BaseException) -> None:
        """Write what waits after `error`, and say in a note on it what to do; a file without rows is
        removed."""
        if self._is_whole:
            with contextlib.suppress(OSError):  # of a full disk, which `error` may be about
                self.write()
        if not _is_at(self._file, self.path):
            return
        if self._are_rows_kept and self.rows:
            error.add_note(f"{self.path} holds the rows so far; the same command with --resume goes on")
        else:
            with contextlib.suppress(OSError):
                self.path.unlink()

    def _table(
        self, indices: NDArray[np.int64], computed: Mapping[str, pa.Array], bad: Sequence[BadImage] = ()
    ) -> pa.Table:
        """Rows of the images at `indices`; null where nothing is known."""
        unknown = pa.nulls(len(indices))
        columns = dict.fromkeys(self._schema.names, unknown) | self._images.describe(indices)
        columns |= dict.fromkeys((name for name, _ in self._format.computed), unknown) | dict(computed)
        columns |= {"index": indices, "error": [one.reason for one in bad] or unknown}
        arrays = [
            one.cast(kind) if isinstance(one, pa.Array) else pa.array(one, kind)
            for one, kind in ((columns[name], self._schema.field(name).type) for name in self._schema.names)
        ]
        return pa.table(arrays, schema=self._schema)

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
        cure = "put back what it was, or remove the file of rows to begin again"
        if places[-1] >= len(self._images):
            raise DataError(
                f"{self.path}: was begun with {places[-1] + 1:,} images or more, and now there are only "
                f"{len(self._images):,}; give those that it was begun with, or remove it to begin again"
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
    # Not buffered, so that closing it after a failed write writes nothing.
    with open(path, "r+b" if is_there else "x+b", buffering=0, opener=as_it_is) as file, _locked(file, path):
        if is_there and not resume:
            raise UsageError(
                f"{path}: has the rows of a run that was stopped; --resume goes on. Or remove it"
            )
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


#: Files that this process writes, by device and number: locks are between processes only.
_written_here: set[tuple[int, int]] = set()


@contextmanager
def _locked(file: BinaryIO, path: Path) -> Iterator[None]:
    """A context that keeps others from `file`. Raises `UsageError` if another has done so.

    A lock of this kind does not pass to the processes that decode images, which may outlive this one by
    seconds.
    """
    about = os.fstat(file.fileno())
    taken = UsageError(f"{path}: another process writes it; wait for it, or say another --out")
    if (number := (about.st_dev, about.st_ino)) in _written_here:
        raise taken
    try:
        if fcntl is not None:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise taken from None
        # A file system without locks.
    if not _is_at(file, path):  # it was finished between opening and locking
        raise taken
    _written_here.add(number)
    try:
        yield
    finally:
        _written_here.remove(number)


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Whether `path` still is the open `file`."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


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
