"""The page about what is wrong with a data set."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from resnext.doctor import DataFinding, Diagnosis, KindCount, count_kinds, name_in_split
from resnext.files import write_whole
from resnext.names import encodable, shorten
from resnext.reporting.pages import render
from resnext.reporting.plot_style import COLOURS, new_figure, plot_style, svg_inline
from resnext.reporting.thumbnails import thumbnail_uri

#: Findings of a kind that are shown with their images, and classes in the histogram, the largest ones.
SHOWN, MAX_CLASSES = 24, 40
#: Points of the map, drawn at random from all images.
MAX_POINTS = 3000
#: DataFinding by which images are sorted that are shown first.
_SIMILAR_FIRST = (
    "leak",
    "near_leak",
    "conflict",
    "near_conflict",
    "duplicate",
    "near_duplicate",
    "label",
)
#: Kinds of which both images of a pair have a finding; the pair is shown once.
_BOTH_WAYS = ("conflict", "near_conflict")


@dataclass(frozen=True)
class ShownImage:
    """An image with what stands under it; `uri` is None where it cannot be shown."""

    uri: str | None
    name: str
    label: str
    is_small: bool


@dataclass(frozen=True)
class ShownFinding:
    """One finding with its images: one, or the two of a pair."""

    images: tuple[ShownImage, ...]
    detail: str


@dataclass(frozen=True)
class ShownKind:
    """A kind of finding, its findings on the set in words, and some on images with these."""

    found: KindCount
    details: tuple[str, ...] = ()
    shown: tuple[ShownFinding, ...] = ()
    rest: int = field(default=0)


def write_data_page(diagnosis: Diagnosis, summary: Mapping[str, Any], manifest: Path) -> None:
    """Write the page about `diagnosis` beside its manifest.

    Args:
        diagnosis: What was found.
        summary: The same as JSON, see `resnext.doctor.summarise`.
        manifest: The manifest.

    Raises:
        OSError: It cannot be written.
    """
    kinds = [_show_kind(diagnosis, found) for found in count_kinds(diagnosis.findings, diagnosis.examined)]
    values = {
        "summary": summary,
        "kinds": kinds,
        "notes": diagnosis.examined.notes,
        "histogram": Markup(_histogram(diagnosis)),
        "map": Markup(_map(diagnosis)) if diagnosis.projected is not None else "",
        "manifest": encodable(str(manifest)),
        "command": training_command(diagnosis.examined.data, manifest),
        "is_refused": bool(diagnosis.examined.refusal),
        "has_rows": any(finding.image is not None for finding in diagnosis.findings),
        "total": len(diagnosis.examined),
    }
    write_whole(manifest.with_suffix(".html"), render("data.html.j2", values))


def training_command(data: str, manifest: Path) -> str:
    """What to type to train as a manifest says.

    >>> training_command("my pets", Path("doctor.csv"))
    "resnext train 'my pets' --manifest doctor.csv"
    """
    return encodable(shlex.join(["resnext", "train", data, "--manifest", str(manifest)]))


def _show_kind(diagnosis: Diagnosis, found: KindCount) -> ShownKind:
    own = [finding for finding in diagnosis.findings if finding.kind == found.kind.name]
    about_set = tuple(finding.detail for finding in own if finding.image is None)
    images = [finding for finding in own if finding.image is not None]
    if found.kind.name in _SIMILAR_FIRST:
        images.sort(key=lambda finding: -(finding.score or 0.0))
    if found.kind.name in _BOTH_WAYS:
        images = list({frozenset((one.image, one.other)): one for one in images[::-1]}.values())[::-1]
    shown = tuple(_show(diagnosis, finding) for finding in images[:SHOWN])
    return ShownKind(found, about_set, shown, max(0, len(images) - SHOWN))


def _show(diagnosis: Diagnosis, finding: DataFinding) -> ShownFinding:
    numbers = [number for number in (finding.image, finding.other) if number is not None]
    return ShownFinding(tuple(_show_image(diagnosis, number) for number in numbers), finding.detail)


def _show_image(diagnosis: Diagnosis, number: int) -> ShownImage:
    examined, facts = diagnosis.examined, diagnosis.measured.facts[number]
    split, index = examined.locate(number)
    uri = thumbnail_uri(examined.splits[split], index) if diagnosis.measured.readable[number] else None
    is_small = bool(max(facts["width"], facts["height"]) <= 64)
    return ShownImage(uri, name_in_split(examined, number), examined.label(number), is_small)


def _histogram(diagnosis: Diagnosis) -> str:
    """Images of each class by split, as bars."""
    examined = diagnosis.examined
    labels, split_of = examined.labels, examined.split_of
    total = np.bincount(labels, minlength=len(examined.classes))
    order = np.argsort(-total, kind="stable")[:MAX_CLASSES][::-1]
    short = shorten(examined.classes)
    with plot_style():
        figure = new_figure(7.2, 1.0 + 0.24 * len(order))
        ax = figure.subplots()
        left = np.zeros(len(order))
        for place, split in enumerate(examined.splits):
            counts = np.bincount(labels[split_of == place], minlength=len(total))[order]
            ax.barh(np.arange(len(order)), counts, left=left, color=COLOURS[place], label=split, height=0.7)
            left += counts
        ax.set_yticks(np.arange(len(order)), [short[examined.classes[i]] for i in order])
        ax.set_xlabel("images")
        ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        return svg_inline(figure, "images of each class by split")


def _map(diagnosis: Diagnosis) -> str:
    """The features of the images on their two widest axes, suspected labels marked."""
    assert diagnosis.projected is not None
    examined, points = diagnosis.examined, diagnosis.projected[:, :2]
    if points.shape[1] < 2:
        return ""
    known = np.flatnonzero(np.isfinite(points).all(axis=1))
    drawn = np.random.default_rng(0).choice(known, min(MAX_POINTS, len(known)), replace=False)
    suspected = [f.image for f in diagnosis.findings if f.kind == "label" and f.image is not None]
    marked = np.array(sorted(suspected), np.int64)[:MAX_POINTS]
    with plot_style():
        figure = new_figure(7.2, 4.6)
        ax = figure.subplots()
        for name, numbers in _largest_classes(examined.labels[drawn], drawn, examined.classes):
            colour = COLOURS[len(ax.collections) % len(COLOURS)]
            ax.scatter(
                points[numbers, 0], points[numbers, 1], s=5, color=colour, linewidths=0, alpha=0.7, label=name
            )
        if len(marked):
            ax.scatter(
                points[marked, 0],
                points[marked, 1],
                s=26,
                facecolors="none",
                edgecolors="#d24545",
                linewidths=0.9,
                label="suspected label",
            )
        ax.set_xticks([])
        ax.set_yticks([])
        ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), markerscale=2)
        return svg_inline(figure, "a map of the set: features of the model on their two widest axes")


def _largest_classes(labels: Any, drawn: Any, classes: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Name and images of each of the largest classes, then of all others together."""
    counts = np.bincount(labels, minlength=len(classes))
    own = [i for i in np.argsort(-counts, kind="stable")[: len(COLOURS) - 1] if counts[i]]
    short = shorten([classes[i] for i in own])
    for i in own:
        yield short[classes[i]], drawn[labels == i]
    others = ~np.isin(labels, own)
    if others.any():
        yield "other classes", drawn[others]
