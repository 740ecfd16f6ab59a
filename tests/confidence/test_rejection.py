"""No more images of the classes are rejected than was chosen."""

from __future__ import annotations

import numpy as np
import pytest

from resnext.confidence import calibrate, check_refit, fit_threshold, is_rejected, refit
from resnext.contract import Calibration, Rejection
from resnext.errors import UsageError


@pytest.mark.parametrize("false_alarms", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("score", ["probability", "energy"])
def test_new_images_are_rejected_as_often_as_chosen(score: str, false_alarms: float) -> None:
    random, rejected = np.random.default_rng(0), []
    for _ in range(100):
        seen, new = random.random((2, 500), np.float32)
        rejected.append(is_rejected(new, fit_threshold(Rejection(score, 0.0), seen, false_alarms)).mean())  # type: ignore[arg-type]
    assert np.mean(rejected) == pytest.approx(false_alarms, abs=0.004)


@pytest.mark.parametrize(("count", "false_alarms"), [(98, 0.01), (18, 0.05), (50, 0.0195)])
def test_too_few_images_have_no_threshold(count: int, false_alarms: float) -> None:
    plain, seen = Rejection("probability", 0.0), np.linspace(0.5, 1, count + 1, dtype=np.float32)
    with pytest.raises(UsageError, match=f"there are {count}; give more, or --false-alarms") as raised:
        fit_threshold(plain, seen[1:], false_alarms)
    enough = float(str(raised.value).rpartition(" ")[2])
    assert fit_threshold(plain, seen[1:], enough).threshold > 0.5
    assert (
        calibrate(np.full((count, 2), 0.5, np.float32), np.arange(count) % 2, false_alarms).rejection is None
    )


def test_nothing_is_rejected_where_none_was_asked_for() -> None:
    rejection = fit_threshold(Rejection("energy", 0.0), np.zeros(5, np.float32), 0.0)
    assert not is_rejected(np.array([-1e6], np.float32), rejection).any()


def test_what_an_earlier_version_left_without_a_threshold_stays_so() -> None:
    """Its runs with few images of val have a threshold that nothing is below."""
    dead = Calibration(1.0, Rejection("probability", 0.0, 0.01))
    check_refit(dead, 20)
    made = refit(dead, np.full((20, 2), 0.5, np.float32), np.zeros(20, np.float32), np.arange(20) % 2)
    assert made.rejection == dead.rejection


def test_equal_values_are_not_rejected_together() -> None:
    """A network that is certain of all has one confidence."""
    same = np.ones(1000, np.float32)
    assert not is_rejected(same, fit_threshold(Rejection("probability", 0.0), same, 0.05)).any()


@pytest.mark.parametrize("false_alarms", [-0.1, 1.0, 5.0])
def test_what_is_no_share_is_refused(false_alarms: float) -> None:
    with pytest.raises(UsageError, match="must be from 0 to less than 1"):
        fit_threshold(Rejection("probability", 0.0), np.ones(9, np.float32), false_alarms)
