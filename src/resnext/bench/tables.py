"""Times as rows of a table, and as the record that is kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from resnext.records import stamp
from resnext.timing import Timing


@dataclass(frozen=True)
class BenchRow:
    """One timed thing: `what`, and its `seconds` in each round.

    `ratio` is its time over that of `against` in the same round, as a median; spreads are the tenth and the
    ninetieth percentile. `limit_share` is the least time that the machine could take over the median.
    """

    what: str
    seconds: tuple[float, ...]
    median_s: float
    spread_s: tuple[float, float]
    images_per_s: float
    against: str | None = None
    ratio: float | None = None
    ratio_spread: tuple[float, float] | None = None
    limit_share: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The row as it is written."""
        return {_KEYS.get(name, name): value for name, value in asdict(self).items()}


#: Keys of the files whose fields have another name here.
_KEYS = {"images_per_s": "pictures_per_s"}


@dataclass(frozen=True)
class BenchTable:
    """Rows that were timed in turns on one machine.

    `name` says which bench it is, `limits` the most that the machine did in the same turns, and `failed` what
    could not be timed, with the reason.
    """

    name: str
    settings: dict[str, Any]
    rows: tuple[BenchRow, ...]
    limits: dict[str, float]
    failed: dict[str, str]
    device: str

    def to_json(self) -> dict[str, Any]:
        """The record of this bench, stamped now, as `resnext.records.append_record` takes it."""
        return {
            "kind": "bench",
            "experiment": self.name,
            "settings": self.settings,
            "timings": [row.to_json() for row in self.rows],
            "limits": self.limits,
            "failed": self.failed,
            **asdict(stamp(self.device)),
        }


def make_rows(timings: dict[str, Timing], images: int, floors: dict[str, float]) -> tuple[BenchRow, ...]:
    """A row for each timing, with its ratio to the first.

    Args:
        timings: Times of `images` images, by name.
        images: Number of images in a call.
        floors: The least seconds that the machine could take, for those names where it is known.
    """
    against, *_ = timings
    rows = []
    for what, timing in timings.items():
        ratio = timing.ratio_to(timings[against]) if what != against else None
        rows.append(
            BenchRow(
                what,
                timing.seconds,
                timing.median_s,
                timing.spread,
                images / timing.median_s,
                against if ratio else None,
                ratio.median if ratio else None,
                ratio.spread if ratio else None,
                floors[what] / timing.median_s if what in floors else None,
            )
        )
    return tuple(rows)
