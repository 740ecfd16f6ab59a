"""When a run is saved, and what is saved of its progress."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from torch import nn

from resnext.recipe.options import CheckpointInterval
from resnext.run.checkpointing import Checkpointer, RunProgress
from resnext.run.folder import NullRunWriter, RunFolder
from resnext.run.loggers import Loggers
from resnext.run.meters import EpochMeter, EpochSummary, MeterState
from resnext.run.timed_loader import WaitTimes
from resnext.training.distributed import ProcessGroup
from resnext.training.loop import TrainState
from resnext.training.settings import TrainingSettings


def test_a_save_is_due_after_a_time_or_a_number_of_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [50.0]
    monkeypatch.setattr("resnext.run.checkpointing.time.monotonic", lambda: clock[0])

    class Steps:
        step = 4

    state = cast(TrainState, Steps())
    by_time = Checkpointer(state, None, CheckpointInterval.parse("90s"))
    by_steps = Checkpointer(state, None, CheckpointInterval.parse("3"))
    clock[0], state.step = 139.0, 6
    assert (by_time.is_due(), by_steps.is_due()) == (False, False)
    clock[0], state.step = 140.0, 7
    assert (by_time.is_due(), by_steps.is_due()) == (True, True)


def test_a_save_that_fails_is_noticed_at_the_next_step(tmp_path: Path) -> None:
    """Not only when the next one is due."""
    state = TrainState(nn.Linear(1, 1), TrainingSettings())
    folder = RunFolder(tmp_path / "gone")
    meter = EpochMeter(NullRunWriter(), MeterState(), WaitTimes, Loggers(print), ProcessGroup())
    checkpointer = Checkpointer(state, folder, CheckpointInterval.parse("10min"))
    checkpointer.save(RunProgress(), meter)
    checkpointer.finish_writing()
    with pytest.raises(OSError, match="gone"):
        checkpointer.is_due()
    assert not checkpointer.is_due()
    checkpointer.close()


def test_checkpoints_of_earlier_versions_are_read() -> None:
    """As version 0.1.0 wrote them; what is written now has the same keys, and the time in all."""
    progress = {"best_epoch": 2, "best_error": 12.5, "best_loss": 0.5, "seconds": 9.0, "pictures": 640}
    progress |= {"since_best": 1, "data_s": 1.0, "transfer_s": 0.5, "evaluation_s": 2.0}
    sums = {"loss": 3.0, "correct": 7, "pictures": 64, "seconds": 1.5, "data_s": 0.2, "transfer_s": 0.1}
    assert RunProgress.from_json(progress).to_json() == progress | {"wall_s": 11.0}
    assert RunProgress.from_json(progress).rest_s == 0
    assert RunProgress.from_json(progress | {"wall_s": 15.0}).rest_s == 4
    assert MeterState.from_json(sums).to_json() == sums
    assert RunProgress.from_json(progress).waits == WaitTimes(1.0, 0.5)
    assert MeterState.from_json(sums).images == 64


def test_the_time_in_all_goes_on_where_the_checkpoint_left_it() -> None:
    progress = RunProgress(seconds=2.0, evaluation_s=1.0, wall_s=5.0)
    progress.since -= 3.0  # three seconds ago
    progress.tick()
    assert progress.rest_s == pytest.approx(5.0, abs=1.0)
    again = RunProgress.from_json(progress.to_json())
    assert again.wall_s == progress.wall_s
    again.tick()
    assert again.rest_s == pytest.approx(5.0, abs=1.0)  # not the time since the run began


def test_of_equal_errors_the_lower_loss_is_better_and_of_equal_losses_the_later_epoch() -> None:
    progress = RunProgress()
    found = [
        progress.add(EpochSummary(epoch, 0, 0.0, 0.0, 1, 1.0, WaitTimes()), error, loss)
        for epoch, (error, loss) in enumerate([(20, 2), (20, 3), (20, 1), (20, 1), (21, 0), (19, 9)], start=1)
    ]
    assert found == [True, False, True, True, False, True]
    assert (progress.best_epoch, progress.best_error, progress.best_loss) == (6, 19, 9)
