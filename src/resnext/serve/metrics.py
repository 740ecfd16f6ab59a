"""Counts and times of a server, in the text format of Prometheus.

The figures lie in memory that the processes of one server share, a row for each, so that any of them can tell
those of all.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: Where requests go, as they are counted, and what becomes of them.
ROUTES = ("predict", "infer", "other")
STATUSES = ("2xx", "3xx", "4xx", "500", "503")
#: Upper bounds of the classes of a histogram: seconds of a request, images of a batch.
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)


@dataclass(frozen=True)
class Family:
    """Figures of one name.

    Attributes:
        name: The name.
        kind: `counter`, `gauge` or `histogram`.
        help: What it counts.
        labels: Names of the labels, and all values that they take.
        bounds: Upper bounds, of a histogram.
    """

    name: str
    kind: str
    help: str
    labels: tuple[tuple[str, tuple[str, ...]], ...] = ()
    bounds: tuple[float, ...] = ()

    @property
    def series(self) -> list[tuple[str, ...]]:
        """The values of the labels of each of its series."""
        return list(itertools.product(*(values for _, values in self.labels)))

    @property
    def width(self) -> int:
        """Numbers that a series takes: one, or one for each class of a histogram, its rest, and its sum."""
        return len(self.bounds) + 2 if self.kind == "histogram" else 1


def families(models: Sequence[str]) -> tuple[Family, ...]:
    """What a server of these models counts."""
    by_model = ("model", tuple(models))
    return (
        Family(
            "resnext_requests_total",
            "counter",
            "Requests that were answered.",
            (("route", ROUTES), ("status", STATUSES)),
        ),
        Family(
            "resnext_request_seconds",
            "histogram",
            "Seconds from the head of a request to its answer.",
            (("route", ROUTES),),
            SECONDS,
        ),
        Family("resnext_images_total", "counter", "Images that were classified.", (by_model,)),
        Family("resnext_rejected_total", "counter", "Images whose answer is none of these.", (by_model,)),
        Family("resnext_bad_images_total", "counter", "Images that could not be read.", (by_model,)),
        Family("resnext_batch_images", "histogram", "Images of a batch.", (), BATCHES),
        Family("resnext_batch_seconds_total", "counter", "Seconds that the engine has computed."),
        Family("resnext_reloads_total", "counter", "Times that a changed model was opened.", (by_model,)),
        Family(
            "resnext_failed_reloads_total",
            "counter",
            "Times that a changed model could not be opened.",
            (by_model,),
        ),
        Family("resnext_waiting_images", "gauge", "Images that are accepted and not answered yet."),
        Family("resnext_held_bytes", "gauge", "Bytes of the bodies in hand."),
    )


def count_numbers(models: Sequence[str]) -> int:
    """Numbers that one process needs for its figures."""
    return sum(len(family.series) * family.width for family in families(models))


class Metrics:
    """The figures of one process among those of its server.

    Args:
        models: Names of the models.
        memory: float64 numbers, `count_numbers(models)` for each process; new ones for one process if None.
        process: Number of this process.

    >>> metrics = Metrics(["pets"])
    >>> metrics.add("resnext_images_total", 3, "pets")
    >>> 'resnext_images_total{model="pets"} 3' in metrics.text()
    True
    """

    def __init__(self, models: Sequence[str], memory: Any = None, process: int = 0) -> None:
        self._families = families(models)
        count = count_numbers(models)
        values = np.zeros(count) if memory is None else np.frombuffer(memory, np.float64)
        self._all: NDArray[np.float64] = values.reshape(-1, count)
        self._own = self._all[process]
        self._own[:] = 0
        self._places: dict[tuple[str, ...], int] = {}
        self._bounds: dict[str, tuple[float, ...]] = {}
        place = 0
        for family in self._families:
            self._bounds[family.name] = family.bounds
            for labels in family.series:
                self._places[family.name, *labels] = place
                place += family.width

    def add(self, name: str, amount: float, *labels: str) -> None:
        """Add to a counter."""
        self._own[self._places[name, *labels]] += amount

    def set(self, name: str, value: float, *labels: str) -> None:
        """Set a gauge."""
        self._own[self._places[name, *labels]] = value

    def observe(self, name: str, value: float, *labels: str) -> None:
        """Count a value in a histogram."""
        place, bounds = self._places[name, *labels], self._bounds[name]
        self._own[place + int(np.searchsorted(bounds, value))] += 1
        self._own[place + len(bounds) + 1] += value

    def text(self) -> str:
        """The figures of all processes together."""
        total = self._all.sum(0)
        return "\n".join(self._lines(total)) + "\n"

    def _lines(self, total: NDArray[np.float64]) -> Iterator[str]:
        for family in self._families:
            yield f"# HELP {family.name} {family.help}"
            yield f"# TYPE {family.name} {family.kind}"
            names = [name for name, _ in family.labels]
            for labels in family.series:
                place = self._places[family.name, *labels]
                pairs = dict(zip(names, labels, strict=True))
                if family.kind != "histogram":
                    yield f"{family.name}{_labels(pairs)} {total[place]:.15g}"
                    continue
                counts = total[place : place + len(family.bounds) + 1].cumsum()
                for bound, count in zip((*map(str, family.bounds), "+Inf"), counts, strict=True):
                    yield f"{family.name}_bucket{_labels(pairs | {'le': bound})} {count:.15g}"
                yield f"{family.name}_sum{_labels(pairs)} {total[place + len(family.bounds) + 1]:.15g}"
                yield f"{family.name}_count{_labels(pairs)} {counts[-1]:.15g}"


def _labels(pairs: dict[str, str]) -> str:
    if not pairs:
        return ""
    return "{" + ",".join(f'{name}="{value}"' for name, value in pairs.items()) + "}"
