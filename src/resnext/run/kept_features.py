"""The folder `features` of a run that fits the head: what the rest of the network made of each image.

One row for each view, in a fixed order, in a file that only grows. Each batch is recorded with a digest when
its rows are written, so that a run that was killed goes on behind the last batch that is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from resnext.files import as_it_is, check_ordinary, ordinary, write_whole
from resnext.parsing import MAX_INTEGER, Extensible, Range, build, parse_json, read_json
from resnext.run.documents import Seconds, to_json_text
from resnext.run.folder import RunError
from resnext.run.timed_loader import WaitTimes

ROWS_FILE, BATCHES_FILE, ORIGIN_FILE = "rows.f32", "batches.jsonl", "origin.json"
#: Longest line of the records.
MAX_LINE = 1000


@dataclass(frozen=True)
class FeatureOrigin(Extensible):
    """What features are of: all that they depend on.

    Attributes:
        network: Name of the network.
        weights: Digest of the tensors that they were computed with.
        contract: contract.json, by which images are prepared.
        images: Digest of the images.
        recipe: config.toml, which has the augmentation and the batch, without what may change.
    """

    network: str
    weights: str
    contract: str
    images: str
    recipe: str

    def check_is(self, other: FeatureOrigin, where: Path) -> None:
        """Raise `RunError` if `other`, what is at hand, is not what the features in `where` are of."""
        words = {
            "network": f"are of the network {self.network}, not {other.network}",
            "weights": "are of other weights",
            "contract": "are of images that were prepared by another contract",
            "images": "are of other images",
            "recipe": "are of other views, by another config.toml",
        }
        for name, what in words.items():
            if getattr(self, name) != getattr(other, name):
                raise RunError(f"{where}: {what}; remove this folder to compute them again")


@dataclass(frozen=True)
class BatchRecord(Extensible):
    """A batch whose rows are written: how many, their digest, and the time that they took."""

    rows: Annotated[int, Range(1, MAX_INTEGER)]
    sha256: str
    seconds: Seconds
    data_s: Seconds
    transfer_s: Seconds


class KeptFeatures:
    """Features in `folder`, of batches whose sizes are known before. Call `open` first.

    Args:
        folder: The folder; it is made if it is not there.
        width: Numbers in a row.
        sizes: Rows of each batch, in order.
    """

    def __init__(self, folder: Path, width: int, sizes: Sequence[int]) -> None:
        self.folder, self.width, self.sizes = folder, width, sizes
        self.records: list[BatchRecord] = []

    def open(self, origin: FeatureOrigin) -> None:
        """Find the batches that are whole, and drop what follows them.

        Raises:
            RunError: There are features of something else than `origin`.
            OSError: The folder cannot be written.
        """
        self.folder.mkdir(exist_ok=True)
        path = self.folder / ORIGIN_FILE
        if path.exists():
            try:
                build(FeatureOrigin, read_json(path), "origin").check_is(origin, self.folder)
            except ValueError as error:
                raise RunError(f"{path}: {error}; remove this folder to compute them again") from None
            self.records = list(self._whole())
        self._cut(ROWS_FILE, 4 * self.width * self.rows)
        self._cut(BATCHES_FILE, sum(len(_line(record)) for record in self.records))
        write_whole(path, to_json_text(asdict(origin)))

    @property
    def rows(self) -> int:
        """Rows that are kept."""
        return sum(record.rows for record in self.records)

    @property
    def seconds(self) -> float:
        """Seconds that they took, of which `waits` were spent waiting for images."""
        return sum(record.seconds for record in self.records)

    @property
    def waits(self) -> WaitTimes:
        """The time that was spent waiting for images."""
        return WaitTimes(sum(one.data_s for one in self.records), sum(one.transfer_s for one in self.records))

    def append(self, rows: NDArray[np.float32], seconds: float, waits: WaitTimes) -> None:
        """Write the rows (N, width) of the next batch. Raises `OSError`."""
        content = np.ascontiguousarray(rows, "<f4").tobytes()
        record = BatchRecord(len(rows), _digest(content), seconds, waits.data_s, waits.transfer_s)
        for name, part in ((ROWS_FILE, content), (BATCHES_FILE, _line(record))):
            with open(self.folder / name, "ab", opener=as_it_is) as file:
                file.write(part)
        self.records.append(record)

    def sync(self) -> None:
        """Sync what was written to the disk. Raises `OSError`."""
        for name in (ROWS_FILE, BATCHES_FILE):
            with open(self.folder / name, "r+b", opener=as_it_is) as file:
                os.fsync(file.fileno())

    def read(self) -> NDArray[np.float32]:
        """All rows that are kept, float32 (rows, width): the file, mapped into memory."""
        path = self.folder / ROWS_FILE
        check_ordinary(path)
        return np.memmap(path, np.dtype("<f4"), "r", shape=(self.rows, self.width))

    def _whole(self) -> Iterator[BatchRecord]:
        """The records of the batches from the first on that are as they were written."""
        files = [self.folder / name for name in (ROWS_FILE, BATCHES_FILE)]
        if not all(file.exists() for file in files):
            return
        with (
            open(files[0], "rb", opener=ordinary) as rows,
            open(files[1], "rb", opener=ordinary) as lines,
        ):
            for size in self.sizes:
                record, content = _read_record(lines.readline(MAX_LINE)), rows.read(4 * self.width * size)
                if record is None or record.rows != size or record.sha256 != _digest(content):
                    return
                yield record

    def _cut(self, name: str, size: int) -> None:
        with open(self.folder / name, "ab", opener=as_it_is) as file:
            file.truncate(size)


def _line(record: BatchRecord) -> bytes:
    return (json.dumps(asdict(record)) + "\n").encode()


def _read_record(line: bytes) -> BatchRecord | None:
    """The record in a line as `_line` writes it; None if it is none, or was cut."""
    try:
        value: Any = parse_json(line)
        record = build(BatchRecord, value, "batch")
    except ValueError:
        return None
    return record if _line(record) == line else None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
