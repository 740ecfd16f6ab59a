"""`resnext experiments`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from resnext.cli import main
from resnext.experiments import EXPERIMENTS
from resnext.run.locks import lock_file

pytestmark = pytest.mark.usefixtures("no_reports")


def words(where: Path, *more: str) -> list[str]:
    places = (
        "--results",
        str(where / "results"),
        "--runs",
        str(where / "runs"),
        "--data",
        str(where / "data"),
    )
    return ["experiments", *more, *places, "--device", "cpu"]


def test_the_list_and_the_cost(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(words(tmp_path, "list")) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in EXPERIMENTS)
    assert "0 of 20" in out  # four arms of `cardinality`, five seeds
    assert main(words(tmp_path, "run", "cardinality", "--dry-run")) == 0
    out = capsys.readouterr().out
    assert "20 to run" in out
    assert "cardinality, 8x5d, seed 4" in out
    assert main(words(tmp_path, "run", "cardinality", "--dry-run", "--seeds", "3")) == 0
    assert "12 to run" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_run_and_report(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run = words(tmp_path, "run", "training_error", "--scale", "miniature", "--seeds", "1")
    assert main(run) == 0
    out = capsys.readouterr().out
    assert "1/2 training_error, 1x16d, seed 0" in out
    assert "not resolved  4x6d has a lower training error than 1x16d" in out  # one run shows nothing
    assert main(run) == 0
    assert "everything has been run" in capsys.readouterr().out
    (tmp_path / "page").mkdir()
    for name in ("block.svg", "cifar-gpu-bars.svg"):
        (tmp_path / "page" / name).write_text("x")
    assert main([*words(tmp_path, "report"), "--out", str(tmp_path / "page.md")]) == 0
    assert (tmp_path / "page" / "block.svg").exists()  # not a plot of ours
    assert not (tmp_path / "page" / "cifar-gpu-bars.svg").exists()
    page = (tmp_path / "page.md").read_text()
    plot = tmp_path / "page" / "training_error-miniature-curves.svg"
    assert f"(page/{plot.name})" in page
    assert plot.read_text().startswith("<?xml")
    html = tmp_path / "page.html"
    assert main([*words(tmp_path, "report"), "--html", "--out", str(html)]) == 0
    assert "<h1>Results</h1>" in html.read_text()
    assert html.read_text().count("<svg") == page.count("](page/")
    plan, line, _ = map(json.loads, (tmp_path / "results" / "miniature.jsonl").read_text().splitlines())
    assert (plan["kind"], plan["planned"]) == ("plan", 1)
    assert main([*run, "--after", "a look at 2 epochs"]) == 0
    assert "planned 2 times, so intervals of 97.5 %" in capsys.readouterr().out
    assert "run speed --scale miniature" not in page  # which shows nothing that it lacks
    assert f"{line['metrics']['test']['top1_error']:.2f}, n = 1" in page
    assert "Not run: `resnext experiments run cardinality --scale paper`" in page


def test_what_another_process_has_is_left_to_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    locks = tmp_path / "runs" / "locks"
    locks.mkdir(parents=True)
    with lock_file(locks / "machine"):  # as if something were timed
        assert main(words(tmp_path, "run", "cardinality", "--scale", "miniature", "--seeds", "1")) == 0
    assert "2 left: another process" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["run", "cardinalty"], 2, "Nearest: cardinality"),
        (["run", "cardinality", "--seeds", "0"], 2, "--seeds 0"),
        (["run", "cardinality"], 3, "cifar10: is not there. The experiment needs CIFAR-10"),
        (["report", "--out", "nowhere/page.md"], 2, "there is no folder nowhere"),
        (["report", "--out", "docs"], 2, "must end in .md"),
        (["report", "cardinality"], 2, "leave out the names"),
        (["run", "--after", "a look"], 2, "name them, as in run cardinality"),
    ],
)
def test_what_is_wrong_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, more: list[str], code: int, said: str
) -> None:
    assert main(words(tmp_path, *more)) == code
    assert said in capsys.readouterr().err


def test_damaged_lines_are_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "laptop.jsonl").write_text("{\n{}\n")
    assert main(words(tmp_path, "list")) == 3
    assert "laptop.jsonl: line 1: not JSON" in capsys.readouterr().err
