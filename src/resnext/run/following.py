"""A run that follows another one, from its model: what `--then` asks for."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path

from resnext.recipe import Recipe, named_recipe
from resnext.recipe.options import Resume, TrainOptions
from resnext.run.events import Event
from resnext.run.folder import Run, name_taken_error
from resnext.run.stop_signals import Stopped

#: The events of one run, as `train` gives them.
Training = Callable[[Recipe, TrainOptions], Generator[Event, None, Run]]


@dataclass(frozen=True)
class FollowingRun:
    """The run after another one: by the recipe called `then`, under the other's name with `-{then}` behind.

    Raises:
        RecipeError: There is no such recipe.

    >>> from pathlib import Path
    >>> following = FollowingRun("finetune", Recipe(seed=3), TrainOptions(name="pets", resume="auto"))
    >>> following.options(Path("runs/pets")).name
    'pets-finetune'
    """

    then: str
    recipe: Recipe
    """The recipe that the first run was asked to follow."""
    first: TrainOptions
    """Options of the first run."""

    def __post_init__(self) -> None:
        named_recipe(self.then)

    def options(self, folder: Path) -> TrainOptions:
        """Options of the run that follows the one in `folder`. Raises `UsageError` for a name too long."""
        resume: Resume = "never" if self.first.resume == "never" else "auto"
        name = f"{folder.name}-{self.then}"
        return replace(self.first, name=name, weights=folder, new_head=False, resume=resume)

    def check(self) -> None:
        """Refuse a name that is taken (`RunError`) or too long (`UsageError`), before the first run."""
        if self.first.name is not None:
            options = self.options(self.first.runs / self.first.name)
            if options.resume == "never" and (path := options.runs / (options.name or "")).exists():
                raise name_taken_error(path)

    def follow(self, run: Run, train: Training) -> Generator[Event, None, Run]:
        """Train after `run`, whose images are seen as they were there, by `train`.

        Raises:
            Stopped: On a signal. The same command goes on, with the name of the first run.
        """
        options, name = self.options(run.folder), run.folder.name
        asked = named_recipe(self.then)
        recipe = replace(asked, data=run.recipe.data, seed=run.recipe.seed, precision=self.recipe.precision)
        try:
            return (yield from train(recipe, options))
        except Stopped as error:
            raise Stopped(str(error).replace(f"--name {options.name} ", f"--name {name} ")) from None
