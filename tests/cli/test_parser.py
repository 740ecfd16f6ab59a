"""Command lines as commands with options."""

from __future__ import annotations

import typing
from dataclasses import fields
from pathlib import Path

import pytest

from resnext.cli.commands import COMMANDS
from resnext.cli.commands.experiments import ExperimentsCommand
from resnext.cli.commands.train import TrainCommand, starting_recipe
from resnext.cli.parser import parse
from resnext.errors import ResnextError, UsageError
from resnext.experiments import Scale
from resnext.recipe import TrainOptions, named_recipe, override


def test_train_has_the_options_of_a_run_and_the_settings_of_its_recipe() -> None:
    words = ["train", "digits", "--name", "x", "--weights", "w", "--new-head", "--workers", "3"]
    words += ["--resume", "auto", "--log", "wandb", "--epochs", "3", "--training.lr", "0.2"]
    command = parse(words)
    assert isinstance(command, TrainCommand)
    assert command.data == "digits"
    assert command.settings == override(named_recipe("finetune"), epochs=3, training__lr=0.2)
    options = TrainOptions("x", resume="auto", weights=Path("w"), new_head=True, workers=3, log=("wandb",))
    assert command.options == options


def test_every_option_of_a_run_can_be_typed() -> None:
    values = {"name": "x", "resume": "auto", "weights": "w", "log": "wandb", "workers": "1", "on_bad": "skip"}
    for field in fields(TrainOptions):
        words = [] if field.name == "new_head" else [values.get(field.name, "200")]
        words += ["--on-bad", "skip"] if field.name == "bad_budget" else []
        option = f"--{field.name.replace('_', '-')}"
        typed = parse(["train", "digits", "--name", "x", "--weights", "w", option, *words])
        assert isinstance(typed, TrainCommand)
        assert getattr(typed.options, field.name) != getattr(TrainOptions(), field.name), option


def test_weights_are_fine_tuned_where_no_recipe_is_named() -> None:
    for words, name in (([], "small"), (["--weights=w"], "finetune"), (["--recipe", "cifar"], "cifar")):
        assert starting_recipe(["train", "digits", *words]) == named_recipe(name)
    assert starting_recipe(["train", "digits", "--weights", "w", "--recipe", "small"]) == named_recipe(
        "small"
    )


def test_settings_start_from_the_recipe_or_the_file(tmp_path: Path) -> None:
    cifar = named_recipe("cifar")
    (tmp_path / "config.toml").write_text(cifar.to_toml())
    for words in (["--recipe", "cifar"], ["--recipe=cifar"], ["--config", str(tmp_path / "config.toml")]):
        command = parse(["train", "digits", *words, "--batch", "64"])
        assert isinstance(command, TrainCommand)
        assert command.settings == override(cifar, batch=64)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "config.toml: cannot be read"),
        ("epochs = 0", "config.toml: epochs: must be at least 1"),
        ("epochs =", "config.toml: not TOML"),
    ],
)
def test_a_bad_config_is_named(text: str | None, says: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "config.toml").write_text(text)
    with pytest.raises(ResnextError, match=says):
        starting_recipe(["train", "digits", "--config", str(tmp_path / "config.toml")])


def test_unknown_commands_get_the_nearest_or_all() -> None:
    with pytest.raises(UsageError, match=r"there is no command 'evalute'. Is it 'evaluate'\?"):
        parse(["evalute", "x"])
    with pytest.raises(UsageError, match=r"Commands: train, .*, demo"):
        parse(["xyzzy"])


def test_every_command_has_a_name_and_says_what_it_does() -> None:
    assert len({kind.name for kind in COMMANDS}) == len(COMMANDS)
    assert all((kind.__doc__ or "").split() for kind in COMMANDS)


def test_the_scales_are_those_of_the_experiments() -> None:
    scale = typing.get_type_hints(ExperimentsCommand)["scale"]
    assert typing.get_args(scale) == typing.get_args(Scale)
