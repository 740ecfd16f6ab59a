"""Times as rows: what a person reads, and what a result line keeps."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from resnext.results import stamp
from resnext.timing import Timing


@dataclass(frozen=True)
class Row:
    """One thing timed, in `seconds` for each round. `ratio` is its time over that of `against` in the same
    round, as a median; spreads are tenth and ninetieth percentiles. `limit_share` is the least time that the
    machine could take over it."""

    what: str
    seconds: tuple[float, ...]
    median_s: float
    spread_s: tuple[float, float]
    pictures_per_s: float
    against: str | None = None
    ratio: float | None = None
    ratio_spread: tuple[float, float] | None = None
    limit_share: float | None = None


@dataclass(frozen=True)
class Table:
    """Rows of one run, in turns on one machine; `failed` says of what could not run why."""

    experiment: str
    settings: dict[str, Any]
    rows: tuple[Row, ...]
    limits: dict[str, float]
    failed: dict[str, str]
    device: str

    def to_line(self) -> dict[str, Any]:
        """The result line, stamped now."""
        line: dict[str, Any] = {"kind": "bench", "experiment": self.experiment, "settings": self.settings}
        line["timings"] = [asdict(row) for row in self.rows]
        return line | {"limits": self.limits, "failed": self.failed} | asdict(stamp(self.device))


def rows_of(timings: dict[str, Timing], pictures: int, floors: dict[str, float]) -> tuple[Row, ...]:
    """A row for each of `timings`, the times of `pictures` pictures, with its ratio to the first; `floors`
    are the least times in seconds."""
    against = next(iter(timings))
    rows = []
    for what, timing in timings.items():
        ratio = timing.ratio_to(timings[against]) if what != against else None
        rows.append(
            Row(
                what,
                timing.seconds,
                timing.median_s,
                timing.spread,
                pictures / timing.median_s,
                against if ratio else None,
                ratio.median if ratio else None,
                ratio.spread if ratio else None,
                floors[what] / timing.median_s if what in floors else None,
            )
        )
    return tuple(rows)
