"""The scripts for shells, as the shells themselves run them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from resnext.cli.commands import COMMANDS
from resnext.cli.commands.completion import CompletionCommand
from resnext.cli.commands.doctor import DoctorCommand
from resnext.cli.commands.train import TrainCommand
from resnext.cli.completion import SCRIPTS, completed
from resnext.cli.option_names import check_options, field_hints
from resnext.recipe import RECIPES

Script = Callable[[str], Path]
needs = {
    shell: pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed")
    for shell in SCRIPTS
}


@pytest.fixture
def script(tmp_path: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> Script:
    """`script(shell)` is the file that `resnext completion` prints for it."""

    def write(shell: str) -> Path:
        assert run("completion", shell) == 0
        path = tmp_path / f"resnext.{shell}"
        path.write_text(capsys.readouterr().out)
        return path

    return write


def offered_by_bash(path: Path, *words: str) -> list[str]:
    """What bash offers for the last of `words`."""
    code = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _resnext; echo "${COMPREPLY[@]}"'
    done = subprocess.run(
        ["bash", "--norc", "-c", code, "bash", str(path), "resnext", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


@needs["bash"]
def test_bash_completes_commands_options_and_choices(script: Script) -> None:
    path = script("bash")
    assert offered_by_bash(path, "") == [*(kind.name for kind in COMMANDS), "--help", "--version"]
    assert offered_by_bash(path, "ev") == ["evaluate"]
    assert offered_by_bash(path, "doctor", "--s") == ["--shard", "--self"]
    assert offered_by_bash(path, "train", "IMAGES", "--training.sched") == ["--training.schedule"]
    assert offered_by_bash(path, "train", "IMAGES", "--recipe", "") == [*RECIPES]
    assert offered_by_bash(path, "doctor", "IMAGES", "--fail-on", "l") == ["low"]
    assert offered_by_bash(path, "bench", "") == ["step", "infer", "data"]
    assert offered_by_bash(path, "bench", "step", "") == []  # bash then offers files
    assert offered_by_bash(path, "train", "") == []
    told = subprocess.run(
        ["bash", "--norc", "-c", 'source "$1"; complete -p resnext', "bash", str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "complete -o default -F _resnext resnext"


@needs["fish"]
def test_fish_completes_commands_options_and_choices(script: Script) -> None:
    path = script("fish")

    def offered(line: str) -> set[str]:
        code = f"source {path}; complete -C '{line}'"
        done = subprocess.run(["fish", "--no-config", "-c", code], capture_output=True, text=True, check=True)
        return {one.partition("\t")[0] for one in done.stdout.splitlines()}

    assert {kind.name for kind in COMMANDS} <= offered("resnext ")
    assert offered("resnext doctor IMAGES --fail-on l") == {"low"}
    assert offered("resnext doctor --s") == {"--self", "--shard"}
    assert {"step", "infer", "data"} <= offered("resnext bench ")


@needs["zsh"]
def test_zsh_reads_its_script(script: Script) -> None:
    path = script("zsh")
    assert path.read_text().startswith("#compdef resnext\n")
    subprocess.run(["zsh", "-n", str(path)], check=True)
    code = f"autoload -U compinit; compinit -D; source {path}; print ${{_comps[resnext]}}"
    done = subprocess.run(["zsh", "-f", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "_resnext\n"


def test_each_option_that_is_offered_is_one() -> None:
    for kind in COMMANDS:
        known = completed(kind)
        check_options(kind, known.options)
        assert known.choices.keys() <= {*known.options}
        assert not any(option.startswith("--.") for option in known.options)


def test_what_takes_a_value_and_what_does_not() -> None:
    train = completed(TrainCommand)
    assert {"--dry-run", "--new-head", "--help"} <= {*train.switches}
    assert not {"--epochs", "--recipe", "--training.lr"} & {*train.switches}
    assert completed(DoctorCommand, ["--self"]).options[-2:] == ("--self", "--help")


def test_every_shell_that_can_be_named_has_a_script() -> None:
    hint = field_hints(CompletionCommand)["shell"]
    assert get_args(get_args(hint)[0]) == (*SCRIPTS,)
