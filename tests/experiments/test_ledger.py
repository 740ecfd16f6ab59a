"""Runs are found in the records by what was run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from resnext.experiments import EXPERIMENTS, Ledger, Workspace, judge
from resnext.experiments.runner import estimate_cost, missing_tasks
from resnext.records import RecordsError, append_record, read_records


def test_another_recipe_is_another_run(workspace: Workspace) -> None:
    ledger = Ledger.read(workspace.results)
    arm = EXPERIMENTS["cardinality"].studies["miniature"].arms[0]
    assert list(ledger.trainings(arm)) == [0]
    for changed in (
        replace(arm.recipe, epochs=3),
        replace(arm.recipe, training=replace(arm.recipe.training, lr=0.1)),
    ):
        assert ledger.trainings(replace(arm, recipe=changed)) == {}
    assert ledger.trainings(replace(arm, data="cifar10")) == {}
    (record, *_) = read_records(workspace.results / "miniature.jsonl")
    del record["recipe"]["training"]["dropout"]  # as written before there was such a setting
    assert Ledger([record]).trainings(arm) == {0: record}
    dropout = replace(arm.recipe.training, dropout=0.1)
    assert Ledger([record]).trainings(replace(arm, recipe=replace(arm.recipe, training=dropout))) == {}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kind": 3}, r"record\.kind: must be str"),
        ({"seed": "0"}, r"record\.seed: must be int"),
        ({"recipe": []}, r"record\.recipe: must be an object"),
        ({"data": {}}, "'fingerprint' is missing"),
        ({"metrics": {"val": {"top1_error": None}}}, r"record\.metrics\.val\.top1_error: must be float"),
        ({"curve": []}, r"record\.curve: empty"),
    ],
)
def test_a_record_that_lacks_something_is_named(
    change: dict[str, Any], says: str, workspace: Workspace, tmp_path: Path
) -> None:
    (record, *_) = [r for r in read_records(workspace.results / "miniature.jsonl") if r["kind"] == "train"]
    for one in (record, record | change):
        append_record(one, tmp_path / "x.jsonl")
    with pytest.raises(RecordsError, match=rf"x\.jsonl: record 2: .*{says}"):
        Ledger.read(tmp_path)


@pytest.mark.parametrize("kind", ["train", "bench", "plan"])
def test_whatever_a_record_lacks_no_reader_meets_it_unprepared(kind: str, tmp_path: Path) -> None:
    """Each record lacks one field, and is refused, or read to the end."""
    kept = Path(__file__).parents[2] / "results" / "experiments" / "laptop.jsonl"
    records = [record for record in read_records(kept) if "scale" in record]
    experiment = EXPERIMENTS[next(r["experiment"] for r in records if r["kind"] == kind)]
    own = [r for r in records if r["experiment"] == experiment.name]
    lacking = {name for r in own if r["kind"] == kind for name in r} - {"scale"}
    refused = set()
    for name in sorted(lacking):
        (tmp_path / "x.jsonl").unlink(missing_ok=True)
        for record in own:
            without = {key: value for key, value in record.items() if key != name}
            append_record(without if record["kind"] == kind else record, tmp_path / "x.jsonl")
        try:
            ledger = Ledger.read(tmp_path)
        except RecordsError:
            refused.add(name)
            continue
        judge(experiment, "laptop", ledger)
        workspace = Workspace(tmp_path, tmp_path / "data", tmp_path / "runs", "cpu", 0)
        estimate_cost(missing_tasks([experiment], "laptop", 9, ledger, workspace), ledger, workspace)
    assert {"kind", "experiment", "planned"} <= refused < lacking
