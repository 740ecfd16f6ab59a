"""Tars in the WebDataset format: an image and its class are files of one name, `00017.jpg` and `00017.cls`.

Images are read where they lie, so that nothing is unpacked or copied. The headers of all files are read
first: they tell whether a tar is whole.
"""

from __future__ import annotations

import itertools
import os
import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from resnext.data.columns import IMAGE_COLUMNS, LABEL_COLUMNS
from resnext.data.contents import size_and_time
from resnext.data.decode import IMAGE_SUFFIXES, DataError
from resnext.data.images import Labels
from resnext.data.labels import label_column
from resnext.data.stored_images import EncodedImages
from resnext.data.tables import read_end
from resnext.files import ordinary
from resnext.names import printable

#: The end of a tar: two empty blocks. Programs that write in larger units fill up the last one, which has
#: 10,240 bytes, but for those that were told a larger unit, of a megabyte at most.
END, USUAL_PADDING, MAX_PADDING = bytes(1024), 12 * 1024, 2**20
#: Largest file that can be the class of an image, in bytes.
MAX_LABEL_BYTES = 1000
#: Fields whose images the library `datasets`, which earlier versions read tars with, names by their file.
NAMED_FIELDS = {suffix[1:] for suffix in IMAGE_SUFFIXES} - {"avif"}
#: Fields that an image or a label can be.
KNOWN_FIELDS = frozenset((*IMAGE_COLUMNS, *LABEL_COLUMNS))
#: A name as key and field: folders and the name up to its first dot, and what follows.
_SAMPLE_NAME = re.compile(r"((?:.*/|)[^.]+)[.]([^/]*)")


@dataclass(frozen=True)
class Member:
    """A file in a tar: its name, and where its bytes are."""

    name: str
    offset: int
    size: int


@dataclass(frozen=True)
class Sample:
    """Files of one key that follow each other in a tar, by field: what their names have after the key."""

    key: str
    fields: dict[str, Member]

    def find(self, known: Sequence[str], path: Path) -> str | None:
        """The field that is one of `known`, in any case; None if there is none. Raises `DataError` if there
        are several in the tar at `path`."""
        found = [name for name in self.fields if name.lower() in known]
        if len(found) > 1:
            raise DataError(
                f"{path}: {printable(self.key)} has {printable(' and '.join(found))}, and which is meant is "
                "not certain; leave one"
            )
        return found[0] if found else None


def read_members(path: Path) -> list[Member]:
    """The regular files in a tar, in order.

    Raises:
        DataError: If the tar is damaged or cut short, or more follows its end.
    """
    try:
        with open(path, "rb", opener=ordinary) as file:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                members = list(_regular_files(tar, path))
                end = tar.offset
            file.seek(end)
            rest = file.read(MAX_PADDING + 1)
    except (OSError, tarfile.TarError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as a tar ({error}); is it whole, not compressed?") from None
    if not rest.startswith(END):
        raise DataError(
            f"{path}: is damaged or cut short: after {len(members)} files comes neither another one nor the "
            "end. Fetch or write it again"
        )
    if len(rest) > MAX_PADDING or rest.strip(b"\0"):
        raise DataError(
            f"{path}: more follows its end, which comes after {len(members)} files. Is it several tars in "
            "one, or half fetched? Unpack it and write it again"
        )
    return members


def _regular_files(tar: tarfile.TarFile, path: Path) -> Iterator[Member]:
    for member in tar:
        tar.members = []  # type: ignore[attr-defined] # it would keep all headers
        if (member.islnk() or member.issym()) and _suffix(member.name) in KNOWN_FIELDS:
            raise DataError(
                f"{path}: {printable(member.name)} is a link to {printable(member.linkname)}, and links "
                "in tars are not read; write it again with the files (tar --dereference --hard-dereference)"
            )
        if member.isreg():
            yield Member(member.name, member.offset_data, member.size)


def read_samples(path: Path) -> Iterator[Sample]:
    """The samples of a tar, in order. Hidden files are none.

    Raises:
        DataError: If the tar is not whole, or a sample is there twice or has two files of one field.
    """
    seen: set[str] = set()
    for key, group in groupby(_visible(read_members(path)), key=lambda entry: entry[0]):
        fields: dict[str, Member] = {}
        for _, field, member in group:
            if fields.setdefault(field, member) is not member:
                raise DataError(f"{path}: has {printable(member.name)} twice in one sample; remove one")
        if key in seen:
            raise DataError(
                f"{path}: has the sample {printable(key)} twice, as where files were appended; write "
                "it again, with the files of a sample side by side and each sample once"
            )
        seen.add(key)
        yield Sample(key, fields)


def _suffix(name: str) -> str:
    """The field of a file in a tar, in lower case."""
    found = _SAMPLE_NAME.fullmatch(name)
    return found[2].lower() if found else ""


def _visible(members: Iterable[Member]) -> Iterator[tuple[str, str, Member]]:
    """Key, field and file of each of `members` that belongs to a sample."""
    for member in members:
        found = _SAMPLE_NAME.fullmatch(member.name)
        if found and not os.path.basename(member.name).startswith((".", "__")):
            yield found[1], found[2], member


class TarImages(EncodedImages):
    """Images in tars.

    Args:
        paths: The tars.
        places: Number of the tar in `paths`, first byte and size of each image, int64 (N, 3). The size is -1
            where the tar has a class but no image.
        keys: Names of the images.
        labels: Classes as indices into `classes`, int64 (N,).
        classes: Names of the classes.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        places: NDArray[np.int64],
        keys: Sequence[str],
        labels: Labels,
        classes: tuple[str, ...],
    ) -> None:
        super().__init__(keys, labels, classes)
        self.paths, self.places = paths, places
        self.times = [size_and_time(path)[1] for path in paths]

    def read_bytes(self, index: int) -> bytes | None:
        tar, offset, size = self.places[index].tolist()
        if size < 0:
            return None
        with open(self.paths[tar], "rb", buffering=0, opener=ordinary) as file:
            return _read_at(file, offset, size)

    def read_in_order(self) -> Iterator[bytes | None]:
        """The bytes of each image, from the first to the last; each tar is opened once."""
        for tar, group in groupby(self.places.tolist(), key=lambda place: place[0]):
            with open(self.paths[tar], "rb", opener=ordinary) as file:
                for _, offset, size in group:
                    yield _read_at(file, offset, size) if size >= 0 else None

    def stamp(self, index: int) -> int:
        return self.times[int(self.places[index, 0])]

    def stored_size(self, index: int) -> int:
        return max(0, int(self.places[index, 2]))


def _read_at(file: IO[bytes], offset: int, size: int) -> bytes | None:
    """`size` bytes at `offset`; None if there are fewer."""
    file.seek(offset)
    found = file.read(size)
    return found if len(found) == size else None


def read_tars(paths: Sequence[Path], data: Path) -> tuple[TarImages, list[str]]:
    """The images of one split that lie in tars.

    Args:
        paths: The tars, in the order of the images.
        data: DATA, for the keys of images whose fields have no usual suffix.

    Returns:
        The images, and the keys of their samples.

    Raises:
        DataError: If a tar is not whole, or a sample has no class or one that is no whole number.
    """
    keys: list[str] = []
    names: list[str] = []
    labels: list[str] = []
    places: list[tuple[int, int, int]] = []
    for number, path in enumerate(paths):
        with open(path, "rb", opener=ordinary) as file:
            for sample in read_samples(path):
                field = sample.find(IMAGE_COLUMNS, path)
                if field is None and sample.find(LABEL_COLUMNS, path) is None:
                    continue  # neither image nor class, such as a text about the set
                image = Member("", 0, -1) if field is None else sample.fields[field]
                labels.append(_read_label(sample, file, path))
                is_named = field is not None and field.lower() in NAMED_FIELDS
                names.append(f"{sample.key}.{field}" if is_named else f"{data.name}#{len(keys)}")
                keys.append(sample.key)
                places.append((number, image.offset, image.size))
    if not keys:
        raise DataError(f"{data}: has no samples: files such as 00017.jpg beside 00017.cls")
    indices, classes = label_column(pa.table({"class": labels}), "class", data)
    images = TarImages(paths, np.array(places, np.int64), names, indices, classes)
    images.notes = tuple(itertools.chain.from_iterable(map(_padding_note, paths)))
    return images, keys


def _padding_note(path: Path) -> tuple[str, ...]:
    """A note on a tar that ends in more zeros than usual: its last part may not have been fetched."""
    end = read_end(path, MAX_PADDING)
    padding = len(end) - len(end.rstrip(b"\0"))
    if padding <= USUAL_PADDING:
        return ()
    return (f"{printable(path.name)} ends in {padding:,} empty bytes: is it whole?",)


def _read_label(sample: Sample, file: IO[bytes], path: Path) -> str:
    """The class of `sample`, in `file`, which is `path`. Raises `DataError` if it has none."""
    field = sample.find(LABEL_COLUMNS, path)
    if field is None:
        raise DataError(
            f"{path}: no label column beside {printable(sample.key)}, which has "
            f"{printable(', '.join(sample.fields))}; one of {', '.join(LABEL_COLUMNS)} is needed"
        )
    member = sample.fields[field]
    if member.size > MAX_LABEL_BYTES:
        raise DataError(f"{path}: {printable(member.name)} has {member.size:,} bytes, and is no class")
    file.seek(member.offset)
    text = file.read(member.size).decode("utf-8", "replace").strip()
    try:
        return str(int(text)) if field.lower() == "cls" else text
    except ValueError:
        raise DataError(f"{path}: {printable(member.name)} holds {text!r}, no class by number") from None
