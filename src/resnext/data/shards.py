"""Shards: one set in several numbered files. Their names say whether all are there, and of one generation."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa

from resnext.data.columns import IMAGE_COLUMNS, LABEL_COLUMNS
from resnext.data.decode import DataError
from resnext.data.labels import class_names
from resnext.names import printable

#: Stems such as `train-00002-of-00008`; the hub has put a digest after the numbers.
_SHARD = re.compile(r"(.*?)[-_.]?([0-9]+)[-_]of[-_]([0-9]+)([-_.][0-9a-f]+)?", re.IGNORECASE)
#: Stems such as `train-0002`, which do not say of how many.
_NUMBERED = re.compile(r"(.*?)([0-9]+)")


@dataclass(frozen=True)
class Shard:
    """A file whose name says that it is number `number` of `total`.

    Attributes:
        path: The file.
        stem: What its name has before the numbers.
        number: Its number as the name has it; numbers start at 0, or at 1.
        total: Number of files that belong together.
    """

    path: Path
    stem: str
    number: str
    total: int

    @classmethod
    def from_path(cls, path: Path) -> Shard | None:
        """The shard at `path`; None if its name does not say that it is one.

        >>> Shard.from_path(Path("train-00002-of-00008.parquet")).total
        8
        """
        if (found := _SHARD.fullmatch(path.stem)) is None:
            return None
        return cls(path, found[1], found[2], int(found[3]))

    def sibling(self, number: int) -> str:
        """Name of the shard `number` of the same set."""
        head, tail = self.path.name[: len(self.stem)], self.path.name[len(self.stem) :]
        return head + tail.replace(self.number, f"{number:0{len(self.number)}d}", 1)


def shard_stem(path: Path) -> str:
    """What the name of a shard has before the numbers; of another file the name without its suffix.

    >>> shard_stem(Path("train-00002-of-00008.csv")), shard_stem(Path("train.csv"))
    ('train', 'train')
    """
    shard = Shard.from_path(path)
    return path.stem if shard is None else shard.stem


def check_shards(paths: Iterable[Path]) -> tuple[str, ...]:
    """Look whether files that are read together are all that belong together.

    Args:
        paths: The files of one split.

    Returns:
        Notes for the user about numbers that are left out, where names do not say how many there should be.

    Raises:
        DataError: A shard is missing, or files of two generations lie side by side.

    >>> check_shards([Path("train-0.tar"), Path("train-1.tar"), Path("train-3.tar")])
    ('between train-0.tar and train-3.tar there is no number 2: is a file missing?',)
    """
    sets: dict[tuple[Path, str, str], list[Shard]] = defaultdict(list)
    others: list[Path] = []
    for path in sorted(paths):
        if (shard := Shard.from_path(path)) is None:
            others.append(path)
        else:
            sets[path.parent, shard.stem, path.suffix].append(shard)
    for shards in sets.values():
        _check_set(shards)
    for path in others:
        if mixed := sets.get((path.parent, path.stem, path.suffix)):
            raise _two_generations(path, mixed[0].path)
    return _gaps(others)


def lone_shard_note(path: Path) -> tuple[str, ...]:
    """A note if the one file that is read is a shard of several."""
    shard = Shard.from_path(path)
    if shard is None or shard.total < 2:
        return ()
    return (f"{printable(path.name)} is one of {shard.total} shards; give their folder to read all of them",)


def _check_set(shards: Sequence[Shard]) -> None:
    """Raise unless `shards`, which share stem, suffix and folder, are one whole set."""
    first = shards[0]
    if other := next((shard for shard in shards if shard.total != first.total), None):
        raise _two_generations(first.path, other.path)
    numbers = [int(shard.number) for shard in shards]
    if twice := [number for number, count in Counter(numbers).items() if count > 1]:
        one, two, *_ = [shard.path for shard in shards if int(shard.number) == twice[0]]
        raise _two_generations(one, two)
    start = 1 if first.total in numbers and 0 not in numbers else 0
    expected = range(start, start + first.total)
    if missing := first.total - sum(number in expected for number in numbers):
        names = map(first.sibling, islice((n for n in expected if n not in numbers), 3))
        more = f" and {missing - 3} more" if missing > 3 else ""
        raise DataError(
            f"{printable(str(first.path.parent))}: {missing} of {first.total} shards are missing: "
            f"{printable(', '.join(names))}{more}. Fetch them again, or rename the others if they are all "
            "there is"
        )
    if extra := next((shard for shard in shards if int(shard.number) not in expected), None):
        raise _two_generations(first.path, extra.path)


def _two_generations(one: Path, other: Path) -> DataError:
    return DataError(
        f"{printable(str(one))} and {printable(other.name)} are of two generations of shards, or one of them "
        "repeats the other; remove those that are out of date"
    )


def _gaps(paths: Iterable[Path]) -> tuple[str, ...]:
    """Notes on single numbers that are left out. Names whose numbers are mostly far apart do not count."""
    numbered: dict[tuple[Path, str, str], dict[int, Path]] = defaultdict(dict)
    for path in paths:
        if found := _NUMBERED.fullmatch(path.stem):
            numbered[path.parent, found[1], path.suffix][int(found[2])] = path
    notes = []
    for files in numbered.values():
        first, last = min(files), max(files)
        missing = sorted(set(range(first, last + 1)) - files.keys()) if last - first < 2 * len(files) else []
        if missing:
            listed = ", ".join(map(str, missing[:5])) + "..." * (len(missing) > 5)
            names = printable(f"{files[first].name} and {files[last].name}")
            notes.append(f"between {names} there is no number {listed}: is a file missing?")
    return tuple(notes)


def check_schemas(schemas: Sequence[tuple[Path, pa.Schema]]) -> None:
    """Raises `DataError` if shards of one set call their images, labels or classes differently: a label of
    one would be another class in the next.

    Args:
        schemas: Each shard and the schema of its table.
    """
    (first, expected), *others = ((path, _meaning(path, schema)) for path, schema in schemas)
    for path, meaning in others:
        for what, value in meaning.items():
            if value != expected[what]:
                raise DataError(
                    f"{path}: its {what} are {_told(value)}, and those of {printable(first.name)} "
                    f"{_told(expected[what])}; shards of one set must agree. Write them again together"
                )


def _meaning(path: Path, schema: pa.Schema) -> dict[str, list[str] | None]:
    """Names of the columns and classes in a shard."""
    names = list(map(str, schema.names))
    labels = sorted(name for name in names if name.lower() in LABEL_COLUMNS)
    classes = [class_names(schema, name, path) for name in labels]
    return {
        "image columns": sorted(name for name in names if name.lower() in IMAGE_COLUMNS),
        "label columns": labels,
        "classes": next((found for found in classes if found is not None), None),
    }


def _told(names: Sequence[str] | None) -> str:
    """Names in an error; the first ones of many."""
    if not names:
        return "without names" if names is None else "none"
    return printable(", ".join(names[:6])) + ", ..." * (len(names) > 6)
