"""Findings are what the records say, by the seeds and the looks that count."""

from __future__ import annotations

from typing import Any

import pytest

from resnext.experiments import EXPERIMENTS, Ledger, Workspace, judge
from resnext.experiments.runner import missing_tasks
from resnext.records import read_records

CARDINALITY, SHARING = EXPERIMENTS["cardinality"], EXPERIMENTS["training_error"]


def test_findings_are_the_figures_of_the_records(workspace: Workspace) -> None:
    (found,) = judge(CARDINALITY, "miniature", Ledger.read(workspace.results))
    records = {record["arm"]: record for record in read_records(workspace.results / "miniature.jsonl")}
    for arm in found.arms:
        record = records[arm.name]
        assert arm.ours["top1_error"].mean == record["metrics"]["test"]["top1_error"]
        assert (arm.params, arm.macs) == (record["cost"]["params"], record["cost"]["macs"])
    gain = found.findings[0]
    errors = [records[name]["metrics"]["test"]["top1_error"] for name in ("1x16d", "4x6d")]
    assert gain.values == pytest.approx((errors[0] - errors[1],))
    assert gain.verdict == "not resolved"
    (training,) = judge(SHARING, "miniature", Ledger.read(workspace.results))
    curves = [records[name]["curve"][-1]["train_top1_error"] for name in ("1x16d", "4x6d")]
    assert training.findings[0].values == pytest.approx((curves[0] - curves[1],))
    assert judge(CARDINALITY, "laptop", Ledger.read(workspace.results))[0].is_run is False


def test_more_runs_after_a_look_widen_the_interval(workspace: Workspace, with_seeds: Any) -> None:
    records = read_records(workspace.results / "miniature.jsonl")
    errors = {"1x16d": [30.0, 31.0, 30.5, 30.2], "4x6d": [29.0, 30.2, 29.0, 29.1]}
    (once,) = judge(CARDINALITY, "miniature", Ledger(with_seeds(records, errors, [4, 4, 4, 4])))
    (unfinished,) = judge(CARDINALITY, "miniature", Ledger(with_seeds(records, errors, [5, 5, 5, 5])))
    (others,) = judge(SHARING, "miniature", Ledger(with_seeds(records, errors, [4, 4, 4, 4])))
    assert unfinished.findings[0].verdict == "not finished"
    own_plan = SHARING.studies["miniature"].seeds
    assert len(others.findings[1].values) == own_plan
    (twice,) = judge(CARDINALITY, "miniature", Ledger(with_seeds(records, errors, [2, 2, 4, 4])))
    assert (once.looks, twice.looks) == (1, 2)
    assert once.findings[0].values == twice.findings[0].values
    one, two = once.findings[0].ours, twice.findings[0].ours
    assert one is not None
    assert two is not None
    assert two.low < one.low < one.high < two.high
    assert once.findings[0].verdict == "holds"


def test_a_network_that_diverges_takes_its_error_out_and_leaves_its_times(
    workspace: Workspace, with_seeds: Any
) -> None:
    experiment = EXPERIMENTS["equal_accuracy"]
    study = experiment.studies["miniature"]
    record = read_records(workspace.results / "miniature.jsonl")[0]
    records = []
    for arm, errors in zip(study.arms, ([30.0, 31.0], [29.0, 30.5], [29.5, 30.0]), strict=True):
        for made in with_seeds([record], {record["arm"]: errors}, [2, 2]):
            records.append(made | {"arm": arm.name, "recipe": made["recipe"] | {"model": arm.model}})
    lost = {name: value for name, value in records[3].items() if name not in ("curve", "metrics")}
    records[3] = lost | {"kind": "diverged", "why": "the loss is not finite"}
    timing = study.timing
    assert timing is not None
    settings = {"batch": timing.batch, "size_px": timing.size_px, "rounds": timing.rounds, "order": "rotated"}
    for repeat in range(2):
        rows = [
            {"what": f"{arm.model}, eager", "seconds": [n, n, n]} for n, arm in enumerate(study.arms, start=1)
        ]
        labels = {name: record[name] for name in ("device", "commit", "dirty", "scale")}
        timed = {"kind": "bench", "experiment": experiment.name, "seed": repeat, "planned": 2}
        records.append(labels | timed | {"settings": settings, "timings": rows})
    (found,) = judge(experiment, "miniature", Ledger(records))
    by_error, control, by_time = found.findings
    assert (by_error.verdict, by_error.values) == ("diverged", (-1.0,))
    assert control.values == (-0.5, -1.0)
    assert (by_time.ours and by_time.ours.n, by_time.values) == (2, (0.5, 0.5))
    assert [arm.ours["top1_error"].n for arm in found.arms] == [1, 1, 1]  # of the seeds that all have
    assert [arm.ours["step_ratio"].n for arm in found.arms if "step_ratio" in arm.ours] == [2, 2]
    assert found.diverged == (f"{study.arms[1].name}, seed 1",)


def test_a_seed_that_is_missing_leaves_the_others_to_count(workspace: Workspace, with_seeds: Any) -> None:
    records = read_records(workspace.results / "miniature.jsonl")
    errors = {"1x16d": [30.0, 31.0, 30.5], "4x6d": [29.0, 30.2, 29.0]}
    made = with_seeds(records, errors, [3, 3, 3])
    gap = Ledger(record for record in made if (record["arm"], record["seed"]) != ("4x6d", 1))
    (found,) = judge(CARDINALITY, "miniature", gap)
    assert found.findings[0].values == pytest.approx((1.0, 1.5))
    assert [arm.ours["top1_error"].n for arm in found.arms] == [2, 2]
    (missing,) = missing_tasks([CARDINALITY], "miniature", None, gap, workspace)
    assert missing.text == "cardinality, 4x6d, seed 1"  # of as many as were planned last


def test_a_control_that_passes_makes_its_claim_void(workspace: Workspace, with_seeds: Any) -> None:
    experiment = EXPERIMENTS["equal_accuracy"]
    study = experiment.studies["miniature"]
    record = read_records(workspace.results / "miniature.jsonl")[0]
    for control, void in ((29.0, True), (60.0, False)):
        records = []
        for arm, error in zip(study.arms, (30.0, 29.0, control), strict=True):
            for made in with_seeds([record], {record["arm"]: [error, error + 0.1]}, [2, 2]):
                records.append(made | {"arm": arm.name, "recipe": made["recipe"] | {"model": arm.model}})
        (found,) = judge(experiment, "miniature", Ledger(records))
        equal, other, _ = found.findings
        assert equal.verdict == "holds"
        assert other.verdict == ("holds" if void else "reversed")
        assert equal.void_by == (other.claim if void else "")
        assert ("void" in found.remark(equal)) == void
