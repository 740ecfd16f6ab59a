"""The page about a run says what the run's files say, and nothing that it should not."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from resnext import api
from resnext.cli import main
from resnext.metrics import reliability
from resnext.recipe import named_recipe, override
from resnext.reporting import figures
from resnext.reporting.account import MISTAKES, Account
from resnext.reporting.claims_page import page
from resnext.results import Finding, Findings, Interval, Statement, Verdict, paired_test
from resnext.run import RunError

RECIPE = override(named_recipe("small"), model="resnet11+template=8", epochs=2, batch=8)
EVIL = "<script>alert('$x_1$ & {{ 7 * 7 }}')<"  # a legal name of a folder


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


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, make_folder: Any) -> Path:
    """Three classes that no network can tell apart, one with an evil name, with a test split."""
    root: Path = tmp_path_factory.mktemp("data")
    for split, count in (("train", 8), ("val", 4), ("test", 6)):
        for number, name in enumerate((EVIL, "b", "c")):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                noise = np.random.default_rng((number, i, count)).integers(0, 256, (16, 16, 3), np.uint8)
                Image.fromarray(noise).save(root / split / name / f"{i} & <b>.png")
    return root


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> api.Run:
    return api.train(data, RECIPE, name="one", runs=tmp_path_factory.mktemp("runs"))


def test_training_leaves_a_page_that_needs_nothing_else(run: api.Run) -> None:
    text = (run.folder / "report.html").read_text()
    page = Page(text)
    assert "script" not in page.tags  # neither ours nor that of a class's name
    assert all("http" not in link for link in page.links)
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", text)
    assert "url(http" not in text
    assert "@import" not in text
    assert EVIL in page.text
    assert "49')" not in page.text  # no name is taken for a template
    assert len(text) < 3_000_000


def test_its_figures_are_those_of_evaluation(run: api.Run, data: Path) -> None:
    evaluation = api.evaluate(run.folder, data, split="test")
    page = Page((run.folder / "report.html").read_text()).text
    assert f"{100 - evaluation.scores.top1_error:.2f} % top-1 right, test" in page
    assert "optimistic" not in page
    for row in evaluation.scores.classes:
        assert f"{row.name} {100 * row.precision:.1f} % {100 * row.recall:.1f} % {100 * row.f1:.1f} %" in page
    account = Account.read(run.folder)
    mistakes = list(account.mistakes())
    assert len(mistakes) == min(MISTAKES, round(18 * evaluation.scores.top1_error / 100))
    assert [m.probability for m in mistakes] == sorted((m.probability for m in mistakes), reverse=True)
    assert all(Path(m.key).parts[0] == m.truth != m.answer for m in mistakes)
    assert all(m.picture for m in mistakes)
    assert account.confusion.sum(axis=1).tolist() == [6, 6, 6]
    assert np.trace(account.confusion) == account.right.sum()


def test_a_picture_is_shown_only_where_one_alone_is_called_so(
    run: api.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As keys of tables may stand twice, which picture was meant nobody knows."""
    account = Account.read(run.folder)
    pictures = account._pictures()
    assert pictures is not None
    key, twice = pictures.keys[0], pictures.keys[1]
    assert account._thumbnails([key, twice]).keys() == {key, twice}
    pictures.keys = [*pictures.keys[:2], twice, *pictures.keys[3:]]
    monkeypatch.setattr(Account, "_pictures", lambda _: pictures)
    assert account._thumbnails([key, twice]).keys() == {key}


def test_without_a_test_split_figures_are_called_optimistic(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "data", ignore=shutil.ignore_patterns("test"))
    run = api.train(tmp_path / "data", RECIPE, name="x", runs=tmp_path)
    shutil.rmtree(tmp_path / "data")
    page = Page(api.write_report([run.folder], tmp_path / "again.html").read_text()).text
    assert "validation, optimistic" in page
    assert "top-1 right, val" in page
    assert "not found" in page  # the pictures have gone; their names have not
    assert "0 & <b>.png" in page


def test_runs_side_by_side(run: api.Run, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = api.train(data, RECIPE, name="two", runs=run.folder.parent, seed=3, training__dropout=0.2)
    path = run.folder.parent / "comparison.html"
    assert main(["report", str(run.folder), str(other.folder)]) == 0
    assert str(path) in capsys.readouterr().out

    page = Page(path.read_text()).text
    assert "2 runs compared" in page
    assert "training.dropout 0.0 0.2" in page
    assert "seed 0 3" in page
    assert "data.flip" not in page  # the same in both
    one, two = (Account.read(r.folder).right for r in (run, other))
    assert f"two {int((two & ~one).sum())} {int((one & ~two).sum())}" in page


def test_two_recipes_by_two_seeds_each(run: api.Run, data: Path, tmp_path: Path) -> None:
    """The figures are those of the runs' own answers; the order in which they are given decides only which
    recipe is the first."""
    runs = [
        run.folder,
        api.train(data, RECIPE, runs=tmp_path, seed=1).folder,
        *(api.train(data, RECIPE, runs=tmp_path, seed=s, training__dropout=0.2).folder for s in (1, 0)),
    ]
    comparison = api.compare(runs)
    assert comparison.differing == {"training.dropout": ("0.0", "0.2")}
    assert comparison.seeds == ((0, 0), (1, 1))
    first, other, second_1, second_0 = (Account.read(path).right for path in runs)
    assert comparison.tests == (paired_test(first, second_0), paired_test(other, second_1))
    gains = [100 * (b.mean() - a.mean()) for a, b in ((first, second_0), (other, second_1))]
    assert comparison.across is not None
    assert comparison.across.mean == pytest.approx(np.mean(gains))
    assert comparison.bootstrap.difference == pytest.approx(np.mean(gains))
    assert "training.dropout: 0.0 against 0.2" in comparison.lines()
    back = api.compare(runs[::-1])
    assert back.bootstrap.difference == pytest.approx(-comparison.bootstrap.difference)
    alone = api.compare([runs[0], runs[3]])
    assert alone.across is None
    assert "one seed says nothing" in alone.lines()[-1]
    seeds = api.compare(runs[:2])  # two runs may differ in anything
    assert seeds.differing == {}
    assert seeds.seeds == ((0, 1),)
    with pytest.raises(RunError, match="1 different recipes"):
        api.compare([runs[0], runs[1], runs[0]])
    with pytest.raises(RunError, match="seed 1 was run by one recipe only"):
        api.compare([runs[0], runs[1], runs[3]])
    with pytest.raises(RunError, match="same recipe and seed"):
        api.compare([runs[0], runs[1], runs[3], runs[3]])


def test_folders_without_a_finished_run(run: api.Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no finished run"):
        api.write_report([tmp_path])
    shutil.copytree(run.folder, tmp_path / "cut")
    (tmp_path / "cut" / "result.json").unlink()
    with pytest.raises(RunError, match="--name cut --resume must"):
        api.write_report([tmp_path / "cut"])
    shutil.copytree(run.folder, tmp_path / "damaged")
    (tmp_path / "damaged" / "predictions" / "test.parquet").write_bytes(b"PAR1")
    with pytest.raises(RunError, match=r"test\.parquet: cannot be read"):
        api.write_report([tmp_path / "damaged"])


def test_the_calibration_error_is_scikit_learn_s() -> None:
    from sklearn.calibration import calibration_curve

    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([0.5] * 4, 3000).astype(np.float32)
    labels = np.array([rng.choice(4, p=row / row.sum()) for row in probabilities.astype(np.float64)])
    ours = reliability(probabilities, labels, bins=10)
    right, confidence = probabilities.argmax(1) == labels, probabilities.max(1)
    accuracy, mean = calibration_curve(right, confidence, n_bins=10)
    assert np.allclose([one.accuracy for one in ours.bins], accuracy)
    assert np.allclose([one.confidence for one in ours.bins], mean)
    assert sum(one.count for one in ours.bins) == 3000
    assert ours.ece < 0.03  # the labels were drawn as the probabilities say
    assert reliability(probabilities, (probabilities.argmax(1) + 1) % 4).ece == pytest.approx(
        confidence.mean(), abs=1e-6
    )


def test_the_paired_test_is_a_fair_coin_s() -> None:
    first = np.array([True] * 10 + [False] * 10)
    second = np.array([True] * 8 + [False] * 2 + [True] * 7 + [False] * 3)
    test = paired_test(first, second)
    assert (test.better, test.worse) == (7, 2)
    assert test.p == pytest.approx(2 * sum((36, 9, 1)) / 2**9)
    assert paired_test(first, first).p == 1.0


def test_many_classes_still_make_a_small_page() -> None:
    counts = np.random.default_rng(0).integers(0, 9, (1000, 1000))
    assert len(figures.confusion_plot(counts, [f"class {i}" for i in range(1000)])) < 1_000_000
    assert figures.shorten("n02123045 tabby, tabby cat") == "n02123045 …bby cat"


def test_the_answer_to_a_statement_shows_every_scale_whatever_came_out_there() -> None:
    def findings(scale: str, verdict: Verdict, ours: Interval | None) -> Findings:
        finding = Finding("b is lower than a", "top1_error", "points", 1.7, (), ours, verdict)
        setting = f"{scale}'s set at 8 px"
        return Findings(
            "one", "B is lower", "here", scale, setting, "", 3, 1, 0.95, (), (), (finding,), devices=("x",)
        )

    found = [
        findings("paper", "not run", None),
        findings("gpu", "not resolved", Interval(0.2, 0.4, 3, -0.8, 1.2, 0.95)),
        findings("laptop", "holds", Interval(2.0, 0.2, 3, 1.5, 2.5, 0.95)),
        findings("miniature", "reversed", Interval(-2.0, 0.2, 3, -2.5, -1.5, 0.95)),
    ]
    text, _ = page([found], [Statement("B is lower", "table 1", experiment="one")], "plots")
    (row,) = [line for line in text.splitlines() if line.startswith("| B is lower")]
    answers = [
        "gpu, gpu's set at 8 px:",
        "b is lower than a: +0.20 points (-0.80 to +1.20), n = 3: **not resolved**",
        "laptop, laptop's set at 8 px:",
        "b is lower than a: +2.00 points (+1.50 to +2.50), n = 3: **holds**",
    ]
    commands = [f"`resnext experiments run one --scale {scale}`" for scale in ("gpu", "laptop")]
    assert row == f"| B is lower | table 1 | {'<br>'.join(answers)} | {'<br>'.join(commands)} |"
