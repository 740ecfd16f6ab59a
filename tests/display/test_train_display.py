"""What is shown of training while it goes on."""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from resnext.cost import Cost
from resnext.data.sampling import SamplingPlan
from resnext.display.progress_bar import LINE_EVERY_S, ProgressBar
from resnext.display.train_display import TrainDisplay
from resnext.metrics import score
from resnext.recipe import named_recipe
from resnext.run import DecodeProgress, EpochEnd, FeatureProgress, HeadFitted, RunStarted, StepEnd
from resnext.run.meters import EpochSummary
from resnext.run.timed_loader import WaitTimes
from resnext.training.loop import Step

SCORES = score(np.eye(2, dtype=np.float32), np.array([0, 1]), ("a", "b"))


def test_a_process_shows_the_loss_of_its_shard_as_that_of_a_whole_batch(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of 8 images this process had 2: their losses, 1 and 3, are eighths of the batch's mean."""
    display, now = TrainDisplay(), time.monotonic()
    monkeypatch.setattr("time.monotonic", lambda: now + LINE_EVERY_S + 1)
    step = Step(7, 0, False, loss=torch.tensor(4 / 8), correct=torch.tensor(1.0), images=8, own=2, lr=0.1)
    display.show(StepEnd(step, SamplingPlan(images=80, batch=8, epochs=1, seed=0), WaitTimes()))
    display.close()
    assert "step 7/10: loss 2.000  top-1 50 %" in capsys.readouterr().out


def test_the_speed_of_the_first_steps_is_shown_without_the_decoding_before_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    display, clock = TrainDisplay(), [time.monotonic()]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    for done in (500, 1000):
        clock[0] += LINE_EVERY_S
        display.show(DecodeProgress(done, 1000, WaitTimes(clock[0])))
    plan, decoded = SamplingPlan(images=80, batch=8, epochs=1, seed=0), clock[0]
    clock[0] += LINE_EVERY_S
    step = Step(1, 0, False, loss=torch.tensor(1.0), correct=torch.tensor(1.0), images=30, own=30, lr=0.1)
    display.show(StepEnd(step, plan, WaitTimes(decoded)))
    display.close()
    said = capsys.readouterr().out
    assert "decoded 500 of 1,000 images" in said
    assert " 2 images/s" in said  # 30 in 15 s
    assert "  0 % waiting" in said


def test_waiting_in_one_epoch_is_not_shown_in_the_next(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    display, clock = TrainDisplay(), [time.monotonic()]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    plan = SamplingPlan(images=80, batch=8, epochs=2, seed=0)
    step = Step(1, 0, True, loss=torch.tensor(1.0), correct=torch.tensor(1.0), images=30, own=30, lr=0.1)
    clock[0] += 10
    display.show(StepEnd(step, plan, WaitTimes(10.0)))
    display.show(EpochEnd(EpochSummary(1, 1, 1.0, 50.0, 30, 10.0, WaitTimes(10.0)), 2, SCORES, True))
    capsys.readouterr()
    clock[0] += LINE_EVERY_S
    display.show(StepEnd(step, plan, WaitTimes(10.0 + LINE_EVERY_S / 2)))
    display.close()
    assert "  50 % waiting" in capsys.readouterr().out


def started(steps: int, epochs: int, first_step: int = 0, has_weights: bool = False) -> RunStarted:
    plan = SamplingPlan(images=8 * steps // epochs, batch=8, epochs=epochs, seed=0)
    cost, recipe = Cost(1, 1, 1, 1), named_recipe("small")
    about = (Path("x"), recipe, (), (), (), {}, 2, cost, "a machine", plan, first_step)
    return RunStarted(*about, has_weights=has_weights)


def test_how_long_it_takes_is_said_after_the_first_steps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    display, clock = TrainDisplay(), [time.monotonic()]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    event = started(steps=3000, epochs=100)
    display.show(event)
    loss = torch.tensor(1.0)
    for number in range(1, 10):
        clock[0] += 3.0
        display.show(StepEnd(Step(number, 0, False, loss, loss, 8, 8, 0.1), event.plan, WaitTimes()))
    display.close()
    said = [line for line in capsys.readouterr().out.splitlines() if "about" in line]
    assert said[0] == "time       about 2 h 30 min: 2,993 more steps of 3.00 s"
    assert "--epochs 3" in said[1]
    assert len(said) == 2


def test_a_long_fine_tuning_names_the_probe_and_how_long_it_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Steps of 3 s for 8 images: forward a third of it, so 4 views of 240 images take 2 min."""
    display, clock = TrainDisplay(), [time.monotonic()]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    event = started(steps=3000, epochs=100, has_weights=True)
    assert event.plan.images == 240
    display.show(event)
    loss = torch.tensor(1.0)
    for number in range(1, 10):
        clock[0] += 3.0
        display.show(StepEnd(Step(number, 0, False, loss, loss, 8, 8, 0.1), event.plan, WaitTimes()))
    display.close()
    said = [line for line in capsys.readouterr().out.splitlines() if "about" in line]
    assert said[1] == "           --recipe probe has a first result in about 2 min; --then finetune goes on"


def test_how_long_features_take_is_said_after_the_first_batches(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """8 views in 4 s: 8,000 of them, of which 24 are done, take more than an hour."""
    display, clock = TrainDisplay(), [time.monotonic()]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    display.show(started(steps=1000, epochs=4))
    assert not display.has_estimate
    for batch in range(1, 6):
        clock[0] += 4.0
        display.show(FeatureProgress(8 * batch, 8000, 8 * batch, WaitTimes()))
    display.show(HeadFitted(EpochSummary(2, 2, 0.5, 4, 0, 1.0, WaitTimes()), 0.1, 9, SCORES, True))
    display.close()
    assert display.has_estimate
    said = capsys.readouterr().out.splitlines()
    assert "time       about 66 min: 7,968 views of 500 ms" in said
    assert "           about 17 min with --epochs 1, the images as they are" in said
    assert (
        "penalty 1.0e-01 (2/9): train loss 0.5000, top-1 96.00 %; val loss 0.0000, top-1 100.00 % *" in said
    )
    assert "features of 32 of 8,000 views: 2 images/s  0 % waiting for images, 0 % for their transfer" in said


@pytest.mark.parametrize("width", [60, 80, 120])
def test_bar_and_time_left_keep_their_room(width: int) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=width, legacy_windows=False, color_system=None)
    bar = ProgressBar("training", console)
    bar.update(
        6_172, 12_345, "loss 0.123  top-1 97 %  1,234 images/s  0 % waiting for images, 0 % for transfer"
    )
    bar._bar.refresh()
    bar.close()
    lines = [line for line in file.getvalue().splitlines() if "12,345" in line]
    assert lines
    for line in lines:
        assert "6,172/12,345" in line
        assert "━" * 9 in line
        assert "-:--:--" in line  # the time left, of which nothing is known yet


def test_a_narrow_terminal_gets_lines() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=40)
    bar = ProgressBar("training", console)
    assert not bar.is_shown
    bar.close()
