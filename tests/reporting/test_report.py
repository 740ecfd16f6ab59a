"""The report of a run says what the run's files say, and nothing that it should not."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import resnext
from resnext.cli import main
from resnext.recipe import Recipe
from resnext.reporting import write_report
from resnext.reporting.run_summary import MISTAKES, RunSummary
from resnext.run import Run, RunError
from resnext.statistics import Rate, wilson


class Page(HTMLParser):
    """Tags, attributes and visible text of a page whose tags all close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.links: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href", "style")]
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_training_leaves_a_page_that_needs_nothing_else(run: Run, evil_name: str) -> None:
    text = (run.folder / "report.html").read_text()
    page = Page(text)
    assert "script" not in page.tags  # neither ours nor that of a class's name
    assert all("http" not in link for link in page.links)
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", text)
    assert "url(http" not in text
    assert "@import" not in text
    assert evil_name in page.text
    assert "49')" not in page.text  # no name is taken for a template
    assert len(text) < 3_000_000


def test_its_figures_are_those_of_evaluation(run: Run, data: Path) -> None:
    evaluation = resnext.evaluate(run.folder, data, split="test")
    page = Page((run.folder / "report.html").read_text()).text
    assert f"{100 - evaluation.scores.top1_error:.2f} % top-1 accuracy, test" in page
    assert "optimistic" not in page
    for row in evaluation.scores.classes:
        rates = " ".join(map(shown, (row.recalled, row.precise)))
        assert f"{row.name} 8 {rates} {100 * row.f1:.1f} % 6" in page  # 8 images to train on, 6 of test
    assert "33.33 % top-1 accuracy of always answering the most frequent training class" in page
    assert evaluation.majority is not None
    assert evaluation.majority.share == 6 / 18
    summary = RunSummary.read(run.folder)
    mistakes = list(summary.mistakes())
    assert len(mistakes) == min(MISTAKES, round(18 * evaluation.scores.top1_error / 100))
    assert [m.probability for m in mistakes] == sorted((m.probability for m in mistakes), reverse=True)
    assert all(Path(m.key).parts[0] == m.truth != m.predicted for m in mistakes)
    assert all(m.image for m in mistakes)
    assert summary.confusion.matrix().sum(axis=1).tolist() == [6, 6, 6]
    assert np.trace(summary.confusion.matrix()) == summary.correct.sum()


def shown(rate: Rate) -> str:
    """A rate of a class, and its interval, as the page has them."""
    return f"{100 * rate.share:.1f} % {rate.interval_text if rate.is_resolved else 'too few images'}"


def test_the_surest_images_are_told_as_they_are(run: Run) -> None:
    """By brute force: the nine surest of eighteen, and so on."""
    page = Page((run.folder / "report.html").read_text()).text
    outcomes = RunSummary.read(run.folder).outcomes
    order = np.argsort(-outcomes.confidence)
    for count, name in (
        (9, "The surest 50 % of images"),
        (14, "The surest 78 % of images"),
        (18, "All images"),
    ):
        least = (
            f" (confidence from {100 * outcomes.confidence[order[count - 1]]:.0f} %)" if count < 18 else ""
        )
        rate = Rate(int(outcomes.correct[order[:count]].sum()), count)
        assert f"{name}{least}: {100 * rate.share:.1f} % right, {rate.interval_text}." in page


def test_the_shares_of_the_time_make_up_the_whole(run: Run) -> None:
    page = Page((run.folder / "report.html").read_text()).text
    waits = run.result["waits"]
    assert waits["rest_s"] > 0
    times = page.split("Where the time went ")[1].split(" Training ")[0]
    shares = [float(share) for share in re.findall(r"([\d.]+) %", times)]
    assert shares[-1] == 100
    assert sum(shares[:-1]) == pytest.approx(100, abs=0.3)
    assert shares[4] == pytest.approx(100 * waits["rest_s"] / sum(waits.values()), abs=0.06)


def test_without_a_test_split_figures_are_called_optimistic(
    data: Path, tmp_path: Path, recipe: Recipe
) -> None:
    shutil.copytree(data, tmp_path / "data", ignore=shutil.ignore_patterns("test"))
    run = resnext.train(tmp_path / "data", recipe, name="x", runs=tmp_path)
    shutil.rmtree(tmp_path / "data")
    page = Page(write_report([run.folder], tmp_path / "again.html").read_text()).text
    assert "validation, optimistic" in page
    assert "top-1 accuracy, val" in page
    assert "not found" in page  # the images have gone; their names have not
    assert "0 & <b>.png" in page


def test_runs_side_by_side(run: Run, data: Path, capsys: pytest.CaptureFixture[str], recipe: Recipe) -> None:
    other = resnext.train(data, recipe, name="two", runs=run.folder.parent, seed=3, training__dropout=0.2)
    path = run.folder.parent / "comparison.html"
    assert main(["report", str(run.folder), str(other.folder)]) == 0
    assert str(path) in capsys.readouterr().out

    page = Page(path.read_text()).text
    assert "2 runs compared" in page
    assert "training.dropout 0.0 0.2" in page
    assert "seed 0 3" in page
    assert "data.flip" not in page  # the same in both
    one, two = (RunSummary.read(r.folder).correct for r in (run, other))
    assert f"two {int((two & ~one).sum())} {int((one & ~two).sum())}" in page


def test_a_run_that_fitted_the_head_shows_its_penalties(
    run: Run, data: Path, tmp_path: Path, recipe: Recipe
) -> None:
    probe = resnext.train(data, "probe", name="probe", epochs=2, weights=run.folder, runs=tmp_path)
    page = (probe.folder / "report.html").read_text()
    assert "The penalty of the head" in page
    best = probe.result["curve"][probe.result["metrics"]["best_epoch"] - 1]
    assert f"penalty {best['penalty']:.1e} of {len(probe.result['curve'])} that were tried" in page
    assert "features of each training image in 2 epochs, the first one plain" in page
    assert "loss with each penalty, on train and val" in page
    assert "peak rate" not in page
    beside = write_report([run.folder, probe.folder]).read_text()
    assert "<td><code>training.fits</code></td><td>network</td><td>head</td>" in beside


def test_folders_without_a_finished_run(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no finished run"):
        write_report([tmp_path])
    shutil.copytree(run.folder, tmp_path / "cut")
    (tmp_path / "cut" / "result.json").unlink()
    with pytest.raises(RunError, match="--name cut --resume must"):
        write_report([tmp_path / "cut"])
    shutil.copytree(run.folder, tmp_path / "damaged")
    (tmp_path / "damaged" / "predictions" / "test.parquet").write_bytes(b"PAR1")
    with pytest.raises(RunError, match=r"test\.parquet: cannot be read"):
        write_report([tmp_path / "damaged"])


def damage(path: Path, change: Any) -> None:
    """Change a JSON file by a function of its value, or replace its text."""
    if callable(change):
        value = json.loads(path.read_text())
        change = json.dumps(change(value) or value)
    path.write_text(change)


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("result.json", "[]", "result: must be an object"),
        ("result.json", "{", "not JSON"),
        ("result.json", lambda v: v["metrics"].pop("best_epoch") and None, "'best_epoch' is missing"),
        ("result.json", lambda v: v["metrics"].update(best_epoch=-1), "best_epoch: must be from 0"),
        ("result.json", lambda v: v["cost"].update(params="many"), "result.cost.params: must be int"),
        ("result.json", lambda v: v.update(waits=[1]), "result.waits: must be an object"),
        ("result.json", lambda v: v.update(versions={"torch": 2}), "result.versions.torch: must be str"),
        ("data.json", lambda v: v.update(counts={"train": -1}), "data.counts.train: must be from 0"),
        ("data.json", lambda v: v.update(train_counts=[1]), "data.train_counts: 1 values for the 3 classes"),
        ("data.json", lambda v: v.pop("fingerprint") and None, "'fingerprint' is missing"),
        ("environment.json", lambda v: v.update(data=["x"]), "environment.data: must be str"),
        ("contract.json", lambda v: v.update(classes=v["classes"][:2]), "values of classes"),
        ("contract.json", lambda v: v.update(classes=v["classes"][::-1]), "values of classes"),
        ("contract.json", lambda v: v["classes"].append(7), r"contract.classes\[3\]: must be str"),
        ("config.toml", "seed = 1.5", "seed"),
        ("metrics.jsonl", '{"step": 1, "epoch": 1, "val_loss": "low"}\n', "epoch 1"),
        ("metrics.jsonl", '{"step": 1, "epoch": 1, "val_loss": NaN}\n', "epoch 1"),
        ("metrics.jsonl", "[" * 10**5 + "\n", "line 1: nested more deeply"),
    ],
)
def test_a_damaged_run_is_named_with_file_and_field(
    name: str, change: Any, says: str, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(run.folder, tmp_path / "x")
    damage(tmp_path / "x" / name, change)
    for words in (["report", str(tmp_path / "x")], ["compare", str(run.folder), str(tmp_path / "x")]):
        assert main(words) == 2
        error = capsys.readouterr().err
        assert re.search(rf"{name}.*{says}", error), error
        assert "Traceback" not in error


@pytest.mark.parametrize("place", ["\0", "x" * 5000, "none/at/all", ""])
def test_data_that_are_nowhere_leave_images_out(place: str, run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.folder, tmp_path / "x")
    damage(tmp_path / "x" / "environment.json", lambda value: value.update(data=place))
    assert "not found" in Page(write_report([tmp_path / "x"]).read_text()).text


def test_images_of_the_hub_are_not_shown_and_that_is_said(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.folder, tmp_path / "x")
    damage(tmp_path / "x" / "environment.json", lambda value: value.update(data="hf:owner/name"))
    page = Page(write_report([tmp_path / "x"]).read_text()).text
    assert "not shown" in page
    assert "The images of hf:owner/name are not shown: a report uses no network." in page


def test_a_run_of_an_earlier_version_is_reported(run: Run, tmp_path: Path) -> None:
    """Without what was added since: waits, counts, commit, a field of a split."""
    shutil.copytree(run.folder, tmp_path / "x")
    damage(
        tmp_path / "x" / "result.json", lambda v: [v.pop(n) for n in ("waits", "commit", "dirty")] and None
    )
    new = ("counts", "train_counts", "skipped")
    damage(tmp_path / "x" / "data.json", lambda v: [v.pop(n) for n in new] and None)
    damage(tmp_path / "x" / "environment.json", "{}")
    page = Page(write_report([tmp_path / "x"]).read_text()).text
    assert "top-1 accuracy, test" in page
    assert "Where the time went" not in page
    assert "trained on" not in page
    assert "always answering" not in page
    shutil.copy(run.folder / "result.json", tmp_path / "x")
    damage(tmp_path / "x" / "result.json", lambda v: v["waits"].pop("rest_s") and None)
    page = Page(write_report([tmp_path / "x"]).read_text()).text
    assert "Where the time went" in page
    assert "the rest" not in page


def test_what_no_image_shows_is_not_judged(many_classes: Path, tmp_path: Path, run: Run) -> None:
    page = Page(write_report([run.folder], tmp_path / "few.html").read_text()).text
    assert "not judged" not in page
    assert "top-5" not in page  # of three classes
    right = int(RunSummary.read(run.folder).correct.sum())
    low, high = (100 * end for end in wilson(right, 18))
    assert f"top-1 accuracy, test; {low:.1f} to {high:.1f} % (95 %, Wilson)" in page
    page = Page(write_report([many_classes], tmp_path / "many.html").read_text()).text
    assert "not judged: no image of it in test" in page
    assert "top-5 accuracy" in page
