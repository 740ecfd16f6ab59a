"""experiments, compare and select as a user types them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from resnext import api
from resnext.cli import main
from resnext.experiments import EXPERIMENTS
from resnext.recipe import named_recipe, override
from resnext.run.locks import hold

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
    with hold(locks / "machine"):  # as if something were timed
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
    assert "laptop.jsonl: line 1 is no JSON" in capsys.readouterr().err


def test_compare_and_select(capsys: pytest.CaptureFixture[str], tmp_path: Path, make_folder: Any) -> None:
    make_folder(tmp_path / "data", {"a": 12, "b": 12, "c": 12})
    make_folder(tmp_path / "few" / "test", {"a": 2, "b": 2})
    assert (
        main(["select", str(tmp_path / "data"), str(tmp_path / "two"), "--like", str(tmp_path / "few")]) == 0
    )
    assert "24 pictures to train on, 4 as test" in capsys.readouterr().out
    recipe = override(named_recipe("small"), model="resnet11+template=8", epochs=1, batch=8)
    runs = [
        str(
            api.train(tmp_path / "two", recipe, name=f"r{lr}", runs=tmp_path / "runs", training__lr=lr).folder
        )
        for lr in (0.1, 0.2)
    ]
    assert main(["compare", *runs]) == 0
    out = capsys.readouterr().out
    assert "training.lr: 0.1 against 0.2" in out
    assert "p = " in out
    assert main(["compare", *runs, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pictures"] == 4
    assert main(["select", "digits", str(tmp_path / "x"), "--like", "digits", "--others", "-1"]) == 2
    assert "--others -1" in capsys.readouterr().err
    assert main(["compare", runs[0]]) == 2
    assert "two finished runs" in capsys.readouterr().err
