"""Runs are found in the records by what was run."""

from __future__ import annotations

from dataclasses import replace

from resnext.experiments import EXPERIMENTS, Ledger, Workspace
from resnext.records import read_records


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
