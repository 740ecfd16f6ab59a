"""Experiments are run, found again, gone on with and judged: with scanned digits, in seconds."""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from resnext import api
from resnext.data.decode import DataError
from resnext.data.sources import read_splits
from resnext.experiments import EXPERIMENTS, Ledger, Place, judge
from resnext.experiments.jobs import Training, _find_set, add_shown_error
from resnext.experiments.ledger import step_times
from resnext.experiments.running import missing_jobs, run_jobs, tell_cost, write_plans
from resnext.results import append, read_lines
from resnext.run.locks import hold

CARDINALITY, SHARING = EXPERIMENTS["cardinality"], EXPERIMENTS["training_error"]


@pytest.fixture(autouse=True)
def _limits_of_a_small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it does at most is measured beside the rest, by less than there is to measure."""
    monkeypatch.setattr("resnext.timing.COPIED", 1 << 16)
    monkeypatch.setattr("resnext.timing.PRODUCT", {False: 64, True: 64})


def run(job: api.Job, place: Place) -> dict[str, Any]:
    """The line of `job` alone."""
    *_, ended = run_jobs([job], place)
    assert isinstance(ended, api.Ended)
    assert ended.line is not None
    return ended.line


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Where one seed of `cardinality` has been run."""
    root = tmp_path_factory.mktemp("experiments")
    place = Place(root / "results", root / "data", root / "runs", "cpu", 0)
    begun = [event for event in run_jobs(jobs(place), place) if isinstance(event, api.Begun)]
    assert [(event.number, event.total) for event in begun] == [(1, 2), (2, 2)]
    return place


def jobs(place: Place, experiment: api.Experiment = CARDINALITY, seeds: int = 1) -> list[api.Job]:
    return missing_jobs([experiment], "miniature", seeds, Ledger.read(place.results), place)


def test_what_has_been_run_is_not_run_again(place: Place) -> None:
    lines = read_lines(place.results / "miniature.jsonl")
    assert [(line["arm"], line["seed"]) for line in lines] == [("1x16d", 0), ("4x6d", 0)]
    assert jobs(place) == []
    assert jobs(place, SHARING) == []  # it has the same arms
    assert list(api.run_experiments(["cardinality"], "miniature", 1, place)) == []
    more = jobs(place, seeds=2)
    assert [(job.arm.name, job.recipe.seed) for job in more if isinstance(job, Training)] == [
        ("1x16d", 1),
        ("4x6d", 1),
    ]
    both = missing_jobs([CARDINALITY, SHARING], "miniature", 2, Ledger.read(place.results), place)
    assert both == more
    assert "everything" in tell_cost([], Ledger.read(place.results), place)
    assert "2 to run" in tell_cost(more, Ledger.read(place.results), place)


def test_another_recipe_is_another_run(place: Place) -> None:
    ledger = Ledger.read(place.results)
    arm = CARDINALITY.studies["miniature"].arms[0]
    assert list(ledger.trainings(arm)) == [0]
    for changed in (
        replace(arm.recipe, epochs=3),
        replace(arm.recipe, training=replace(arm.recipe.training, lr=0.1)),
    ):
        assert ledger.trainings(replace(arm, recipe=changed)) == {}
    assert ledger.trainings(replace(arm, data="cifar10")) == {}
    (line, *_) = read_lines(place.results / "miniature.jsonl")
    del line["recipe"]["training"]["dropout"]  # as written before there was such a setting
    assert Ledger([line]).trainings(arm) == {0: line}
    dropout = replace(arm.recipe.training, dropout=0.1)
    assert Ledger([line]).trainings(replace(arm, recipe=replace(arm.recipe, training=dropout))) == {}


def test_an_interrupted_run_goes_on_and_ends_as_if_undisturbed(place: Place, tmp_path: Path) -> None:
    job, _ = jobs(Place(tmp_path / "results", runs=tmp_path, device="cpu", workers=0))
    elsewhere = Place(tmp_path / "results", place.data, tmp_path / "runs", "cpu", 0)
    running = run_jobs([job], elsewhere)
    for event in running:
        if isinstance(event, api.Moved) and event.done == event.total // 2 + 2:  # in the second epoch
            running.close()
    assert read_lines(elsewhere.results / "miniature.jsonl") == []
    events = list(run_jobs([job], elsewhere))
    first = next(event for event in events if isinstance(event, api.Moved))
    assert first.done > 0
    assert isinstance(events[-1], api.Ended)
    line = events[-1].line
    assert line is not None
    undisturbed = read_lines(place.results / "miniature.jsonl")[0]
    assert line["metrics"] == undisturbed["metrics"]
    assert line["commit"] == undisturbed["commit"]


def test_processes_share_the_jobs_that_they_are_all_given(tmp_path: Path) -> None:
    """Of two generators that take turns, as two processes do, neither runs what the other has or had."""
    shared = Place(tmp_path / "results", tmp_path, tmp_path / "runs", "cpu", 0)
    both = jobs(shared)
    one, other = run_jobs(both, shared), run_jobs(both, shared)
    assert isinstance(begun := next(one), api.Begun)
    events = list(other)  # meanwhile, all that is left
    assert [event.job for event in events if isinstance(event, api.Begun)] == [both[1]]
    assert begun.job == both[0]
    assert [event.job for event in one if isinstance(event, api.Begun)] == []  # the other had done the rest
    assert [line["arm"] for line in read_lines(shared.results / "miniature.jsonl")] == ["4x6d", "1x16d"]


def test_nothing_is_timed_beside_a_training(tmp_path: Path) -> None:
    shared = Place(tmp_path / "results", tmp_path, tmp_path / "runs", "cpu", 0)
    training = run_jobs(jobs(shared), shared)
    assert isinstance(next(training), api.Begun)
    timing = jobs(shared, EXPERIMENTS["speed"])
    assert list(run_jobs(timing, shared)) == []
    training.close()
    assert any(isinstance(event, api.Ended) for event in run_jobs(timing, shared))


def test_findings_are_the_lines_figures(place: Place) -> None:
    (found,) = judge(CARDINALITY, "miniature", Ledger.read(place.results))
    lines = {line["arm"]: line for line in read_lines(place.results / "miniature.jsonl")}
    for arm in found.arms:
        assert arm.ours["top1_error"].mean == lines[arm.name]["metrics"]["test"]["top1_error"]
        assert (arm.params, arm.macs) == (lines[arm.name]["cost"]["params"], lines[arm.name]["cost"]["macs"])
    gain = found.findings[0]
    errors = [lines[name]["metrics"]["test"]["top1_error"] for name in ("1x16d", "4x6d")]
    assert gain.values == pytest.approx((errors[0] - errors[1],))
    assert gain.verdict == "not resolved"
    (training,) = judge(SHARING, "miniature", Ledger.read(place.results))
    assert training.findings[0].values == pytest.approx(
        (lines["1x16d"]["curve"][-1]["train_top1_error"] - lines["4x6d"]["curve"][-1]["train_top1_error"],)
    )
    assert judge(CARDINALITY, "laptop", Ledger.read(place.results))[0].is_run is False


def with_seeds(
    lines: list[dict[str, Any]], errors: dict[str, list[float]], planned: list[int]
) -> list[dict[str, Any]]:
    """The lines again with these errors for each seed, as if so many runs had been planned then."""
    made = []
    for line in lines:
        for seed, (error, plan) in enumerate(zip(errors[line["arm"]], planned, strict=True)):
            copy = json.loads(json.dumps(line)) | {"seed": seed, "planned": plan}
            copy["recipe"]["seed"] = seed
            copy["metrics"]["test"]["top1_error"] = error
            made.append(copy)
    return made


def test_more_runs_after_a_look_widen_the_interval(place: Place) -> None:
    lines = read_lines(place.results / "miniature.jsonl")
    errors = {"1x16d": [30.0, 31.0, 30.5, 30.2], "4x6d": [29.0, 30.2, 29.0, 29.1]}
    (once,) = judge(CARDINALITY, "miniature", Ledger(with_seeds(lines, errors, [4, 4, 4, 4])))
    (unfinished,) = judge(CARDINALITY, "miniature", Ledger(with_seeds(lines, errors, [5, 5, 5, 5])))
    (others,) = judge(SHARING, "miniature", Ledger(with_seeds(lines, errors, [4, 4, 4, 4])))
    assert unfinished.findings[0].verdict == "not finished"
    own_plan = SHARING.studies["miniature"].seeds
    assert len(others.findings[1].values) == own_plan
    (twice,) = judge(CARDINALITY, "miniature", Ledger(with_seeds(lines, errors, [2, 2, 4, 4])))
    assert (once.looks, twice.looks) == (1, 2)
    assert once.findings[0].values == twice.findings[0].values
    one, two = once.findings[0].ours, twice.findings[0].ours
    assert one is not None
    assert two is not None
    assert two.low < one.low < one.high < two.high
    assert once.findings[0].verdict == "holds"


def test_plans_of_an_experiment_that_shares_all_its_runs_are_written_and_count(
    place: Place, tmp_path: Path
) -> None:
    lines, shared = (
        read_lines(place.results / "miniature.jsonl"),
        Place(tmp_path, runs=tmp_path, device="cpu"),
    )
    errors = {"1x16d": [30.0, 31.0, 30.5, 30.2], "4x6d": [29.0, 30.2, 29.0, 29.1]}
    for line in with_seeds(lines, errors, [4, 4, 4, 4]):
        append(line, tmp_path / "miniature.jsonl")
    for _ in range(2):  # the second time they stand there
        write_plans([CARDINALITY, SHARING], "miniature", 4, Ledger.read(tmp_path), shared)
    plans = [line for line in read_lines(tmp_path / "miniature.jsonl") if line["kind"] == "plan"]
    # Its own number comes first: with as many runs done for another experiment, it could be looked at.
    assert [(line["experiment"], line["planned"]) for line in plans] == [(SHARING.name, 2), (SHARING.name, 4)]
    (found,) = judge(SHARING, "miniature", Ledger.read(tmp_path))
    assert (found.planned, found.looks, len(found.findings[0].values)) == (4, 2, 4)
    longer = tuple(
        replace(arm, recipe=replace(arm.recipe, epochs=3)) for arm in SHARING.studies["miniature"].arms
    )
    anew = replace(SHARING.studies["miniature"], arms=longer)
    assert Ledger.read(tmp_path).plans(SHARING.name, anew) == set()  # plans are of one recipe


def test_a_look_at_another_recipe_counts_and_fewer_runs_do_not(place: Place, tmp_path: Path) -> None:
    here = Place(tmp_path, runs=tmp_path, device="cpu")
    for line in read_lines(place.results / "miniature.jsonl"):
        append(line | {"planned": 2}, tmp_path / "miniature.jsonl")

    def plan(seeds: int | None, after: str = "") -> api.Findings:
        write_plans([CARDINALITY], "miniature", seeds, Ledger.read(tmp_path), here, after)
        (found,) = judge(CARDINALITY, "miniature", Ledger.read(tmp_path))
        return found

    once = plan(None)
    assert (once.planned, once.looks, once.confidence) == (2, 1, 0.95)
    assert len(missing_jobs([CARDINALITY], "miniature", None, Ledger.read(tmp_path), here)) == 2
    assert missing_jobs([CARDINALITY], "miniature", 1, Ledger.read(tmp_path), here) == []
    assert plan(1) == once  # what is planned stays so
    for _ in range(2):  # the second time it stands there
        looked = plan(None, "3 pairs with another rate")
        assert (looked.planned, looked.looks, looked.confidence) == (2, 2, 0.975)
        assert looked.note == "Planned anew after 3 pairs with another rate: that does not count here."
    assert (plan(4).planned, plan(4).looks) == (4, 3)


def test_a_set_that_another_process_makes_is_waited_for(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resnext.experiments.jobs.LOOK_EVERY_S", 0.01)
    elsewhere, made = replace(place, runs=tmp_path), tmp_path / "sets"
    made.mkdir()
    with ThreadPoolExecutor() as pool:
        with hold(made / "digits-5.lock"):
            waiting = [pool.submit(_find_set, "digits-5", elsewhere) for _ in range(2)]
            time.sleep(0.1)
            assert not any(one.done() for one in waiting)
        found = {one.result() for one in waiting}
    assert len(found) == 1
    assert len(read_splits(found.pop()).classes) == 5


def test_steps_are_timed_in_turns_and_found_by_machine(tmp_path: Path) -> None:
    speed, place = EXPERIMENTS["speed"], Place(tmp_path, runs=tmp_path, device="cpu")
    (job,) = jobs(place, speed)
    line = run(job, place)
    times = step_times(line)
    assert jobs(place, speed) == []
    append(line | {"device": "another"}, tmp_path / "miniature.jsonl")
    append({"kind": "bench", "timings": []}, tmp_path / "miniature.jsonl")  # of something else
    found = judge(speed, "miniature", Ledger.read(tmp_path))
    assert [one.devices for one in found] == [(line["device"],), ("another",)]
    ratio = times["resnext11_4x6d+template=16"].ratio_to(times["resnet11+template=16"]).median
    assert found[0].findings[0].values == pytest.approx((ratio,))


def test_the_error_among_shown_classes(tmp_path: Path) -> None:
    """Of five classes two are shown: the best of these two is the answer."""
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(5), 200).astype(np.float32)
    labels = rng.choice([1, 4], 200)
    table = pa.table({"label": labels, "probabilities": list(probabilities)})
    pq.write_table(table, tmp_path / "test.parquet")
    line: dict[str, Any] = {"metrics": {"test": {}}}
    add_shown_error(line, "test", tmp_path / "test.parquet")
    wrong = np.where(probabilities[:, 1] > probabilities[:, 4], 1, 4) != labels
    assert line["metrics"]["test"]["shown_top1_error"] == pytest.approx(100 * wrong.mean())
    everything: dict[str, Any] = {"metrics": {"test": {}}}
    pq.write_table(table.set_column(0, "label", [np.arange(200) % 5]), tmp_path / "test.parquet")
    add_shown_error(everything, "test", tmp_path / "test.parquet")
    add_shown_error(everything, "val", tmp_path / "val.parquet")  # there is none
    assert everything == {"metrics": {"test": {}}}


def test_a_network_that_diverges_leaves_a_line_and_its_seed_out(place: Place, tmp_path: Path) -> None:
    first, second = jobs(Place(tmp_path / "results", runs=tmp_path, device="cpu", workers=0))
    assert isinstance(first, Training)
    training = replace(first.recipe.training, lr=1e9)
    wild = replace(first, recipe=replace(first.recipe, training=training))
    elsewhere = Place(tmp_path / "results", place.data, tmp_path / "runs", "cpu", 0)
    ended = [event for event in run_jobs([wild, second], elsewhere) if isinstance(event, api.Ended)]
    assert "not finite" in ended[0].text()
    line, _ = read_lines(elsewhere.results / "miniature.jsonl")
    assert line["kind"] == "diverged"
    line["recipe"]["training"]["lr"] = first.recipe.training.lr  # as if its own recipe had
    whole = read_lines(place.results / "miniature.jsonl")
    second_seed = with_seeds(whole, {"1x16d": [30.0, 31.0], "4x6d": [29.0, 30.5]}, [2, 2])[1::2]
    ledger = Ledger([line, whole[1], *second_seed])
    assert missing_jobs([CARDINALITY], "miniature", 2, ledger, place) == []  # it would diverge again
    (found,) = judge(CARDINALITY, "miniature", ledger)
    assert found.diverged == ("1x16d, seed 0",)
    assert found.findings[0].values == (0.5,)
    assert found.findings[0].verdict == "diverged"


def test_a_network_that_diverges_takes_its_error_out_and_leaves_its_times(place: Place) -> None:
    experiment = EXPERIMENTS["equal_accuracy"]
    study = experiment.studies["miniature"]
    line = read_lines(place.results / "miniature.jsonl")[0]
    lines = []
    for arm, errors in zip(study.arms, ([30.0, 31.0], [29.0, 30.5]), strict=True):
        for made in with_seeds([line], {line["arm"]: errors}, [2, 2]):
            lines.append(made | {"arm": arm.name, "recipe": made["recipe"] | {"model": arm.model}})
    lost = {name: value for name, value in lines[3].items() if name not in ("curve", "metrics")}
    lines[3] = lost | {"kind": "diverged", "why": "the loss is not finite"}
    clock = study.clock
    assert clock is not None
    settings = {"batch": clock.batch, "size_px": clock.size_px, "rounds": clock.rounds, "order": "rotated"}
    for repeat in range(2):
        rows = [
            {"what": f"{arm.model}, eager", "seconds": [n, n, n]} for n, arm in enumerate(study.arms, start=1)
        ]
        about = {name: line[name] for name in ("device", "commit", "dirty", "scale")}
        timed = {"kind": "bench", "experiment": experiment.name, "seed": repeat, "planned": 2}
        lines.append(about | timed | {"settings": settings, "timings": rows})
    (found,) = judge(experiment, "miniature", Ledger(lines))
    by_error, by_time = found.findings
    assert (by_error.verdict, by_error.values) == ("diverged", (-1.0,))
    assert (by_time.ours and by_time.ours.n, by_time.values) == (2, (0.5, 0.5))
    assert [arm.ours["top1_error"].n for arm in found.arms] == [1, 1]  # of the seeds that both have
    assert [arm.ours["step_ratio"].n for arm in found.arms] == [2, 2]
    assert found.diverged == (f"{study.arms[1].name}, seed 1",)


def test_a_seed_that_is_missing_leaves_the_others_to_count(place: Place) -> None:
    lines = read_lines(place.results / "miniature.jsonl")
    errors = {"1x16d": [30.0, 31.0, 30.5], "4x6d": [29.0, 30.2, 29.0]}
    made = with_seeds(lines, errors, [3, 3, 3])
    gap = Ledger(line for line in made if (line["arm"], line["seed"]) != ("4x6d", 1))
    (found,) = judge(CARDINALITY, "miniature", gap)
    assert found.findings[0].values == pytest.approx((1.0, 1.5))
    assert [arm.ours["top1_error"].n for arm in found.arms] == [2, 2]
    (missing,) = missing_jobs([CARDINALITY], "miniature", None, gap, place)
    assert missing.text == "cardinality, 4x6d, seed 1"  # of as many as were planned last


def test_other_data_under_the_same_name_is_refused_before_it_trains(place: Place, tmp_path: Path) -> None:
    lines = read_lines(place.results / "miniature.jsonl")
    elsewhere = Place(tmp_path / "results", place.data, tmp_path / "runs", "cpu", 0)
    lines[0]["data"]["fingerprint"] = "of another"
    append(lines[0], elsewhere.results / "laptop.jsonl")
    with pytest.raises(DataError, match=r"digits: is another digits .*--results"):
        list(run_jobs(jobs(elsewhere, seeds=2)[:1], elsewhere))
    assert [path.name for path in elsewhere.runs.iterdir()] == ["locks"]


def test_what_cannot_be_timed_leaves_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no memory left")

    monkeypatch.setattr("resnext.bench.runs.step_call", broken)
    place = Place(tmp_path, runs=tmp_path, device="cpu")
    *_, ended = run_jobs(jobs(place, EXPERIMENTS["speed"]), place)
    assert isinstance(ended, api.Ended)
    assert re.match(r"speed: resnet11.* cannot be timed here.*no memory left", ended.text())
    assert read_lines(tmp_path / "miniature.jsonl") == []
