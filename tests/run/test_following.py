"""A run that follows another: from its model, on its images, resumed by the same words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from resnext import api
from resnext.errors import UsageError
from resnext.recipe import Recipe, RecipeError, TrainOptions, named_recipe, override
from resnext.run import FollowingRun, Run, RunError, RunFinished, RunStarted, StepEnd, Stopped
from resnext.run.stop_signals import stopped

pytestmark = pytest.mark.usefixtures("no_reports")
PROBE = override(named_recipe("probe"), epochs=2, batch=4, seed=3, data__flip=0.25)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, make_folder: Any) -> Path:
    root: Path = make_folder(tmp_path_factory.mktemp("pets"), {"cat": 10, "dog": 10})
    return root


@pytest.fixture(scope="module")
def weights(data: Path, tmp_path_factory: pytest.TempPathFactory, no_reports: None) -> Path:
    small = override(named_recipe("small"), model="resnet11+template=8", epochs=1, batch=4)
    return api.train(data, small, runs=tmp_path_factory.mktemp("runs")).folder


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fine-tuning of one epoch, which changes nothing to speak of."""
    quick = override(
        named_recipe("finetune"), epochs=1, batch=4, training__lr=1e-12, training__batch_norm="frozen"
    )
    monkeypatch.setattr(
        "resnext.run.following.named_recipe", lambda name: quick if name == "finetune" else named_recipe(name)
    )


@pytest.mark.usefixtures("short")
def test_it_starts_from_the_model_of_the_first_and_sees_its_images(
    data: Path, weights: Path, tmp_path: Path
) -> None:
    events: list[Any] = []
    options = {"name": "pets", "runs": tmp_path, "weights": weights}
    run = api.train(data, PROBE, then="finetune", on_event=events.append, **options)
    first, second = Run(tmp_path / "pets"), run
    assert run.folder == tmp_path / "pets-finetune"
    assert second.recipe.data == first.recipe.data
    assert (second.recipe.seed, second.recipe.training.fits) == (3, "network")
    started = [event for event in events if isinstance(event, RunStarted)]
    assert {choice.field: choice.value for choice in started[1].choices}["head"] == "that of the weights"
    assert sum(isinstance(event, RunFinished) for event in events) == 2
    one, other = (api.load(folder, "cpu").network.state_dict() for folder in (first.folder, second.folder))
    assert all(torch.allclose(one[name], other[name], atol=1e-6) for name in one)
    origin = json.loads((second.folder / "data.json").read_text())["weights"]
    assert (Path(origin["path"]), origin["new_head"]) == ((tmp_path / "pets").resolve(), False)


@pytest.mark.usefixtures("short")
def test_the_same_words_go_on_in_either_run(data: Path, weights: Path, tmp_path: Path) -> None:
    words: dict[str, Any] = {"name": "pets", "runs": tmp_path, "weights": weights, "resume": "auto"}
    kinds: tuple[type[Any], ...] = (RunStarted, StepEnd)
    for kind in kinds:  # left in the first run, then in the second
        events = api.train_events(data, PROBE, TrainOptions(**words), then="finetune")
        while not isinstance(next(events), kind):
            pass
        events.close()
    assert Run(tmp_path / "pets").result["metrics"]
    assert not (tmp_path / "pets-finetune" / "result.json").exists()
    run = api.train(data, PROBE, then="finetune", **words)
    assert run.result["metrics"]
    assert api.train(data, PROBE, then="finetune", **words).folder == run.folder  # nothing is left to do


def test_a_stop_in_the_second_run_names_the_first_which_the_same_command_resumes(tmp_path: Path) -> None:
    folder = tmp_path / "pets"
    folder.mkdir()
    (folder / "config.toml").write_text(Recipe().to_toml())

    def train(recipe: Recipe, options: TrainOptions) -> Any:
        assert options.name == "pets-finetune"
        raise stopped("SIGTERM", "step 3 of 9", options.name)
        yield

    following = FollowingRun("finetune", PROBE, TrainOptions(runs=tmp_path))
    with pytest.raises(Stopped, match="step 3 of 9; the same command with --name pets --resume auto"):
        next(following.follow(Run(folder), train))


def test_what_hinders_the_second_run_is_told_before_the_first(
    data: Path, weights: Path, tmp_path: Path
) -> None:
    (tmp_path / "pets-finetune").mkdir()
    for name, then, error, says in (
        ("pets", "finetune", RunError, "pets-finetune: a run of this name exists"),
        ("p" * 195, "finetune", UsageError, "must be the short name of one folder"),
        ("pets", "finetun", RecipeError, "Nearest: finetune"),
    ):
        with pytest.raises(error, match=says):
            api.train(data, PROBE, name=name, then=then, runs=tmp_path, weights=weights)
        assert not (tmp_path / "pets").exists()
