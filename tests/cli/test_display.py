"""What is shown of training while it goes on."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from resnext.cli.display import LINE_EVERY_S, Display
from resnext.data.batches import Plan
from resnext.metrics import score
from resnext.run import Decoded, Judged, Stepped
from resnext.run.tally import Epoch
from resnext.training.loop import Step

SCORES = score(np.eye(2, dtype=np.float32), np.array([0, 1]), ("a", "b"))


def test_a_process_shows_the_loss_of_its_part_as_that_of_a_whole_batch(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of 8 pictures this process had 2: their losses, 1 and 3, are eighths of the batch's mean."""
    display, now = Display(), time.monotonic()
    monkeypatch.setattr("time.monotonic", lambda: now + LINE_EVERY_S + 1)
    step = Step(7, 0, False, loss=torch.tensor(4 / 8), correct=torch.tensor(1.0), pictures=8, own=2, lr=0.1)
    display.show(Stepped(step, Plan(pictures=80, batch=8, epochs=1, seed=0), 0.0, 0.0))
    display.close()
    assert "step 7/10: loss 2.000  top-1 50 %" in capsys.readouterr().out


def test_the_pace_of_the_first_steps_is_told_without_the_decoding_before_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    display, clock = Display(), [time.monotonic()]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    for done in (500, 1000):
        clock[0] += LINE_EVERY_S
        display.show(Decoded(done, 1000, clock[0]))
    plan, decoded = Plan(pictures=80, batch=8, epochs=1, seed=0), clock[0]
    clock[0] += LINE_EVERY_S
    step = Step(1, 0, False, loss=torch.tensor(1.0), correct=torch.tensor(1.0), pictures=30, own=30, lr=0.1)
    display.show(Stepped(step, plan, decoded, 0.0))
    display.close()
    said = capsys.readouterr().out
    assert "decoded 500 of 1,000 pictures" in said
    assert " 2 pictures/s" in said  # 30 in 15 s
    assert "  0 % waiting" in said


def test_what_was_waited_in_one_epoch_is_not_told_in_the_next(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    display, clock = Display(), [time.monotonic()]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    plan = Plan(pictures=80, batch=8, epochs=2, seed=0)
    step = Step(1, 0, True, loss=torch.tensor(1.0), correct=torch.tensor(1.0), pictures=30, own=30, lr=0.1)
    clock[0] += 10
    display.show(Stepped(step, plan, 10.0, 0.0))
    display.show(Judged(Epoch(1, 1, 1.0, 50.0, 30, 10.0, 10.0, 0.0), 2, SCORES, True))
    capsys.readouterr()
    clock[0] += LINE_EVERY_S
    display.show(Stepped(step, plan, 10.0 + LINE_EVERY_S / 2, 0.0))
    display.close()
    assert "  50 % waiting" in capsys.readouterr().out
