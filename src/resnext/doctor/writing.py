"""The manifest of a diagnosis, and what is said of the set as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from resnext.data.decode import DataError
from resnext.data.manifest import ManifestRow, manifest_digest, read_manifest, write_manifest, written_as
from resnext.doctor.examination import Diagnosis
from resnext.doctor.examined import ExaminedSet
from resnext.doctor.findings import count_kinds, manifest_rows
from resnext.doctor.kinds import KINDS
from resnext.doctor.sets import class_counts
from resnext.names import encodable
from resnext.parsing import read_json
from resnext.version import __version__

SCHEMA = 1


def read_decisions(out: Path) -> list[ManifestRow]:
    """What a person decided in an earlier manifest at `out`: rows whose action is not what was proposed, and
    rows that were added. Raises `DataError` if `out`, or a file that is written beside it, is something else.
    """
    if out.exists():
        rows = read_manifest(out)
        try:
            return [row for _, row in rows if row.action != row.proposed]
        except DataError as error:
            raise DataError(
                str(error), f"--out {out}: is there already; mend it, or say another --out"
            ) from None
    for beside in (out.with_suffix(".json"), out.with_suffix(".html")):
        if beside.exists() and not _is_summary(out.with_suffix(".json")):
            raise DataError(
                f"{beside}: is there already, and is not by resnext doctor; remove it, or say another --out"
            )
    return []


def _is_summary(path: Path) -> bool:
    """Whether this is a summary that `resnext doctor` wrote."""
    try:
        found = read_json(path)
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and {"schema", "manifest", "findings"} <= found.keys()


def write_diagnosis(diagnosis: Diagnosis, out: Path, decisions: Sequence[ManifestRow] = ()) -> int:
    """Write the manifest at `out`.

    Args:
        diagnosis: What was found.
        out: The manifest.
        decisions: What a person decided in an earlier one, see `read_decisions`. What is found again has
            their action; other rows are added, if their image is still there.

    Returns:
        How many of the decisions were taken over.

    Raises:
        OSError: It cannot be written.
    """
    rows = list(manifest_rows(diagnosis.findings, diagnosis.examined))
    taken = _take_over(rows, decisions, diagnosis.examined, out.suffix)
    write_manifest(rows, out)
    return taken


def _take_over(
    rows: list[ManifestRow], decisions: Sequence[ManifestRow], examined: ExaminedSet, suffix: str
) -> int:
    """Change `rows` as was decided before; returns how many decisions that took."""
    if not decisions:
        return 0

    def name(row: ManifestRow) -> tuple[str, ...]:
        split, found, other = row.other.partition(": ")
        pair = (examined.home(split), other) if found else (row.other,)
        return examined.home(row.split), *(written_as(text, suffix) for text in (row.key, row.finding, *pair))

    places = {name(row): place for place, row in enumerate(rows)}
    there = {
        (examined.home(split), written_as(key, suffix))
        for split, images in examined.splits.items()
        for key in images.keys
    }
    taken = 0
    for row in decisions:
        place = places.get(name(row))
        if place is not None:
            taken += (rows[place].action, rows[place].to) != (row.action, row.to)
            rows[place] = replace(rows[place], action=row.action, to=row.to)
        elif (row.proposed or row.finding not in KINDS) and name(row)[:2] in there:
            taken += 1
            rows.append(row)
    return taken


def summarise(diagnosis: Diagnosis, out: Path, decisions: int = 0) -> dict[str, Any]:
    """What was found, as JSON: counts by kind, findings on the set, tests, and what was looked at.

    Args:
        diagnosis: What was found.
        out: The manifest, which has been written.
        decisions: How many of its actions a person had decided in an earlier one.
    """
    examined, labels = diagnosis.examined, diagnosis.labels
    return {
        "schema": SCHEMA,
        "written_by": f"resnext {__version__}",
        "data": encodable(examined.data),
        "fingerprint": examined.fingerprint,
        "manifest": {
            "file": encodable(out.name),
            "digest": manifest_digest(out),
            "decisions": decisions,
        },
        "images": {split: len(images) for split, images in examined.splits.items()},
        "looked_at": diagnosis.measured.looked_at,
        "unreadable": len(diagnosis.measured.broken),
        "classes": {
            encodable(name): {split: int(counts[i]) for split, counts in class_counts(examined).items()}
            for i, name in enumerate(examined.classes)
        },
        "findings": {
            one.kind.name: {
                "count": one.count,
                "dropped": one.dropped,
                "harm": one.kind.harm,
                "title": one.kind.title,
                "cure": one.kind.cure,
            }
            for one in count_kinds(diagnosis.findings, examined)
        },
        "about_the_set": [
            {"finding": finding.kind, "detail": encodable(finding.detail)}
            for finding in diagnosis.findings
            if finding.image is None
        ],
        "shift": [vars(test) for test in diagnosis.shifts],
        "labels": None
        if labels is None
        else {
            "judged": len(labels.numbers),
            "suspected": len(labels.issues.ranked),
            "estimated_wrong": labels.issues.estimate,
            "folds": labels.folds,
        },
    }
