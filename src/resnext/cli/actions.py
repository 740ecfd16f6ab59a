"""What each verb does: one call of the public functions, and its outcome on the screen."""

from __future__ import annotations

import contextlib
import inspect
import json
import sys
import textwrap
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from resnext import api
from resnext.cli.display import Display, Progress, show_table
from resnext.cli.tables import open_writer
from resnext.cli.usage import UsageError, check_positive
from resnext.cli.verbs import (
    Demo,
    Evaluate,
    Index,
    Models,
    Predict,
    Recipes,
    Report,
    Train,
)
from resnext.data.decode import BadPicture
from resnext.data.sources import read_split
from resnext.recipe import RECIPES, named_recipe, override
from resnext.training.launcher import leads


def train(options: Train) -> None:
    """Train and tell; the last lines say how good it is and what to type next."""
    order = api.Order(
        data=options.data,
        recipe=options.settings,
        name=options.name,
        runs=options.runs,
        resume=options.resume,
        weights=options.weights,
        new_head=options.new_head,
        device=options.device,
        workers=options.workers,
        on_bad=options.on_bad,
        checkpoint_every=options.checkpoint_every,
        log=options.log,
    )
    _train(order)


def _train(order: api.Order) -> Path:
    display = Display()
    events = api.train_events(order)
    try:
        while True:
            display.show(next(events))
    except StopIteration as end:
        run: api.Run = end.value
    finally:
        display.close()
    if not display.finished:
        print(f"{run.folder} had finished already; its result stands in result.json")
    print(f"report     {run.folder / 'report.html'}")
    return run.folder


def evaluate(options: Evaluate) -> None:
    """Scores on the screen and as JSON."""
    if options.json is not None and not options.json.parent.is_dir():
        raise UsageError(f"--json {options.json}: there is no folder {options.json.parent}")
    progress = Progress("evaluating")
    try:
        evaluation = api.evaluate(
            options.model,
            options.data,
            split=options.split,
            device=options.device,
            on_bad=options.on_bad,
            workers=options.workers,
            views=options.views,
            progress=progress.update,
        )
    finally:
        progress.close()
    text = json.dumps(evaluation.to_json(), indent=2, ensure_ascii=False)
    if str(options.json) == "-":
        print(text)
        return
    if options.json is not None and leads():
        options.json.write_text(text + "\n", encoding="utf-8")
    scores = evaluation.scores
    console = Console(highlight=False)
    console.print(f"{scores.count:,} pictures of {evaluation.split}")
    if evaluation.split in ("all", "train"):
        there = "all there are" if evaluation.split == "all" else "those to train on"
        print(f"note: these are {there}; what was trained on among them flatters", file=sys.stderr)
    console.print(f"top-1 {100 - scores.top1_error:.2f} %  (error {scores.top1_error:.2f} %)")
    if scores.top5_error is not None:
        console.print(f"top-5 {100 - scores.top5_error:.2f} %  (error {scores.top5_error:.2f} %)")
    if len({row.count for row in scores.classes if row.count}) > 1:
        mean = 100 - scores.balanced_error
        console.print(f"mean  {mean:.2f} %  (of the classes' recalls: balanced accuracy)")
    console.print(f"loss  {scores.loss:.4f}")
    table = Table("class", box=None)
    for head in ("pictures", "precision", "recall", "F1"):
        table.add_column(head, justify="right")
    for row in scores.classes:
        values = [f"{100 * v:.1f} %" if row.count else "-" for v in (row.precision, row.recall, row.f1)]
        table.add_row(row.name, f"{row.count:,}", *values)
    console.print(table)
    _list_bad(evaluation.bad)


def predict(options: Predict) -> None:
    """One row a picture, as it comes; a table in a file on request."""
    if not options.pictures:
        raise UsageError("predict needs PICTURES: files, folders or globs")
    check_positive(options, "top")
    if options.out is not None and not options.out.parent.is_dir():
        raise UsageError(f"--out {options.out}: there is no folder {options.out.parent}")
    classifier = api.load(options.model, options.device)
    bad: list[BadPicture] = []
    classes = classifier.contract.classes
    width = max(map(len, classes))
    with contextlib.nullcontext() if options.out is None else open_writer(options.out, classes) as writer:
        for outcome in api.predict_many(
            classifier, options.pictures, workers=options.workers, views=options.views
        ):
            if isinstance(outcome, BadPicture):
                if options.on_bad == "fail":
                    raise outcome
                bad.append(outcome)
            elif writer is not None:
                writer.write(outcome)
            else:
                shown = "  ".join(
                    f"{name:<{width}} {100 * p:5.1f} %" for name, p in outcome.ranking[: options.top]
                )
                print(f"{outcome.key}  {'none of these: ' if outcome.rejected else ''}{shown}")
    if writer is not None:
        print(f"{writer.count:,} predictions in {options.out}")
    _list_bad(tuple(bad))


def report(options: Report) -> None:
    """Where the page lies."""
    if not options.folders:
        raise UsageError("report needs RUN: one finished run folder, or several to compare")
    if options.out is not None and not options.out.parent.is_dir():
        raise UsageError(f"--out {options.out}: there is no folder {options.out.parent}")
    print(api.write_report([Path(folder) for folder in options.folders], options.out))


def index(options: Index) -> None:
    """Where the index lies."""
    progress = Progress("looking at pictures")
    try:
        print(api.index_pictures(options.data, options.out, progress.update))
    finally:
        progress.close()


def recipes(options: Recipes) -> None:
    """Names and what their docstrings say; one recipe as TOML."""
    if options.like:
        print(named_recipe(options.like).to_toml(), end="")
        return
    for name, recipe in RECIPES.items():
        print(f"{name}\n{textwrap.indent(inspect.cleandoc(recipe.__doc__ or ''), '    ')}\n")


def models(options: Models) -> None:
    """Names and cost."""
    listed = api.list_models(options.like)
    if options.json:
        print(json.dumps([asdict(model) for model in listed], indent=2))
        return
    table = Table(box=None)
    table.add_column("network", no_wrap=True, overflow="fold")
    for head in ("parameters", "multiply-adds (M)", "activations (M)", "pixels", "classes"):
        table.add_column(head, justify="right")
    for model in listed:
        cost = model.cost
        numbers = (f"{cost.params:,}", f"{cost.macs / 1e6:,.0f}", f"{cost.activations / 1e6:.2f}")
        table.add_row(model.name, *numbers, str(model.size_px), str(model.classes))
    show_table(table)


def demo(options: Demo) -> None:
    """The main job on digits: train, evaluate on test, predict three pictures of it."""
    recipe = override(named_recipe("small"), seed=options.seed)
    folder = _train(api.Order("digits", recipe, runs=options.runs))
    classifier = api.load(folder)
    _, pictures = read_split("digits", classifier.contract.classes, "test")
    evaluation = api.evaluate(classifier, "digits")
    print(
        f"\n{100 - evaluation.scores.top1_error:.2f} % of {evaluation.scores.count} test pictures are right; "
        f"the run lies in {folder}"
    )
    print("three predictions:")
    examples = [0, 1, 2]
    for index, answer in zip(examples, classifier.predict([pictures.open(i) for i in examples]), strict=True):
        truth = pictures.classes[pictures.labels[index]]
        print(
            f"  test picture {pictures.keys[index]:>4}: {answer.label} "
            f"({100 * answer.probability:.1f} %), in truth {truth}"
        )


def _list_bad(bad: tuple[BadPicture, ...]) -> None:
    if bad:
        print(f"left out {len(bad)} pictures that cannot be read:", file=sys.stderr)
        for error in bad[:20]:
            print(f"  {error}", file=sys.stderr)
        if len(bad) > 20:
            print(f"  and {len(bad) - 20} more", file=sys.stderr)
