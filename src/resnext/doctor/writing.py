"""The manifest of a diagnosis, and what is said of the set as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from resnext.data.manifest import manifest_digest, write_manifest
from resnext.doctor.examination import Diagnosis
from resnext.doctor.findings import count_kinds, manifest_rows
from resnext.doctor.sets import class_counts
from resnext.names import encodable
from resnext.version import __version__

SCHEMA = 1


def write_diagnosis(diagnosis: Diagnosis, out: Path) -> None:
    """Write the manifest at `out`. Raises `OSError`."""
    write_manifest(manifest_rows(diagnosis.findings, diagnosis.examined), out)


def summarise(diagnosis: Diagnosis, out: Path) -> dict[str, Any]:
    """What was found, as JSON: counts by kind, findings on the set, tests, and what was looked at.

    Args:
        diagnosis: What was found.
        out: The manifest, which has been written.
    """
    examined, labels = diagnosis.examined, diagnosis.labels
    return {
        "schema": SCHEMA,
        "written_by": f"resnext {__version__}",
        "data": encodable(examined.data),
        "fingerprint": examined.fingerprint,
        "manifest": {"file": encodable(out.name), "digest": manifest_digest(out)},
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
