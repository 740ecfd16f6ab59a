"""A manifest: what to do with single images of a data set, as a check of it proposes and a person decides.

A row is an image and a finding, with an action. Training obeys it: images are dropped, get another label, or
move to another split. It is a Parquet file, or a CSV file, which any program for tables edits.
"""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from resnext.data.decode import DataError
from resnext.data.images import ImageDataset, JoinedImages
from resnext.data.splits import Splits
from resnext.files import check_ordinary, ordinary, write_whole
from resnext.names import counted, csv_cell, encodable
from resnext.parsing import Extensible, show

Action = Literal["keep", "drop", "relabel", "move"]

SUFFIXES = (".parquet", ".csv")
#: Columns and their types. `to` is the new label or the other split, `other` the second image of a pair,
#: `score` how sure the finding is (0 to 1), `detail` the finding in words.
COLUMNS = {
    **{name: pa.string() for name in ("split", "key", "label", "finding", "action", "to", "other")},
    "score": pa.float64(),
    "detail": pa.string(),
}
#: Columns without which a manifest says nothing.
NEEDED = ("split", "key", "action")
#: Largest manifest, in bytes.
MAX_BYTES = 2**31


@dataclass(frozen=True)
class ManifestRow:
    """A finding on one image, and what is done with it.

    Attributes:
        split: Name of its split.
        key: Its name.
        label: Its class.
        finding: Name of the kind of finding.
        action: What is done: `keep`, `drop`, `relabel` or `move`.
        to: The new class or split.
        other: The other image of a pair, with its split.
        score: How sure it is, from 0 to 1; None where that means nothing.
        detail: The finding in words.
    """

    split: str
    key: str
    label: str
    finding: str
    action: Action
    to: str = ""
    other: str = ""
    score: float | None = None
    detail: str = ""


@dataclass(frozen=True)
class ManifestNote(Extensible):
    """What a manifest did to the data of a run.

    Attributes:
        path: The file, as it was typed.
        digest: Of its bytes, 16 hexadecimal digits.
        dropped: Images that were left out, by finding.
        relabelled: Images with another label.
        moved: Images in another split.
    """

    path: str = ""
    digest: str = ""
    dropped: dict[str, int] = field(default_factory=dict)
    relabelled: int = 0
    moved: int = 0

    def __str__(self) -> str:
        """One line for people.

        >>> print(ManifestNote("pets.csv", "0" * 16, {"leak": 2, "blurred": 1}, 1))
        manifest pets.csv: left out 3 images (2 leak, 1 blurred), relabelled 1, moved 0
        """
        kinds = ", ".join(f"{count:,} {name}" for name, count in self.dropped.items())
        left = counted(sum(self.dropped.values()), "image") + (f" ({kinds})" if kinds else "")
        return f"manifest {self.path}: left out {left}, relabelled {self.relabelled:,}, moved {self.moved:,}"


@dataclass(frozen=True)
class _Decision:
    """What is done with one image: the action, where to, and the finding and the place that say so."""

    action: Action
    to: str
    finding: str
    place: str


def write_manifest(rows: Iterable[ManifestRow], path: Path) -> None:
    """Write a manifest, in the format of the suffix of `path`. Raises `OSError`."""
    write_whole(path, manifest_bytes(rows, path.suffix))


def manifest_bytes(rows: Iterable[ManifestRow], suffix: str) -> bytes:
    """A manifest as the content of a file that ends in `suffix`, .parquet or .csv.

    >>> row = ManifestRow("train", "cat/1.png", "cat", "leak", "drop", other="test: cat/7.png")
    >>> print(manifest_bytes([row], ".csv").decode().partition("\\n")[0])
    "split","key","label","finding","action","to","other","score","detail"
    """
    given = [vars(row) for row in rows]
    columns = {name: [row[name] for row in given] for name in COLUMNS}
    texts = {name: [encodable(text) for text in columns[name]] for name in columns if name != "score"}
    if suffix == ".csv":
        texts = {name: [csv_cell(text) for text in values] for name, values in texts.items()}
    table = pa.table({**columns, **texts}, schema=pa.schema(list(COLUMNS.items())))
    file = io.BytesIO()
    if suffix == ".csv":
        pyarrow.csv.write_csv(table, file)
    else:
        pq.write_table(table, file)
    return file.getvalue()


def manifest_digest(path: Path) -> str:
    """Digest of the bytes of a manifest, 16 hexadecimal digits. Raises `OSError`."""
    with open(path, "rb", opener=ordinary) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def obey(splits: Splits, path: Path) -> tuple[Splits, ManifestNote]:
    """The splits as the manifest at `path` wants them, and what it did.

    An image that one row drops is dropped, whatever others say. Rows that keep an image need not be of one
    that is still there.

    Args:
        splits: The data set.
        path: The manifest.

    Raises:
        DataError: It cannot be read, or a row has an unknown action, class or split, stands twice, is of an
            image that is not there, or contradicts another; the message names the row.
    """
    try:
        decisions = _decide(_read(path), path)
        digest = manifest_digest(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    written = csv_cell if path.suffix == ".csv" else str
    images = dict(splits.items())
    places = {name: _places(one, decisions.get(name, {}), written) for name, one in images.items()}
    for split, chosen in decisions.items():
        for key, decision in chosen.items():
            if key not in places.get(split, {}):
                raise DataError(
                    f"{decision.place}: {show(key)} is not among the images of {split or show(split)}: it "
                    "was removed, renamed or is in another split; remove the row, or make the manifest again"
                )
    labels = {name: one.labels.copy() for name, one in images.items()}
    kept = {name: np.ones(len(one), np.bool_) for name, one in images.items()}
    leaving: dict[str, list[tuple[str, int]]] = {name: [] for name in images}
    dropped: Counter[str] = Counter()
    relabelled = moved = 0
    position = {written(encodable(name)): number for number, name in enumerate(splits.classes)}
    for split, chosen in decisions.items():
        for key, decision in chosen.items():
            index = places[split][key]
            if decision.action == "drop":
                kept[split][index] = False
                dropped[decision.finding or "no finding"] += 1
            elif decision.action == "relabel":
                if decision.to not in position:
                    raise DataError(
                        f"{decision.place}: to: {show(decision.to)} is no class of the set; give one of "
                        f"{', '.join(map(show, splits.classes[:5]))}" + ", ..." * (len(position) > 5)
                    )
                labels[split][index] = position[decision.to]
                relabelled += 1
            else:
                if decision.to not in images:
                    raise DataError(
                        f"{decision.place}: to: {show(decision.to)} is no split of the set; give one of "
                        f"{', '.join(images)}"
                    )
                kept[split][index] = decision.to == split
                leaving[decision.to] += [(split, index)] * (decision.to != split)
                moved += decision.to != split
    changed = {
        name: _rebuild(images, name, kept[name], labels, leaving[name])
        for name in images
        if not kept[name].all() or leaving[name] or not np.array_equal(labels[name], images[name].labels)
    }
    _check_left(changed, splits, path)
    note = ManifestNote(str(path), digest, dict(dropped.most_common()), relabelled, moved)
    if changed:
        found: dict[str, Any] = {**changed, "known_fingerprint": None}
        splits = replace(splits, **found)
    return replace(splits, notes=(*splits.notes, str(note))), note


def _rebuild(
    images: Mapping[str, ImageDataset],
    name: str,
    kept: Any,
    labels: Mapping[str, Any],
    arriving: Sequence[tuple[str, int]],
) -> ImageDataset:
    """Split `name`: the images that stay, with their new labels, and those that come from other splits."""
    parts = []
    for split, indices in [
        (name, np.flatnonzero(kept)),
        *((other, np.array(sorted(i for s, i in arriving if s == other))) for other in images),
    ]:
        if len(indices):
            part = images[split].select(indices)
            part.labels = labels[split][indices]
            parts.append(part)
    if len(parts) > 1 and any(part.window is not None for part in parts):
        raise DataError(f"{name}: images of a stream cannot move; drop them, or give the set as a folder")
    return JoinedImages(parts) if len(parts) > 1 else (parts or [images[name].select([])])[0]


def _check_left(changed: Mapping[str, ImageDataset], splits: Splits, path: Path) -> None:
    for name, images in changed.items():
        if len(images) == 0:
            raise DataError(f"{path}: leaves no image of {name}; keep some")
        if name == "train":
            present = set(images.labels.tolist())
            lost = [cls for number, cls in enumerate(splits.classes) if number not in present]
            if lost:
                raise DataError(f"{path}: leaves train no image of class {show(lost[0])}; keep some")


def _places(images: ImageDataset, wanted: Mapping[str, Any], written: Callable[[str], str]) -> dict[str, int]:
    """Index of each image whose key, as it is written in the manifest, is `wanted`."""
    if not wanted:
        return {}
    keys = (written(encodable(key)) for key in images.keys)
    return {key: index for index, key in enumerate(keys) if key in wanted}


def _decide(table: pa.Table, path: Path) -> dict[str, dict[str, _Decision]]:
    """What is done with each image that something is done with, by split and key."""
    first = 2 if path.suffix == ".csv" else 0  # a CSV file has lines from 1 on, and a head
    word = "line" if first else "row"
    columns = [_texts(table, name) for name in ("split", "key", "finding", "action", "to", "other")]
    seen: dict[tuple[str, ...], int] = {}
    decisions: dict[str, dict[str, _Decision]] = {}
    for number, (split, key, finding, action, to, other) in enumerate(zip(*columns, strict=True), first):
        place = f"{path}: {word} {number}"
        if action not in get_args(Action):
            raise DataError(f"{place}: action: {show(action)}: must be {', '.join(get_args(Action))}")
        earlier = seen.setdefault((split, key, finding, other), number)
        if earlier != number:
            raise DataError(f"{place}: says the same as {word} {earlier} of {show(key)}; remove one of them")
        if action == "keep":
            continue
        if action in ("relabel", "move") and not to:
            what = "class" if action == "relabel" else "split"
            raise DataError(f"{place}: to: is empty; give the {what} that {show(key)} is to have")
        new = _Decision(action, to, finding, place)
        old = decisions.setdefault(split, {}).setdefault(key, new)
        if "drop" in (old.action, new.action):
            decisions[split][key] = old if old.action == "drop" else new
        elif (old.action, old.to) != (new.action, new.to):
            raise DataError(
                f"{place}: {action} to {show(to)} contradicts {old.place.rpartition(': ')[2]}, {old.action} "
                f"to {show(old.to)}; say `keep` in one of them"
            )
    return decisions


def _texts(table: pa.Table, name: str) -> list[str]:
    if name not in table.column_names:
        return [""] * len(table)
    values: list[str] = pc.fill_null(table[name].cast(pa.string()), "").to_pylist()
    return values


def _read(path: Path) -> pa.Table:
    if path.suffix not in SUFFIXES:
        raise DataError(f"{path}: a manifest ends in {' or '.join(SUFFIXES)}")
    check_ordinary(path)
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"{path}: is too large to be a manifest")
    try:
        if path.suffix == ".csv":
            names = list(COLUMNS)
            options = pyarrow.csv.ConvertOptions(column_types={name: pa.string() for name in names})
            parsing = pyarrow.csv.ParseOptions(newlines_in_values=False)
            table = pyarrow.csv.read_csv(path, parse_options=parsing, convert_options=options)
        else:
            table = pq.read_table(path)
    except (pa.ArrowException, UnicodeDecodeError, ValueError) as error:
        raise DataError(f"{path}: is no manifest that can be read ({error})") from None
    if missing := [name for name in NEEDED if name not in table.column_names]:
        raise DataError(
            f"{path}: has no column {', '.join(missing)}; `resnext doctor DATA` writes a manifest"
        )
    nested = [name for name in NEEDED if pa.types.is_nested(table.schema.field(name).type)]
    if nested:
        raise DataError(f"{path}: column {nested[0]} holds lists, not text")
    return table
