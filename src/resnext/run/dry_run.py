"""A dry run: everything that a training decides, and its first steps for the time, without a run folder."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from resnext.errors import UsageError
from resnext.recipe import Recipe
from resnext.recipe.options import TrainOptions
from resnext.run.autoconfig import Choice
from resnext.run.events import EpochEnd, Event, HeadFitted, RunFinished, RunStarted
from resnext.run.folder import name_taken_error
from resnext.run.train import train


def dry_run(
    data: str, recipe: Recipe, options: TrainOptions, chosen: tuple[Choice, ...] = ()
) -> Generator[Event, None, None]:
    """The events of a training that goes on until its generator is closed, and of which nothing is kept.

    Args:
        data: DATA, as on the command line.
        recipe: What to train and how.
        options: Options beside the recipe; no logger is started.
        chosen: As of `train`.

    Raises:
        UsageError: `options` resume a run.
        ResnextError: What training would raise; see `resnext.run.train`.
    """
    if options.resume != "never":
        raise UsageError("--dry-run: is about a new run; leave out --resume")
    if options.name is not None and (options.runs / options.name).exists():
        raise name_taken_error(options.runs / options.name)
    with tempfile.TemporaryDirectory() as draft:
        kept_nowhere = replace(options, runs=Path(draft), name=None, log=())
        with closing(train(data, recipe, kept_nowhere, chosen=chosen)) as events:
            for event in events:
                if isinstance(event, RunStarted):
                    yield replace(event, folder=options.runs / (options.name or event.folder.name))
                elif not isinstance(event, EpochEnd | HeadFitted | RunFinished):
                    yield event
