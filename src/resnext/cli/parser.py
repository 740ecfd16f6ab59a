"""The words of a command line as a command with its options."""

from __future__ import annotations

import difflib
import functools
import operator
from collections.abc import Sequence
from typing import Annotated, Any

import tyro
from tyro.conf import subcommand

from resnext.cli.command import Command
from resnext.cli.commands import CHOSEN_BY_OPTION, COMMANDS
from resnext.cli.commands.train import TrainCommand, starting_recipe
from resnext.cli.option_names import check_options
from resnext.errors import UsageError

DESCRIPTION = (
    "Aggregated residual networks: train, evaluate and use an image classifier. "
    "`resnext --version` prints the version."
)
#: What may stand in the place of a command.
OPTIONS = ("--help", "-h", "--version")
#: What was meant by commands that other programs have.
MEANT = {
    **dict.fromkeys(("fit", "run", "finetune", "fine-tune"), "train"),
    **dict.fromkeys(("eval", "test", "val", "validate", "score"), "evaluate"),
    **dict.fromkeys(("infer", "inference", "classify", "label"), "predict"),
    **dict.fromkeys(("embeddings", "features", "encode", "extract"), "embed"),
    **dict.fromkeys(("list", "list-models", "networks"), "models"),
    **dict.fromkeys(("summary", "info", "show"), "describe"),
    **dict.fromkeys(("transform",), "convert"),
    **dict.fromkeys(("to-onnx", "onnx", "deploy"), "export"),
    **dict.fromkeys(("tune", "optimise"), "optimize"),
    **dict.fromkeys(("diff",), "compare"),
    **dict.fromkeys(("search", "nas"), "design"),
    **dict.fromkeys(("time", "speed", "profile"), "bench"),
    **dict.fromkeys(("help", "-help", "h"), "--help"),
    **dict.fromkeys(("version",), "--version"),
}


def parse(argv: Sequence[str]) -> Command:
    """The command that `argv` names, with its options.

    Prints the help and raises `SystemExit` where it is asked for, and where a word fits no option.

    Raises:
        UsageError: If there is no such command or option, or options cannot be used together.
        RecipeError: If the settings of `train` give no recipe.

    >>> parse(["models", "resnext29", "--json"])
    ModelsCommand(like='resnext29', json=True)
    """
    check_name(argv)
    for (name, option), chosen in CHOSEN_BY_OPTION.items():
        if argv[:1] == [name] and option in argv:
            words = [word for word in argv[1:] if word != option]
            check_options(chosen, words)
            return tyro.cli(chosen, prog=f"resnext {chosen.name}", args=words)
    for kind in COMMANDS:
        if argv[:1] == [kind.name]:
            check_options(kind, argv[1:])
    kinds: Any = functools.reduce(operator.or_, [_subcommand(kind, argv) for kind in COMMANDS])
    command: Command = tyro.cli(kinds, prog="resnext", description=DESCRIPTION, args=argv)
    return command


def check_name(argv: Sequence[str]) -> None:
    """Raise `UsageError` if the first word is neither a command nor an option."""
    names = [kind.name for kind in COMMANDS]
    if not argv or argv[0] in (*names, *OPTIONS):
        return
    is_option = argv[0].startswith("-")
    near = difflib.get_close_matches(argv[0], OPTIONS if is_option else names, n=1)
    near = [MEANT[argv[0]]] if argv[0] in MEANT else near
    hint = f"Is it {near[0]!r}?" if near else f"Commands: {', '.join(names)}"
    raise UsageError(f"there is no {'option' if is_option else 'command'} {argv[0]!r}. {hint}")


def _subcommand(kind: type[Command], argv: Sequence[str]) -> Any:
    """`kind` with its name; the settings of `train` start from the recipe that `argv` names."""
    if kind is TrainCommand and argv[:1] == [kind.name]:
        default = TrainCommand(data=tyro.MISSING, settings=starting_recipe(argv))
        return Annotated[kind, subcommand(kind.name, default=default)]
    return Annotated[kind, subcommand(kind.name)]
