"""A dry run says what a training would, and leaves nothing behind."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from resnext.errors import UsageError
from resnext.recipe import TrainOptions, named_recipe, override
from resnext.run import RunError, RunStarted, StepEnd, train
from resnext.run.dry_run import dry_run

RECIPE = override(named_recipe("small"), model="resnet11+template=8", epochs=2, batch=8, data__size_px=16)


@pytest.fixture
def data(tmp_path: Path, make_folder: Any) -> str:
    return str(make_folder(tmp_path / "images", {"cat": 20, "dog": 12}))


def everything(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def test_it_decides_and_trains_as_training_would(data: str, tmp_path: Path) -> None:
    before = everything(tmp_path)
    dry = list(dry_run(data, RECIPE, TrainOptions(runs=tmp_path / "runs")))
    assert everything(tmp_path) == before
    wet = list(train(data, RECIPE, TrainOptions(runs=tmp_path / "runs")))
    [planned] = [event for event in dry if isinstance(event, RunStarted)]
    [started] = [event for event in wet if isinstance(event, RunStarted)]
    # The folder's name too; the load of the machine is another from moment to moment.
    assert replace(planned, notes=()) == replace(started, notes=())
    losses = [[e.step.loss.item() for e in events if isinstance(e, StepEnd)] for events in (dry, wet)]
    assert losses[0] == losses[1]


def test_it_can_be_left_at_any_event(data: str, tmp_path: Path) -> None:
    before = everything(tmp_path)
    with closing(dry_run(data, RECIPE, TrainOptions(runs=tmp_path / "runs", name="pets"))) as events:
        for event in events:
            if isinstance(event, StepEnd):
                break
    assert everything(tmp_path) == before


def test_what_a_new_run_could_not_be_called(data: str, tmp_path: Path) -> None:
    (tmp_path / "runs" / "pets").mkdir(parents=True)
    with pytest.raises(RunError, match="a run of this name exists"):
        list(dry_run(data, RECIPE, TrainOptions(runs=tmp_path / "runs", name="pets")))
    with pytest.raises(UsageError, match="--dry-run: is about a new run"):
        list(dry_run(data, RECIPE, TrainOptions(runs=tmp_path / "runs", name="pets", resume="auto")))


def test_the_command_shows_classes_choices_and_time(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from resnext.cli.main import main

    monkeypatch.chdir(tmp_path)
    before = everything(tmp_path)
    words = f"train {data} --dry-run --model resnet11+template=8 --batch 4 --epochs 30 --data.size-px 16"
    assert main(words.split()) == 0
    said = capsys.readouterr().out
    assert "classes    cat  16 train  2 val  2 test\n           dog  10 train  1 val  1 test\n" in said
    assert "chosen     data.flip" in said
    assert "time       about" in said
    assert said.rstrip().endswith("nothing is kept; the same command without --dry-run trains")
    assert "epoch" not in said.partition("machine ")[2]
    assert everything(tmp_path) == before
    capsys.readouterr()
    assert main(words.replace("--epochs 30", "--epochs 1").split()) == 0
    assert "it has just been trained to its end" in capsys.readouterr().out
