"""The batch found by trial: what is chosen of the outcomes, and what a real trial tells."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from resnext.recipe import RecipeError
from resnext.run import batch_size_finder
from resnext.run.batch_size_finder import Trial, TrialResult, find_batch_size

TRIAL = Trial("resnet11+template=8", 3, 8, "float32", "cpu", (16, 32, 64, 128))


def tell(monkeypatch: pytest.MonkeyPatch, *outcomes: TrialResult) -> None:
    monkeypatch.setattr(batch_size_finder, "_run_trial", lambda trial: (list(outcomes), "killed"))


def test_on_a_cpu_the_smallest_that_is_nearly_the_fastest(monkeypatch: pytest.MonkeyPatch) -> None:
    paces = {16: 500.0, 32: 955.0, 64: 1000.0, 128: 990.0}
    tell(monkeypatch, *(TrialResult(batch, pace, 0.0) for batch, pace in paces.items()))
    assert find_batch_size(TRIAL) == (32, "tried images/s by batch: 16: 500, 32: 955, 64: 1,000, 128: 990")


def test_on_a_gpu_the_largest_that_leaves_a_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    tell(monkeypatch, TrialResult(16, 900, 0.4), TrialResult(32, 1000, 0.7), TrialResult(64, 1100, 0.9))
    batch, why = find_batch_size(replace(TRIAL, device="cuda:0"))
    assert batch == 32
    assert "70 % of the memory" in why


def test_nothing_that_could_be_trained_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    tell(monkeypatch)
    with pytest.raises(RecipeError, match=r"batch: not even 16 images .*killed"):
        find_batch_size(TRIAL)


def test_a_real_trial_tells_the_pace_of_each_batch_and_how_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files in the current folder are not executed: Python looks for modules there first."""
    for name in ("json", "torch", "trial", "resnext", "dataclasses"):
        (tmp_path / f"{name}.py").write_text("open('executed', 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    outcomes, end = batch_size_finder._run_trial(replace(TRIAL, batches=(16, 32, -1)))
    assert [one.batch for one in outcomes] == [16, 32]
    assert all(one.images_per_s > 0 for one in outcomes)
    assert "negative dimension" in end  # the last line of what it said
    assert not (tmp_path / "executed").exists()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_trial_ends_with_the_process_that_waits_for_it() -> None:
    ours, theirs = os.pipe()
    if (parent := os.fork()) == 0:
        waiting = os.getpid()
        if os.fork() == 0:
            batch_size_finder._end_with_parent(waiting)
        os._exit(0)
    os.waitpid(parent, 0)
    os.close(theirs)
    assert os.read(ours, 1) == b""  # when all that hold the other end have ended
    os.close(ours)


def test_a_trial_that_is_killed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_size_finder, "TIMEOUT_S", 0.1)
    assert batch_size_finder._run_trial(TRIAL) == ([], "exit code -9")
