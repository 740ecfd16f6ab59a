"""The facts of images in a file that only grows, so that no image is looked at twice.

A stopped run goes on with it, a set that grew has its new images looked at, and the files of shards join: an
image is known by its split (if that is not drawn at random), its name, its size and its time. What cannot be
read is never kept, and looked at again. Each record carries a checksum; a torn end and records that a crash
left empty are not read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from resnext.data.decode import DataError
from resnext.data.images import ImageDataset
from resnext.doctor.facts import FACTS, Facts
from resnext.files import as_it_is, naming, ordinary, replacing

#: How the file begins: its version, and what is measured. Another version is measured again.
HEAD = b"resnext facts 1 " + hashlib.sha256(repr(FACTS.descr).encode()).hexdigest()[:15].encode() + b"\n"
#: Odd factors of the words of a record in its checksum, and its place among the words.
_FACTORS = (2 * np.arange(1, FACTS.itemsize // 8 + 1, dtype=np.uint64) + 1) * np.uint64(0x9E3779B97F4A7C15)
_CHECK = 1
#: Records of which copies are made at once.
WRITTEN_AT_ONCE = 65536


class FactsFile:
    """Facts that are kept at `path`.

    Args:
        path: The file; it is made with the first facts that are added.
        others: Files of the same kind that are read too, as those of shards.

    Raises:
        DataError: There is another file at `path`.
        OSError: A file cannot be read.
    """

    def __init__(self, path: Path, others: Iterable[Path] = ()) -> None:
        self.path = path
        known = [_read(one) for one in (path, *others) if os.path.lexists(one)]
        facts = np.concatenate([np.zeros(0, FACTS), *known])
        _, first = np.unique(facts["ident"][::-1], return_index=True)
        self._known = facts[::-1][first]  # the last record of each image, ordered by `ident`

    def find(self, idents: NDArray[np.uint64]) -> tuple[NDArray[np.bool_], Facts]:
        """Which of the images are known (N,), and the facts of these in order."""
        places = np.minimum(np.searchsorted(self._known["ident"], idents), max(0, len(self._known) - 1))
        if not len(self._known):
            return np.zeros(len(idents), np.bool_), self._known
        is_known = self._known["ident"][places] == idents
        return is_known, self._known[places[is_known]]

    def add(self, facts: Facts) -> None:
        """Write facts behind the others, and wait until the disk has them. Raises `OSError`."""
        if not len(facts):
            return
        with naming(self.path), open(self.path, "ab", opener=as_it_is) as file:
            size = file.tell()
            if torn := max(0, size - len(HEAD)) % FACTS.itemsize:
                file.truncate(size - torn)
            file.write((b"" if size else HEAD) + _checked(facts))
            file.flush()
            os.fsync(file.fileno())

    def finish(self, facts: Facts) -> None:
        """Write the file anew with nothing but `facts`, those of all images."""
        with replacing(self.path) as file:
            file.write(HEAD)
            for start in range(0, len(facts), WRITTEN_AT_ONCE):
                file.write(_checked(facts[start : start + WRITTEN_AT_ONCE]))


def identify(images: ImageDataset, home: str, index: int) -> int:
    """64 bits that another image, or the same one after a change, does not have; `home` is where images with
    its name are this one."""
    about = (home, images.keys[index], images.stored_size(index), images.stamp(index))
    digest = hashlib.sha256(repr(about).encode("utf-8", "backslashreplace")).digest()
    return int.from_bytes(digest[:8], "little") or 1


def _read(path: Path) -> Facts:
    """The whole records of a file; none of one of another version."""
    with open(path, "rb", opener=ordinary) as file:
        head = file.read(len(HEAD))
        if not head.startswith(HEAD[:14]) and head:
            raise DataError(f"{path}: is not what was measured of images; remove it, or say another --out")
        if head != HEAD:
            return np.zeros(0, FACTS)
        content = file.read()
    facts = np.frombuffer(content, FACTS, len(content) // FACTS.itemsize)
    whole: Facts = facts[(facts["check"] == _checksums(facts)) & (facts["ident"] != 0)]
    return whole


def _checked(facts: Facts) -> bytes:
    """Records as the file has them, with their checksums."""
    facts = facts.copy()
    facts["check"] = _checksums(facts)
    return facts.tobytes()


def _checksums(facts: Facts) -> NDArray[np.uint64]:
    words = np.ascontiguousarray(facts).view("<u8").reshape(-1, FACTS.itemsize // 8)
    mixed = words * _FACTORS
    mixed[:, _CHECK] = 0x5EED
    mixed ^= mixed >> np.uint64(29)
    total: NDArray[np.uint64] = mixed.sum(axis=1, dtype=np.uint64)
    return total
