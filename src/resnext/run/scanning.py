"""The look at all images before training: which cannot be read, are blank or deep grey, and what follows."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from pathlib import Path

from resnext.contract import GreyRange
from resnext.data.decode import BadImage, DataError
from resnext.data.images import Scan
from resnext.data.manifest import ManifestRow, read_manifest, written_as
from resnext.data.scan import NAMED, scan
from resnext.data.splits import Splits
from resnext.machine import count_cores
from resnext.names import encodable
from resnext.progress import EventStream
from resnext.recipe.options import BadBudget
from resnext.run.events import ScanProgress

#: The images that --on-bad quarantine leaves out, in a run folder: a manifest.
QUARANTINE_FILE = "quarantine.csv"


def scan_splits(
    splits: Splits, grey: GreyRange | None = None
) -> Generator[ScanProgress, None, dict[str, Scan]]:
    """Decode all images once; what was found, by split.

    Args:
        splits: The images.
        grey: Black and white of deep grey images, where they are said.
    """
    scans: dict[str, Scan] = {}
    total = sum(len(images) for _, images in splits.items())
    done = 0
    for name, images in splits.items():
        stream = EventStream(scan(images, count_cores(), grey))
        for scanned in stream:
            yield ScanProgress(done + scanned, total)
        scans[name] = stream.result
        done += len(images)
    return scans


def raise_unreadable(unreadable: Mapping[str, Mapping[int, BadImage]]) -> None:
    """Raise `DataError`, which names the first ones, if there are images that cannot be read."""
    errors = [error for split in unreadable.values() for error in split.values()]
    if errors:
        more = [f"  and {len(errors) - 10} more"] if len(errors) > 10 else []
        raise DataError(
            f"{len(errors)} image{'s' * (len(errors) > 1)} cannot be read",
            *(f"  {error}" for error in errors[:10]),
            *more,
            "Repair or remove them, or leave them out with --on-bad skip",
        )


def check_budget(
    unreadable: Mapping[str, Mapping[int, BadImage]], splits: Splits, budget: str | None
) -> None:
    """Raise `DataError` if more images cannot be read than `budget`, as --bad-budget has it, allows."""
    bad = sum(map(len, unreadable.values()))
    total = sum(len(images) for _, images in splits.items())
    if budget is not None and not BadBudget.parse(budget).allows(bad, total):
        first = next(error for split in unreadable.values() for error in split.values())
        raise DataError(
            f"{bad:,} of {total:,} images cannot be read, more than --bad-budget {budget} allows; the first "
            f"one is {first}",
            "`resnext doctor DATA` lists them all. Repair or remove them, or allow more",
        )


def quarantine_rows(
    splits: Splits, unreadable: Mapping[str, Mapping[int, BadImage]], manifest: Path | None = None
) -> list[ManifestRow]:
    """Rows of a manifest that drop the images that cannot be read, after those of `manifest`, which the
    splits have obeyed already: the new one does what both say."""
    obeyed: list[ManifestRow] = []
    came_from: dict[tuple[str, str], str] = {}
    if manifest is not None:
        obeyed = [row for _, row in read_manifest(manifest) if row.action != "keep"]
        came_from = {(row.to, row.key): row.split for row in obeyed if row.action == "move"}
    suffix = "" if manifest is None else manifest.suffix

    def row(name: str, index: int, reason: str) -> ManifestRow:
        images = dict(splits.items())[name]
        key, label = encodable(images.keys[index]), encodable(images.classes[images.labels[index]])
        split = came_from.get((name, written_as(key, suffix)), name)
        return ManifestRow(split, key, label, "unreadable", "drop", detail=reason, proposed="drop")

    broken = [
        row(name, index, error.reason)
        for name, errors in unreadable.items()
        for index, error in errors.items()
    ]
    return [*obeyed, *broken]


def leave_out(splits: Splits, unreadable: Mapping[str, Mapping[int, BadImage]]) -> Splits:
    """`splits` without unreadable images. Raises `DataError` if a split or a class of train has none left."""
    splits = splits.without({name: set(errors) for name, errors in unreadable.items()})
    if lost := set(range(len(splits.classes))) - set(splits.train.labels.tolist()):
        name = splits.classes[min(lost)]
        raise DataError(
            f"train: no readable image is left of class {name!r}; repair or add some, or remove the class"
        )
    if empty := [name for name, images in splits.items() if len(images) == 0]:
        raise DataError(f"{empty[0]}: no readable image is left; repair or add some, or remove the split")
    return splits


def choose_grey(scans: Mapping[str, Scan], asked: GreyRange | None) -> GreyRange | None:
    """Black and white of all deep grey images of a data set; None if it has none.

    Args:
        scans: What was found in each split. The first split with deep grey images decides: train, if it has
            any.
        asked: The range that was said, if one was.

    Raises:
        DataError: Nothing was said, and the values do not tell it.
    """
    deep = [(name, one.grey_values, one.grey) for name, one in scans.items() if one.grey_values]
    if asked is not None or not deep:
        return asked
    name, values, chosen = deep[0]
    if chosen is None:
        raise DataError(f"{name}: {values.refusal()}")
    return chosen


def grey_notes(scans: Mapping[str, Scan], grey: GreyRange | None) -> Iterator[str]:
    """What to tell of deep grey images before training, if their range is `grey`."""
    deep = {name: one.grey_values for name, one in scans.items() if one.grey_values}
    if grey is None:
        return
    if not deep:
        yield "data.grey: no image is deep grey (of more than 8 bits); it is kept for images to come"
    for number, (name, values) in enumerate(deep.items()):
        if number == 0:
            yield from values.describe(grey)
        elif values.is_cut(grey):
            yield f"deep grey images of {name}: {values.cut_off()}"


def blank_notes(scans: Mapping[str, Scan]) -> Iterator[str]:
    """What to tell of images that are one colour throughout."""
    count = sum(one.blank.count for one in scans.values())
    first = [name for one in scans.values() for name in one.blank.first][:NAMED]
    if count:
        are, them = ("images are", "they are") if count > 1 else ("image is", "it is")
        named = ", ".join(first) + ", ..." * (count > len(first))
        yield f"{count:,} {are} one colour throughout: {named}; {them} kept"
