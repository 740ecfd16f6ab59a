"""What the tests of experiments share: one seed of `cardinality` at `miniature`, and records made of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from resnext.experiments import EXPERIMENTS, Experiment, Ledger, Task, TaskStarted, Workspace
from resnext.experiments.ledger import Record
from resnext.experiments.runner import missing_tasks, run_tasks

FindMissing = Callable[..., list[Task]]
WithSeeds = Callable[[list[Record], dict[str, list[float]], list[int]], list[Record]]


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of the machine are measured with small arrays: no test needs their values."""
    monkeypatch.setattr("resnext.timing.COPIED_VALUES", 1 << 16)
    monkeypatch.setattr("resnext.timing.MATRIX_SIDE", {"cpu": 64, "gpu": 64})


@pytest.fixture(scope="session")
def find_missing() -> FindMissing:
    """`find_missing(workspace, experiment, seeds)` finds missing tasks at `miniature`."""

    def find(
        workspace: Workspace, experiment: Experiment = EXPERIMENTS["cardinality"], seeds: int = 1
    ) -> list[Task]:
        return missing_tasks([experiment], "miniature", seeds, Ledger.read(workspace.results), workspace)

    return find


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory, find_missing: FindMissing) -> Workspace:
    """Where one seed of `cardinality` has been run."""
    root = tmp_path_factory.mktemp("experiments")
    workspace = Workspace(root / "results", root / "data", root / "runs", "cpu", 0)
    events = list(run_tasks(find_missing(workspace), workspace))
    started = [event for event in events if isinstance(event, TaskStarted)]
    assert [(event.number, event.total) for event in started] == [(1, 2), (2, 2)]
    return workspace


@pytest.fixture
def elsewhere(workspace: Workspace, tmp_path: Path) -> Workspace:
    """The same data sets, without records or runs."""
    return Workspace(tmp_path / "results", workspace.data, tmp_path / "runs", "cpu", 0)


@pytest.fixture(scope="session")
def with_seeds() -> WithSeeds:
    """`with_seeds(records, errors, planned)` repeats records with an error and a plan for each seed."""

    def repeat(records: list[Record], errors: dict[str, list[float]], planned: list[int]) -> list[Record]:
        made = []
        for record in records:
            for seed, (error, plan) in enumerate(zip(errors[record["arm"]], planned, strict=True)):
                copy = json.loads(json.dumps(record)) | {"seed": seed, "planned": plan}
                copy["recipe"]["seed"] = seed
                copy["metrics"]["test"]["top1_error"] = error
                made.append(copy)
        return made

    return repeat
