"""Rows of a bench are ratios and shares of the same round."""

from __future__ import annotations

from resnext.bench.tables import make_rows
from resnext.timing import Timing


def test_ratios_are_round_by_round() -> None:
    """The machine slows down threefold in the second round: the ratio does not see it."""
    timings = {"a": Timing((1.0, 3.0, 1.0)), "b": Timing((2.0, 6.0, 2.0))}
    first, second = make_rows(timings, 8, {"b": 0.5})
    assert (first.against, first.ratio, first.limit_share) == (None, None, None)
    assert (second.against, second.ratio, second.ratio_spread) == ("a", 2.0, (2.0, 2.0))
    assert (second.images_per_s, second.limit_share) == (4.0, 0.25)
    assert second.to_json()["pictures_per_s"] == 4.0  # the key in records
