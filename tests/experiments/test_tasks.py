"""Tasks make their data sets, train or time, and leave records: with scanned digits, in seconds."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from resnext.bench.runner import STEP
from resnext.data.decode import DataError
from resnext.data.sources import read_splits
from resnext.experiments import EXPERIMENTS, Ledger, Task, TaskEnded, Workspace, judge
from resnext.experiments.ledger import step_times
from resnext.experiments.other_intervals import unpack_correct
from resnext.experiments.runner import missing_tasks, run_tasks
from resnext.experiments.tasks import TrainingTask, _make_shared_dataset, add_correct, add_shown_error
from resnext.records import append_record, read_records
from resnext.run.locks import lock_file
from resnext.training.distributed import ProcessGroup

CARDINALITY = EXPERIMENTS["cardinality"]
FindMissing = Callable[..., list[Task]]


def test_a_data_set_that_another_process_makes_is_waited_for(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resnext.experiments.tasks.CHECK_EVERY_S", 0.01)
    elsewhere, derived = replace(workspace, runs=tmp_path), tmp_path / "sets"
    derived.mkdir()
    with ThreadPoolExecutor() as pool:
        with lock_file(derived / "digits-5.lock"):
            waiting = [
                pool.submit(_make_shared_dataset, "digits-5", elsewhere, ProcessGroup()) for _ in range(2)
            ]
            time.sleep(0.1)
            assert not any(one.done() for one in waiting)
        found = {one.result() for one in waiting}
    assert len(found) == 1
    assert len(read_splits(found.pop()).classes) == 5


def test_other_data_under_the_same_name_are_refused_before_training(
    workspace: Workspace, elsewhere: Workspace, find_missing: FindMissing
) -> None:
    records = read_records(workspace.results / "miniature.jsonl")
    records[0]["data"]["fingerprint"] = "of another"
    append_record(records[0], elsewhere.results / "laptop.jsonl")
    with pytest.raises(DataError, match=r"digits: is another digits .*--results"):
        list(run_tasks(find_missing(elsewhere, seeds=2)[:1], elsewhere))
    assert [path.name for path in elsewhere.runs.iterdir()] == ["locks"]


def test_a_network_that_diverges_leaves_a_record_and_its_seed_out(
    workspace: Workspace, elsewhere: Workspace, find_missing: FindMissing, with_seeds: Any
) -> None:
    first, second = find_missing(elsewhere)
    assert isinstance(first, TrainingTask)
    training = replace(first.recipe.training, lr=1e9)
    wild = replace(first, recipe=replace(first.recipe, training=training))
    ended = [event for event in run_tasks([wild, second], elsewhere) if isinstance(event, TaskEnded)]
    assert "not finite" in ended[0].text()
    record, _ = read_records(elsewhere.results / "miniature.jsonl")
    assert record["kind"] == "diverged"
    assert record["experiment"] == "cardinality"
    record["recipe"]["training"]["lr"] = first.recipe.training.lr  # as if its own recipe had
    whole = read_records(workspace.results / "miniature.jsonl")
    second_seed = with_seeds(whole, {"1x16d": [30.0, 31.0], "4x6d": [29.0, 30.5]}, [2, 2])[1::2]
    ledger = Ledger([record, whole[1], *second_seed])
    assert missing_tasks([CARDINALITY], "miniature", 2, ledger, workspace) == []  # it would diverge again
    (found,) = judge(CARDINALITY, "miniature", ledger)
    assert found.diverged == ("1x16d, seed 0",)
    assert found.findings[0].values == (0.5,)
    assert found.findings[0].verdict == "diverged"


def test_the_error_among_shown_classes(tmp_path: Path) -> None:
    """Of five classes two occur: the more probable of these two is the prediction."""
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(5), 200).astype(np.float32)
    labels = rng.choice([1, 4], 200)
    table = pa.table({"label": labels, "probabilities": list(probabilities)})
    pq.write_table(table, tmp_path / "test.parquet")
    record: dict[str, Any] = {"metrics": {"test": {}}}
    add_shown_error(record, "test", tmp_path / "test.parquet")
    wrong = np.where(probabilities[:, 1] > probabilities[:, 4], 1, 4) != labels
    assert record["metrics"]["test"]["shown_top1_error"] == pytest.approx(100 * wrong.mean())
    everything: dict[str, Any] = {"metrics": {"test": {}}}
    pq.write_table(table.set_column(0, "label", [np.arange(200) % 5]), tmp_path / "test.parquet")
    add_shown_error(everything, "test", tmp_path / "test.parquet")
    add_shown_error(everything, "val", tmp_path / "val.parquet")  # there is none
    assert everything == {"metrics": {"test": {}}}


def test_a_record_says_which_images_were_classified_correctly(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    probabilities, labels = rng.dirichlet(np.ones(3), 21).astype(np.float32), rng.integers(3, size=21)
    table = pa.table({"label": labels, "probabilities": list(probabilities)})
    pq.write_table(table, tmp_path / "test.parquet")
    record: dict[str, Any] = {"metrics": {"test": {}}}
    add_correct(record, "test", tmp_path / "test.parquet")
    add_correct(record, "val", tmp_path / "val.parquet")  # there is none
    correct = unpack_correct(record["correct"]["test"], 21)
    assert correct.tolist() == [p.argmax() == label for p, label in zip(probabilities, labels, strict=True)]
    assert len(record["correct"]) == 1


def test_steps_are_timed_in_turns_and_found_by_machine(tmp_path: Path, find_missing: FindMissing) -> None:
    speed, workspace = EXPERIMENTS["speed"], Workspace(tmp_path, runs=tmp_path, device="cpu")
    (task,) = find_missing(workspace, speed)
    *_, ended = run_tasks([task], workspace)
    assert isinstance(ended, TaskEnded)
    record = ended.record
    assert record is not None
    times = step_times(record)
    assert find_missing(workspace, speed) == []
    append_record(record | {"device": "another"}, tmp_path / "miniature.jsonl")
    append_record({"kind": "bench", "timings": []}, tmp_path / "miniature.jsonl")  # of no experiment
    found = judge(speed, "miniature", Ledger.read(tmp_path))
    assert [one.devices for one in found] == [(record["device"],), ("another",)]
    ratio = times["resnext11_4x6d+template=16"].ratio_to(times["resnet11+template=16"]).median
    assert found[0].findings[0].values == pytest.approx((ratio,))


def test_what_cannot_be_timed_leaves_no_record(
    tmp_path: Path, find_missing: FindMissing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Any:
        raise RuntimeError("no memory left")

    monkeypatch.setattr("resnext.bench.runner.STEP", replace(STEP, call=broken))
    workspace = Workspace(tmp_path, runs=tmp_path, device="cpu")
    *_, ended = run_tasks(find_missing(workspace, EXPERIMENTS["speed"]), workspace)
    assert isinstance(ended, TaskEnded)
    assert re.match(r"speed: resnet11.* cannot be timed here.*no memory left", ended.text())
    assert read_records(tmp_path / "miniature.jsonl") == []
