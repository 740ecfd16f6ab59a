"""Tasks are found, shared between processes, and planned before they are run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from resnext.experiments import (
    EXPERIMENTS,
    Findings,
    Ledger,
    Task,
    TaskEnded,
    TaskProgress,
    TaskStarted,
    Workspace,
    judge,
    plan,
    run,
)
from resnext.experiments.runner import estimate_cost, missing_tasks, run_tasks, write_plans
from resnext.experiments.tasks import TrainingTask
from resnext.records import append_record, read_records
from resnext.run import RunError
from resnext.training.distributed import ProcessGroup

CARDINALITY, SHARING = EXPERIMENTS["cardinality"], EXPERIMENTS["training_error"]
FindMissing = Callable[..., list[Task]]


def test_what_has_been_run_is_not_run_again(workspace: Workspace, find_missing: FindMissing) -> None:
    records = read_records(workspace.results / "miniature.jsonl")
    assert [(record["arm"], record["seed"]) for record in records] == [("1x16d", 0), ("4x6d", 0)]
    assert find_missing(workspace) == []
    assert find_missing(workspace, SHARING) == []  # it has the same arms
    assert list(run([CARDINALITY], "miniature", 1, workspace)) == []
    more = find_missing(workspace, seeds=2)
    assert [(task.arm.name, task.recipe.seed) for task in more if isinstance(task, TrainingTask)] == [
        ("1x16d", 1),
        ("4x6d", 1),
    ]
    ledger = Ledger.read(workspace.results)
    assert missing_tasks([CARDINALITY, SHARING], "miniature", 2, ledger, workspace) == more
    assert "everything" in estimate_cost([], ledger, workspace)
    assert "2 to run" in estimate_cost(more, ledger, workspace)
    work = plan([CARDINALITY], "miniature", 2, workspace)
    assert (list(work.tasks), work.total) == (more, 4)
    assert "h at the pace of earlier runs" in work.cost


def test_an_interrupted_run_is_resumed_with_the_same_result(
    workspace: Workspace, elsewhere: Workspace, find_missing: FindMissing
) -> None:
    task, _ = find_missing(elsewhere)
    running = run_tasks([task], elsewhere)
    for event in running:
        if isinstance(event, TaskProgress) and event.done == event.total // 2 + 2:  # in the second epoch
            running.close()
    assert read_records(elsewhere.results / "miniature.jsonl") == []
    events = list(run_tasks([task], elsewhere))
    first = next(event for event in events if isinstance(event, TaskProgress))
    assert first.done > 0
    assert isinstance(events[-1], TaskEnded)
    record = events[-1].record
    assert record is not None
    undisturbed = read_records(workspace.results / "miniature.jsonl")[0]
    assert record["metrics"] == undisturbed["metrics"]
    assert record["commit"] == undisturbed["commit"]


def test_processes_share_the_tasks_that_they_are_all_given(tmp_path: Path, find_missing: FindMissing) -> None:
    """Of two generators that take turns, as two processes do, neither runs what the other has or had."""
    shared = Workspace(tmp_path / "results", tmp_path, tmp_path / "runs", "cpu", 0)
    both = find_missing(shared)
    one, other = run_tasks(both, shared), run_tasks(both, shared)
    assert isinstance(started := next(one), TaskStarted)
    events = list(other)  # meanwhile, all that is left
    assert [event.task for event in events if isinstance(event, TaskStarted)] == [both[1]]
    assert started.task == both[0]
    rest = [event.task for event in one if isinstance(event, TaskStarted)]
    assert rest == []  # the other has run it
    assert [record["arm"] for record in read_records(shared.results / "miniature.jsonl")] == ["4x6d", "1x16d"]


def test_nothing_is_timed_beside_a_training(tmp_path: Path, find_missing: FindMissing) -> None:
    shared = Workspace(tmp_path / "results", tmp_path, tmp_path / "runs", "cpu", 0)
    training = run_tasks(find_missing(shared), shared)
    assert isinstance(next(training), TaskStarted)
    timing = find_missing(shared, EXPERIMENTS["speed"])
    assert list(run_tasks(timing, shared)) == []
    training.close()
    assert any(isinstance(event, TaskEnded) for event in run_tasks(timing, shared))


def test_timings_come_last(elsewhere: Workspace, find_missing: FindMissing) -> None:
    """Whatever the order in which tasks are given."""
    timing, training = find_missing(elsewhere, EXPERIMENTS["speed"]), find_missing(elsewhere)[:1]
    events = run_tasks([*timing, *training], elsewhere)
    assert [event.task for event in events if isinstance(event, TaskStarted)] == [*training, *timing]


def test_a_task_of_the_main_process_alone_is_named(
    elsewhere: Workspace, find_missing: FindMissing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes whose folders of results differ would train different networks together."""

    class Group(ProcessGroup):
        def broadcast_object(self, make: Any) -> Any:
            return ["digits-elsewhere-s0"]

    monkeypatch.setattr("resnext.experiments.runner.init_group", Group)
    with pytest.raises(RunError, match="digits-elsewhere-s0: is to run, but not by this process"):
        list(run_tasks(find_missing(elsewhere), elsewhere))


def test_plans_of_an_experiment_that_shares_all_its_runs_are_written_and_count(
    workspace: Workspace, tmp_path: Path, with_seeds: Any
) -> None:
    records = read_records(workspace.results / "miniature.jsonl")
    shared = Workspace(tmp_path, runs=tmp_path, device="cpu")
    errors = {"1x16d": [30.0, 31.0, 30.5, 30.2], "4x6d": [29.0, 30.2, 29.0, 29.1]}
    for record in with_seeds(records, errors, [4, 4, 4, 4]):
        append_record(record, tmp_path / "miniature.jsonl")
    for _ in range(2):  # the second time they are there
        write_plans([CARDINALITY, SHARING], "miniature", 4, Ledger.read(tmp_path), shared)
    plans = [record for record in read_records(tmp_path / "miniature.jsonl") if record["kind"] == "plan"]
    # Its own number comes first: with as many runs done for another experiment, it could be looked at.
    assert [(one["experiment"], one["planned"]) for one in plans] == [(SHARING.name, 2), (SHARING.name, 4)]
    (found,) = judge(SHARING, "miniature", Ledger.read(tmp_path))
    assert (found.planned, found.looks, len(found.findings[0].values)) == (4, 2, 4)
    longer = tuple(
        replace(arm, recipe=replace(arm.recipe, epochs=3)) for arm in SHARING.studies["miniature"].arms
    )
    anew = replace(SHARING.studies["miniature"], arms=longer)
    assert Ledger.read(tmp_path).plans(SHARING.name, anew) == set()  # plans are of one recipe


def test_a_look_at_another_recipe_counts_and_fewer_runs_do_not(workspace: Workspace, tmp_path: Path) -> None:
    here = Workspace(tmp_path, runs=tmp_path, device="cpu")
    for record in read_records(workspace.results / "miniature.jsonl"):
        append_record(record | {"planned": 2}, tmp_path / "miniature.jsonl")

    def replan(seeds: int | None, after: str = "") -> Findings:
        write_plans([CARDINALITY], "miniature", seeds, Ledger.read(tmp_path), here, after)
        (found,) = judge(CARDINALITY, "miniature", Ledger.read(tmp_path))
        return found

    once = replan(None)
    assert (once.planned, once.looks, once.confidence) == (2, 1, 0.95)
    assert len(missing_tasks([CARDINALITY], "miniature", None, Ledger.read(tmp_path), here)) == 2
    assert missing_tasks([CARDINALITY], "miniature", 1, Ledger.read(tmp_path), here) == []
    assert replan(1) == once  # what is planned stays so
    for _ in range(2):  # the second time it is there
        looked = replan(None, "3 pairs with another rate")
        assert (looked.planned, looked.looks, looked.confidence) == (2, 2, 0.975)
        assert looked.note == (
            "The study was planned anew after a look, which widens the intervals: 3 pairs with another rate."
        )
    assert (replan(4).planned, replan(4).looks) == (4, 3)
