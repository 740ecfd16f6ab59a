"""No more images of the classes are rejected than was chosen."""

from __future__ import annotations

import numpy as np
import pytest

from resnext.confidence import fit_threshold, is_rejected
from resnext.contract import Rejection
from resnext.errors import UsageError


@pytest.mark.parametrize("false_alarms", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("score", ["probability", "energy"])
def test_new_images_are_rejected_as_often_as_chosen(score: str, false_alarms: float) -> None:
    random, rejected = np.random.default_rng(0), []
    for _ in range(100):
        seen, new = random.random((2, 500), np.float32)
        rejected.append(is_rejected(new, fit_threshold(Rejection(score, 0.0), seen, false_alarms)).mean())  # type: ignore[arg-type]
    assert np.mean(rejected) == pytest.approx(false_alarms, abs=0.004)


@pytest.mark.parametrize("score", ["probability", "energy"])
def test_few_images_reject_nothing(score: str) -> None:
    rejection = fit_threshold(Rejection(score, 0.0), np.full(50, 0.9, np.float32), 0.01)  # type: ignore[arg-type]
    assert not is_rejected(np.array([0.0, -1e6], np.float32)[: 1 + (score == "energy")], rejection).any()


def test_equal_values_are_not_rejected_together() -> None:
    """A network that is certain of all has one confidence."""
    same = np.ones(1000, np.float32)
    assert not is_rejected(same, fit_threshold(Rejection("probability", 0.0), same, 0.05)).any()


@pytest.mark.parametrize("false_alarms", [-0.1, 1.0, 5.0])
def test_what_is_no_share_is_refused(false_alarms: float) -> None:
    with pytest.raises(UsageError, match="must be from 0 to less than 1"):
        fit_threshold(Rejection("probability", 0.0), np.ones(9, np.float32), false_alarms)
