"""The options that are known before the parser runs are those that it takes."""

from __future__ import annotations

import contextlib
import io
import re

import pytest

from resnext.cli import main
from resnext.cli.command import Command
from resnext.cli.commands import COMMANDS
from resnext.cli.commands.predict import PredictCommand
from resnext.cli.commands.train import TrainCommand
from resnext.cli.option_names import check_options, option_names, positional_names
from resnext.cli.parser import MEANT
from resnext.errors import UsageError
from resnext.recipe.other_names import OTHER_NAMES


def options_in_help(name: str) -> set[str]:
    """The options that the help of a command lists."""
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        assert main([name, "--help"]) == 0
    lines = [line.strip("│| ") for line in shown.getvalue().splitlines()]
    listed = (re.findall(r"--([a-z][\w.-]*\w)", line) for line in lines if re.match("-h,|--[a-z]", line))
    return {option for options in listed for option in options}


@pytest.mark.parametrize("kind", COMMANDS)
def test_the_options_are_those_of_the_help(kind: type[Command], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")  # one column
    listed = options_in_help(kind.name)
    assert "help" in listed
    known = {name.replace("_", "-") for name in option_names(kind)}
    assert {name for name in known if ".no-" not in name} <= listed <= known | {"help"}
    check_options(kind, [f"--{name}" for name in sorted(listed)])


def test_what_is_let_through() -> None:
    for words in (["a.png", "--out=x.csv"], ["--on_bad", "skip"], ["-h"], ["--", "--no-option"], ["-1"]):
        check_options(PredictCommand, words)
    assert positional_names(PredictCommand) == {"model": "MODEL", "images": "IMAGES"}


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("--batch-size=8", r"--batch-size of `resnext train`\. Is it --batch\? `resnext train --help` lists"),
        ("--flip", r"Is it --data\.flip\?"),
        ("--output", r"Is it --runs\?"),
        ("--xyzzy", r"there is no option --xyzzy of `resnext train`; `resnext train --help` lists all"),
        ("--source", "there is no option --source"),
    ],
)
def test_what_was_meant(typed: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        check_options(TrainCommand, ["digits", typed])


def test_every_other_name_means_something_that_there_is() -> None:
    every = {name for kind in COMMANDS for name in option_names(kind)}
    assert {ours for names in OTHER_NAMES.values() for ours in names} <= every
    assert not OTHER_NAMES.keys() & every - {"size", "base"}
    commands = {kind.name for kind in COMMANDS}
    assert {meant for meant in MEANT.values() if not meant.startswith("-")} <= commands
    assert not MEANT.keys() & commands
