"""Training obeys a manifest: images are dropped, get another label, or move to another split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from resnext.data.decode import DataError
from resnext.data.images import ImageDataset, JoinedImages
from resnext.data.manifest import Action, ManifestRow, manifest_digest, read_manifest, written_as
from resnext.data.splits import Splits
from resnext.names import counted
from resnext.parsing import Extensible, show


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


#: What is done with one image: all that rows say but `keep`, one for each action.
_Decisions = dict[Action, _Decision]


def obey(splits: Splits, path: Path) -> tuple[Splits, ManifestNote]:
    """The splits as the manifest at `path` wants them, and what it did.

    An image that one row drops is dropped, whatever others say; one may get another label and move. Rows that
    keep an image need not be of one that is still there. Where splits are drawn at random from one set, an
    image is found in whichever it has come to.

    Args:
        splits: The data set.
        path: The manifest.

    Raises:
        DataError: It cannot be read, or a row has an unknown action, class or split, stands twice, is of an
            image that is not there, or contradicts another; the message names the row.
    """
    try:
        wanted = _decide(read_manifest(path))
        digest = manifest_digest(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    images = dict(splits.items())
    labels = {name: one.labels.copy() for name, one in images.items()}
    kept = {name: np.ones(len(one), np.bool_) for name, one in images.items()}
    leaving: dict[str, list[tuple[str, int]]] = {name: [] for name in images}
    dropped: Counter[str] = Counter()
    relabelled = moved = 0
    position = {written_as(name, path.suffix): number for number, name in enumerate(splits.classes)}
    for split, index, decisions in _locate(wanted, splits, path.suffix):
        if (drop := decisions.get("drop")) is not None:
            kept[split][index] = False
            dropped[drop.finding or "no finding"] += 1
            continue
        if (relabel := decisions.get("relabel")) is not None:
            if relabel.to not in position:
                raise DataError(
                    f"{relabel.place}: to: {show(relabel.to)} is no class of the set; give one of "
                    f"{', '.join(map(show, splits.classes[:5]))}" + ", ..." * (len(position) > 5)
                )
            labels[split][index] = position[relabel.to]
            relabelled += 1
        if (move := decisions.get("move")) is not None:
            _check_split(move.to, images, f"{move.place}: to")
            kept[split][index] = move.to == split
            leaving[move.to] += [(split, index)] * (move.to != split)
            moved += move.to != split
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


def _locate(
    wanted: Mapping[tuple[str, str], _Decisions], splits: Splits, suffix: str
) -> Iterable[tuple[str, int, _Decisions]]:
    """Split and index of each image that something is done with, in the order of the manifest."""
    images = dict(splits.items())
    groups = [splits.drawn, *((name,) for name in images if name not in splits.drawn)]
    places: dict[tuple[str, str], tuple[str, int]] = {}
    for group in groups:
        keys = {key for split, key in wanted if split in group}
        found = {
            written: (name, index)
            for name in group
            for index, key in enumerate(images[name].keys if keys else ())
            if (written := written_as(key, suffix)) in keys
        }
        places |= {(name, key): place for name in group for key, place in found.items()}
    for (split, key), decisions in wanted.items():
        place = next(iter(decisions.values())).place
        _check_split(split, images, f"{place}: split")
        if (split, key) not in places:
            raise DataError(
                f"{place}: {show(key)} is not among the images of {split}: it was removed, renamed or is in "
                "another split; remove the row, or make the manifest again"
            )
        yield *places[split, key], decisions


def _check_split(name: str, images: Mapping[str, ImageDataset], where: str) -> None:
    if name not in images:
        raise DataError(f"{where}: {show(name)} is no split of the set; give one of {', '.join(images)}")


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


def _decide(rows: Iterable[tuple[str, ManifestRow]]) -> dict[tuple[str, str], _Decisions]:
    """What is done with each image that something is done with, by split and key."""
    seen: dict[tuple[str, ...], tuple[str, ManifestRow]] = {}
    wanted: dict[tuple[str, str], _Decisions] = {}
    for place, row in rows:
        earlier, first = seen.setdefault((row.split, row.key, row.finding, row.other), (place, row))
        if earlier != place:
            is_same = (row.action, row.to) == (first.action, first.to)
            says = "says the same as" if is_same else "is about the same finding as"
            raise DataError(f"{place}: {says} {_line(earlier)} of {show(row.key)}; remove one of them")
        if row.action == "keep":
            continue
        if row.action in ("relabel", "move") and not row.to:
            what = "class" if row.action == "relabel" else "split"
            raise DataError(f"{place}: to: is empty; give the {what} that {show(row.key)} is to have")
        new = _Decision(row.action, row.to, row.finding, place)
        old = wanted.setdefault((row.split, row.key), {}).setdefault(row.action, new)
        if row.action != "drop" and old.to != new.to:
            raise DataError(
                f"{place}: {new.action} to {show(new.to)} contradicts {_line(old.place)}, {old.action} to "
                f"{show(old.to)}; say `keep` in one of them"
            )
    return wanted


def _line(place: str) -> str:
    """The line of a place, without the file."""
    return place.rpartition(": ")[2]
