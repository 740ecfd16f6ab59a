"""`resnext train`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from tyro.conf import FlagCreatePairsOff, Positional, arg

from resnext.cli.command import Command
from resnext.cli.option_checks import check_data
from resnext.cli.screen import say
from resnext.errors import UsageError
from resnext.parsing import MAX_TOML_BYTES, read_text
from resnext.recipe import RECIPES, Recipe, RecipeError, TrainOptions, named_recipe, small, usual_recipe

if TYPE_CHECKING:
    from resnext.run import Choice


@dataclass(frozen=True)
class TrainCommand(Command):
    """Train a network on DATA and leave a run folder with the model in it."""

    name: ClassVar[str] = "train"
    is_distributed: ClassVar[bool] = True

    data: Annotated[Positional[str], arg(name="source", metavar="DATA")]
    """A folder of class folders (or of train/, val/, test/), a folder of {split}.parquet, .csv, .arrow or
    .tar, one such file, an .index, hf:owner/name, stream: before that or before .tar, .arrow or .parquet
    files, or `digits`."""
    recipe: Annotated[str | None, arg(metavar="|".join(RECIPES))] = None
    """Recipe that the settings below start from; left out, `finetune` with --weights and else `small`."""
    config: Path | None = None
    """A config.toml of an earlier run; it replaces the recipe."""
    then: Annotated[str | None, arg(metavar="|".join(RECIPES))] = None
    """Recipe of a second run, NAME-RECIPE, which goes on from the model of the first: `--recipe probe --then
    finetune` has a first result soon."""
    dry_run: Annotated[bool, FlagCreatePairsOff] = False
    """Only say what the data are, what is chosen and how long it takes; nothing is kept."""
    options: Annotated[TrainOptions, arg(name=""), FlagCreatePairsOff] = field(default_factory=TrainOptions)
    settings: Annotated[Recipe, arg(name="")] = field(default_factory=small)

    @property
    def is_resumable(self) -> bool:
        return True

    @property
    def memory_hint(self) -> str:
        return "try a smaller --batch, --data.size-px or --model"

    def run(self) -> None:
        check_data(self.data)
        from resnext.cli.output import note_workers  # they import torch
        from resnext.run import choose_recipe

        if self.dry_run and self.then:
            raise UsageError("--dry-run: is about one run; leave out --then")
        note_workers(self.options.workers)
        chosen = () if self.recipe or self.config else choose_recipe(self.options.weights)
        if self.dry_run:
            show_dry_run(self.data, self.settings, self.options, chosen)
        else:
            train_and_show(self.data, self.settings, self.options, chosen, self.then)


def train_and_show(
    data: str,
    recipe: Recipe,
    options: TrainOptions,
    chosen: tuple[Choice, ...] = (),
    then: str | None = None,
) -> Path:
    """Train, show what happens, end with the path of the report, and return the run folder; with `then`, that
    of the second run."""
    from resnext import api
    from resnext.display import TrainDisplay
    from resnext.progress import EventStream

    stream = EventStream(api.train_events(data, recipe, options, chosen, then))
    with TrainDisplay() as display:
        for event in stream:
            display.show(event)
    run = stream.result
    if not display.finished:
        say(f"{run.folder} had finished already; its result is in result.json")
    say(f"report     {run.folder / 'report.html'}")
    return run.folder


def show_dry_run(data: str, recipe: Recipe, options: TrainOptions, chosen: tuple[Choice, ...] = ()) -> None:
    """Show what training would, until it is known how long it takes."""
    from contextlib import closing

    from resnext.display import TrainDisplay
    from resnext.run import dry_run

    with TrainDisplay() as display, closing(dry_run(data, recipe, options, chosen)) as events:
        for event in events:
            display.show(event)
            if display.has_estimate:
                break
        else:
            say("time       seconds: it has just been trained to its end")
    say("dry run    nothing is kept; the same command without --dry-run trains")


def starting_recipe(argv: Sequence[str]) -> Recipe:
    """The recipe that the settings of `train` start from: the file after --config, the one after
    --recipe, or the usual one.

    Raises:
        RecipeError: If the file or the name gives no recipe.
        UsageError: If both are given, or the file cannot be read.
    """
    config, name = _value(argv, "--config"), _value(argv, "--recipe")
    if config and name:
        raise UsageError("--recipe: has no effect with --config; leave one of them out")
    return _read_config(config) if config else named_recipe(name or usual_recipe(_value(argv, "--weights")))


def _read_config(path: str) -> Recipe:
    try:
        return Recipe.from_toml(read_text(Path(path), MAX_TOML_BYTES))
    except RecipeError as error:
        raise RecipeError(f"--config {path}: {error}") from None
    except FileNotFoundError:
        raise UsageError(
            f"--config {path}: cannot be read: there is no such file; "
            f"`resnext recipes small > {path}` writes one"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"--config {path}: cannot be read ({reason}); give the config.toml of a run, such as "
            "runs/NAME/config.toml"
        ) from None


def _value(argv: Sequence[str], option: str) -> str | None:
    """The word after `option`, or after `option=`."""
    for word, following in zip(argv, [*argv[1:], None], strict=True):
        if word == option:
            return following
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return None
