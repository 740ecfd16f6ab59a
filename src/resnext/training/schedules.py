"""Learning-rate schedules. They are pure functions of the step, so there is no state to save."""

from __future__ import annotations

import math
from collections.abc import Callable

from resnext.training.settings import TrainingSettings

#: One-cycle starts at 1/25 of its peak and ends at 1/10,000 of its start (Smith and Topin 2018).
ONE_CYCLE_START = 1 / 25
ONE_CYCLE_END = ONE_CYCLE_START / 1e4

#: (settings, step, steps) -> share of the peak; and the same after a warm-up, whose steps come last.
_Schedule = Callable[[TrainingSettings, int, int], float]
_Fall = Callable[[TrainingSettings, int, int, int], float]


def lr_factor(settings: TrainingSettings, step: int, steps: int) -> float:
    """Share of the peak learning rate at `step` of `steps`; the first step is 0.

    >>> lr_factor(TrainingSettings(schedule="step"), 60, 100)
    0.1
    """
    return _SCHEDULES[settings.schedule](settings, step, steps)


def _one_cycle(settings: TrainingSettings, step: int, steps: int) -> float:
    rise, last = settings.warmup * steps - 1, steps - 1
    if step < rise:
        return _cosine_between(ONE_CYCLE_START, 1.0, step / rise)
    return _cosine_between(1.0, ONE_CYCLE_END, (step - rise) / (last - rise))


def _warmed_up(fall: _Fall) -> _Schedule:
    """A schedule whose rate rises in equal steps before it falls."""

    def factor(settings: TrainingSettings, step: int, steps: int) -> float:
        warmup = round(settings.warmup * steps)
        return (step + 1) / (warmup + 1) if step < warmup else fall(settings, step, steps, warmup)

    return factor


def _cosine(settings: TrainingSettings, step: int, steps: int, warmup: int) -> float:
    return _cosine_between(1.0, 0.0, (step - warmup) / (steps - warmup))


def _step(settings: TrainingSettings, step: int, steps: int, warmup: int) -> float:
    return float(0.1 ** sum(step >= milestone * steps for milestone in settings.milestones))


def _cosine_between(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


_SCHEDULES: dict[str, _Schedule] = {
    "one-cycle": _one_cycle,
    "cosine": _warmed_up(_cosine),
    "step": _warmed_up(_step),
}
