"""Learning rates over a run, against torch's own schedulers."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from resnext.training.schedules import lr_factor
from resnext.training.settings import TrainingSettings

STEPS = 200


def torch_factors(build: object) -> list[float]:
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = build(optimiser)  # type: ignore[operator]
    factors = []
    for _ in range(STEPS):
        factors.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return factors


def our_factors(**settings: object) -> list[float]:
    return [lr_factor(TrainingSettings(**settings), step, STEPS) for step in range(STEPS)]  # type: ignore[arg-type]


@pytest.mark.parametrize("share", [0.1, 0.25, 0.333, 0.5])
def test_one_cycle(share: float) -> None:
    theirs = torch_factors(
        lambda o: lr_scheduler.OneCycleLR(
            o,
            1.0,
            total_steps=STEPS,
            pct_start=share,
            anneal_strategy="cos",
            div_factor=25,
            final_div_factor=1e4,
            cycle_momentum=False,
        )
    )
    assert our_factors(schedule="one-cycle", warmup=share) == pytest.approx(theirs, rel=1e-9, abs=1e-12)


def test_cosine() -> None:
    theirs = torch_factors(lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS))
    assert our_factors(schedule="cosine") == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("milestones", [(0.5, 0.75), (0.305,), (0.1, 0.15, 0.95)])
def test_step(milestones: tuple[float, ...]) -> None:
    steps = [round(m * STEPS) for m in milestones]
    theirs = torch_factors(lambda o: lr_scheduler.MultiStepLR(o, steps, 0.1))
    assert our_factors(schedule="step", milestones=milestones) == pytest.approx(theirs)


@pytest.mark.parametrize("schedule", ["cosine", "step"])
def test_warm_up_rises_in_equal_steps_to_the_schedule(schedule: str) -> None:
    factors = our_factors(schedule=schedule, warmup=0.1)
    rises = [b - a for a, b in pairwise(factors[:21])]
    assert rises == pytest.approx([rises[0]] * 20)
    assert factors[20] == 1
    assert our_factors(schedule="step", warmup=0.1, milestones=(0.1,))[19:21] == pytest.approx([20 / 21, 0.1])


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine", "step"])
@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("warmup", [0.0, 0.3, 0.5, 0.9])
def test_the_shortest_runs_have_rates_too(schedule: str, steps: int, warmup: float) -> None:
    settings = TrainingSettings(schedule=schedule, warmup=warmup)  # type: ignore[arg-type]
    assert all(0 < lr_factor(settings, step, steps) <= 1 for step in range(steps))


def test_cosine_after_warm_up_is_half_a_wave() -> None:
    wave = (1 + np.cos(np.pi * np.arange(STEPS - 20) / (STEPS - 20))) / 2
    assert our_factors(schedule="cosine", warmup=0.1)[20:] == pytest.approx(wave.tolist(), abs=1e-12)
