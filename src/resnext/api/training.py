"""Training, and reports on it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import fields
from pathlib import Path
from typing import Any

from resnext.display import TrainDisplay
from resnext.errors import UsageError
from resnext.progress import ignore, run_to_end
from resnext.recipe import Recipe, TrainOptions, named_recipe, override, usual_recipe
from resnext.recipe.other_names import meant_by
from resnext.reporting import write_report
from resnext.run import Choice, Event, FollowingRun, Run, choose_recipe
from resnext.run import train as run_training
from resnext.run.folder import RunFolder
from resnext.run.stop_signals import StopRequest


def train(
    data: str | Path,
    recipe: str | Recipe | None = None,
    *,
    name: str | None = None,
    then: str | None = None,
    on_event: Callable[[Event], None] | None = None,
    **changes: Any,
) -> Run:
    """Train a network, write the report, and return the finished run.

    Args:
        data: A folder of images, a table, or another kind of DATA that the command line takes.
        recipe: A recipe or the name of one; `finetune` with `weights`, else `small`, if None.
        name: Name of the run; chosen from data and network if None.
        then: Recipe of a second run, which goes on from the model of the first and is returned, as `finetune`
            after `probe`. It is called as the first, with `-finetune` behind.
        on_event: Called with each event of the run (see `resnext.run.events`). If None, progress is shown
            on a terminal (of 60 columns or more) or in a notebook, and nothing is printed elsewhere.
        **changes: Fields of the recipe by their dotted names, with `__` for the dot (`epochs=3,
            training__lr=0.1`), and fields of `TrainOptions` (`device="cuda"`, `on_bad="skip"`).

    Raises:
        ResnextError: See `resnext.run.train`.

    >>> import resnext, tempfile
    >>> runs = tempfile.mkdtemp()
    >>> run = resnext.train("digits", model="resnet11+template=8", epochs=1, runs=runs)
    >>> sorted(run.result["metrics"])
    ['best_epoch', 'test', 'val']
    """
    names = {field.name for field in fields(TrainOptions)}
    for key in changes:
        if meant := meant_by(key, names):
            raise UsageError(f"there is no option {key!r}. Nearest: {meant}")
    options = TrainOptions(name=name, **{key: changes.pop(key) for key in tuple(changes) if key in names})
    chosen = choose_recipe(options.weights) if recipe is None else ()
    recipe = usual_recipe(options.weights) if recipe is None else recipe
    base = named_recipe(recipe) if isinstance(recipe, str) else recipe
    events = train_events(data, override(base, **changes), options, chosen, then)
    return run_to_end(events, on_event) if on_event is not None else _show(events)


def _show(events: Generator[Event, None, Run]) -> Run:
    """The result of `events`, which are shown on a terminal or in a notebook."""
    with TrainDisplay() as display:
        return run_to_end(events, display.show if display.is_live else ignore)


def train_events(
    data: str | Path,
    recipe: Recipe,
    options: TrainOptions | None = None,
    chosen: tuple[Choice, ...] = (),
    then: str | None = None,
) -> Generator[Event, None, Run]:
    """As `train`, yielding the events of the run, or of both (see `resnext.run.events`), while it trains.

    `chosen` are choices that the caller has made, to be told with the others.
    """
    options = options or TrainOptions()
    following = None if then is None else FollowingRun(then, recipe, options)
    if following is not None:
        following.check()
    run = yield from _train_one(data, recipe, options, chosen)
    if following is not None:
        run = yield from following.follow(run, lambda *given: _train_one(data, *given))
    return run


def _train_one(
    data: str | Path, recipe: Recipe, options: TrainOptions, chosen: tuple[Choice, ...] = ()
) -> Generator[Event, None, Run]:
    """One run, with its report."""
    run = yield from run_training(str(data), recipe, options, chosen=chosen)
    if run.is_main_process and not (run.folder / "report.html").exists():
        # A report takes seconds, and the run is finished: it is written although a stop is asked for.
        with StopRequest(), RunFolder(run.folder).name_loss():
            write_report([run.folder])
    return run
