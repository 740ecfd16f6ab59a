"""Learning rates over a run, against torch's own schedulers."""

from __future__ import annotations

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


def test_one_cycle() -> None:
    theirs = torch_factors(
        lambda o: lr_scheduler.OneCycleLR(o, 1.0, total_steps=STEPS, pct_start=0.25, cycle_momentum=False)
    )
    assert our_factors(schedule="one-cycle", warmup=0.25) == pytest.approx(theirs, abs=1e-9)


def test_cosine() -> None:
    theirs = torch_factors(lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS))
    assert our_factors(schedule="cosine") == pytest.approx(theirs, abs=1e-9)


def test_step() -> None:
    theirs = torch_factors(lambda o: lr_scheduler.MultiStepLR(o, [100, 150], 0.1))
    assert our_factors(schedule="step") == pytest.approx(theirs)


@pytest.mark.parametrize("schedule", ["cosine", "step"])
def test_warm_up_rises_in_equal_steps_to_the_schedule(schedule: str) -> None:
    factors = our_factors(schedule=schedule, warmup=0.1)
    rises = [b - a for a, b in zip(factors[:20], factors[1:21], strict=True)]
    assert rises == pytest.approx([rises[0]] * 20)
    assert factors[20] == 1


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine", "step"])
@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("warmup", [0.0, 0.3, 0.9])
def test_the_shortest_runs_have_rates_too(schedule: str, steps: int, warmup: float) -> None:
    settings = TrainingSettings(schedule=schedule, warmup=warmup)  # type: ignore[arg-type]
    assert all(0 < lr_factor(settings, step, steps) <= 1 for step in range(steps))
