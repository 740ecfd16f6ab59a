"""Local tars, Arrow and Parquet files, read where they lie: whole, or as streams.

A word in the name of a file, or of its folder, says which split it is. All is read without the network, and
nothing is written.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from resnext.data.columns import SPLIT_BY_NAME, SPLIT_NAMES
from resnext.data.contents import files_stamp
from resnext.data.decode import DataError
from resnext.data.images import ImageDataset
from resnext.data.layouts import check_one_each, find_splits, folders_in, holds_images, innermost, is_shown
from resnext.data.repeats import leave_out_repeats
from resnext.data.shards import check_schemas, check_shards
from resnext.data.streaming import ROWS, STREAM, ImageStream, stream_of_rows
from resnext.data.tables import images_from_table, load_arrow
from resnext.data.tars import TarImages, read_tars
from resnext.files import check_ordinary

#: Suffixes of the files that are read, and of those that can be read as a stream.
SUFFIXES = (".tar", ".arrow")
STREAM_SUFFIXES = (*SUFFIXES, ".parquet")


def is_supported(data: str) -> bool:
    """Whether this module reads `data`.

    >>> is_supported("stream:somewhere"), is_supported("digits")
    (True, False)
    """
    return data.startswith(STREAM) or bool(_files_by_split(Path(data), SUFFIXES))


def read_splits_by_name(data: str) -> dict[str | None, ImageDataset]:
    """Images of `data` by name of the split, or all of them under None where it has no splits.

    Raises:
        DataError: If the data set cannot be read, or is not whole.
    """
    path = Path(data.removeprefix(STREAM))
    read, suffixes = (_read_stream, STREAM_SUFFIXES) if data.startswith(STREAM) else (_read_whole, SUFFIXES)
    files = _files_by_split(path, suffixes)
    if not files:
        raise DataError(f"{path}: found no {', '.join(STREAM_SUFFIXES)} files there")
    return {split: _read_checked(read, paths, path) for split, paths in files.items()}


def _read_checked(
    read: Callable[[list[Path], Path], ImageDataset], paths: list[Path], data: Path
) -> ImageDataset:
    notes = check_shards(paths)
    try:
        images = read(paths, data)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{paths[0]}: cannot be read with the files beside it ({error})") from None
    images.notes = notes + images.notes
    return images


def _read_whole(paths: list[Path], data: Path) -> ImageDataset:
    if paths[0].suffix == ".tar":
        return read_tars(paths, data)[0]
    tables = [load_arrow(path) for path in paths]
    check_schemas([(path, table.schema) for path, table in zip(paths, tables, strict=True)])
    table = pa.concat_tables(tables, promote_options="permissive")
    return leave_out_repeats(images_from_table(table, data, files_stamp(paths)), data)


def _read_stream(paths: list[Path], data: Path) -> ImageStream:
    stamp = files_stamp(paths)
    if paths[0].suffix == ".tar":
        images, keys = read_tars(paths, data)
        stream = ImageStream(TarReader(images), keys, images.labels, images.classes, files_stamp=stamp)
        stream.notes = images.notes
        return stream
    schemas = [(path, _read_schema(path)) for path in paths]
    check_schemas(schemas)
    return stream_of_rows(FileRows(tuple(paths), schemas[0][1]), data, stamp)


@dataclass(frozen=True)
class TarReader:
    """Reads images in tars from the first to the last."""

    images: TarImages

    def __call__(self) -> Iterator[bytes | None]:
        return self.images.read_in_order()


@dataclass(frozen=True)
class FileRows:
    """The rows of several tables, one after the other; `schema` is that of the first."""

    paths: tuple[Path, ...]
    schema: pa.Schema

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Some columns of all rows."""
        tables = [_read_columns(path, columns) for path in self.paths]
        return pa.concat_tables(tables, promote_options="permissive")

    def batches(self, column: str) -> Iterator[pa.RecordBatch]:
        """One column, `ROWS` rows at once."""
        for path in self.paths:
            yield from _batches(path, column)


def _batches(path: Path, column: str) -> Iterator[pa.RecordBatch]:
    """The rows of a table, `ROWS` at once. Raises `DataError`."""
    try:
        if path.suffix == ".arrow":
            yield from load_arrow(path).select([column]).to_batches(max_chunksize=ROWS)
        else:
            check_ordinary(path)
            with pq.ParquetFile(path) as file:
                yield from file.iter_batches(ROWS, columns=[column])
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read any more ({error})") from None


def _read_schema(path: Path) -> pa.Schema:
    if path.suffix == ".arrow":
        return load_arrow(path).schema
    check_ordinary(path)
    return pq.read_schema(path)


def _read_columns(path: Path, names: Sequence[str]) -> pa.Table:
    if path.suffix == ".arrow":
        return load_arrow(path).select(list(names))
    check_ordinary(path)
    with pq.ParquetFile(path) as file:
        table = file.read(columns=list(names))
    table.validate(full=True)
    return table


def _files_by_split(path: Path, suffixes: Sequence[str]) -> dict[str | None, list[Path]]:
    """Files under `path`, by the split that its folder or a word in its name says.

    Files beside class folders with images are ignored: they are the archives that the images came in.
    """
    if not path.is_dir():
        return {None: [path]} if path.is_file() and path.suffix in suffixes else {}
    by_split: dict[str | None, list[Path]] = {}
    words: dict[str, set[str]] = defaultdict(set)
    for file, of_folder in _files_in_places(path, suffixes):
        said = [word for word in re.split(r"[^a-z]+", file.name.lower()) if word in SPLIT_BY_NAME]
        splits = {SPLIT_BY_NAME[word] for word in said} | ({of_folder} - {None})
        if len(splits) > 1:
            raise DataError(f"{file}: is it {' or '.join(s for s in SPLIT_NAMES if s in splits)}? Rename it")
        split = next(iter(splits), None)
        by_split.setdefault(split, []).append(file)
        if split and not of_folder:
            words[split].add(said[0])
    check_one_each(path, {split: [f"files called {word}" for word in said] for split, said in words.items()})
    if len({file.suffix for files in by_split.values() for file in files}) > 1:
        raise DataError(f"{path}: has files of several formats ({', '.join(suffixes)}); keep one")
    if None in by_split and len(by_split) > 1:
        raise DataError(f"{by_split[None][0]}: no word of its name says which split it is")
    return by_split


def _files_in_places(path: Path, suffixes: Sequence[str]) -> list[tuple[Path, str | None]]:
    """Files in `path` and in its folders of splits, with the split of these, sorted."""
    of_splits = [
        (innermost(paths[0]), name) for name, paths in find_splits(path).items() if paths[0].is_dir()
    ]
    places: list[tuple[Path, str | None]] = [(path, None), *of_splits]
    found = [(file, split) for folder, split in places for file in _files_in(folder, suffixes)]
    with_files = {file.parent for file, split in found if split}
    others = [folder for folder, _ in of_splits if folder not in with_files]
    if with_files and (with_images := [folder for folder in others if holds_images(folder)]):
        raise DataError(
            f"{path}: {min(with_files).name} holds {found[-1][0].suffix} files, and {with_images[0].name} "
            "images; give all splits in one format"
        )
    return sorted(found, key=lambda one: one[0])


def _files_in(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """The files in `folder` with one of `suffixes`; none beside class folders with images."""
    files = [file for file in folder.iterdir() if file.suffix in suffixes and is_shown(file.name)]
    return [] if files and any(map(holds_images, folders_in(folder))) else files
