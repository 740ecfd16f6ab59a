"""What is shown of training while it goes on."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from resnext.cli.progress_bar import LINE_EVERY_S
from resnext.cli.train_display import TrainDisplay
from resnext.data.sampling import SamplingPlan
from resnext.metrics import score
from resnext.run import DecodeProgress, EpochEnd, StepEnd
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
