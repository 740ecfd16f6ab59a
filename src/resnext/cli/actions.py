"""What each verb does: one call of the public functions, and its outcome on the screen."""

from __future__ import annotations

import inspect
import json
import re
import sys
import textwrap
from dataclasses import asdict
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from resnext import api
from resnext.arch import Architecture, ArchitectureError
from resnext.cli.display import Display, Progress
from resnext.cli.tables import open_writer
from resnext.cli.verbs import (
    Convert,
    Demo,
    Describe,
    Design,
    Evaluate,
    Models,
    Predict,
    Recipes,
    Report,
    Train,
)
from resnext.contract import ContractError
from resnext.cost import Cost
from resnext.data.decode import BadPicture, DataError
from resnext.data.hub import SourceMissing
from resnext.data.sources import read_split
from resnext.engine import ModelError
from resnext.recipe import RECIPES, RecipeError, named_recipe, override
from resnext.run import DeviceError, LoggerMissing, RunError, Stopped
from resnext.training.checkpoints import CheckpointError
from resnext.training.loop import Diverged
from resnext.weights import WeightsError

#: Cardinalities that `design --like` takes unless others are said: the paper's, and the next.
LIKE = (1, 2, 4, 8, 16, 32, 64)
EXIT_CODES: dict[type[Exception], int] = {
    ArchitectureError: 2,
    RecipeError: 2,
    ModelError: 2,
    RunError: 2,
    DataError: 3,
    WeightsError: 4,
    ContractError: 4,
    Diverged: 4,
    DeviceError: 5,
    LoggerMissing: 5,
    SourceMissing: 5,
    api.DesignError: 4,
    Stopped: 75,
    CheckpointError: 4,
}


def is_out_of_memory(error: Exception) -> bool:
    """Has torch, or Python, asked for more memory than there is?"""
    allocator = isinstance(error, RuntimeError) and "not enough memory" in str(error)
    return allocator or isinstance(error, MemoryError | torch.OutOfMemoryError)


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
        raise RunError(f"--json {options.json}: there is no folder {options.json.parent}")
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
    scores = evaluation.scores
    console = Console(highlight=False)
    console.print(f"{scores.count:,} pictures of {evaluation.split}")
    console.print(f"top-1 {100 - scores.top1_error:.2f} %  (error {scores.top1_error:.2f} %)")
    if scores.top5_error is not None:
        console.print(f"top-5 {100 - scores.top5_error:.2f} %  (error {scores.top5_error:.2f} %)")
    console.print(f"loss  {scores.loss:.4f}")
    table = Table("class", box=None)
    for head in ("pictures", "precision", "recall", "F1"):
        table.add_column(head, justify="right")
    for row in scores.classes:
        values = [f"{100 * v:.1f} %" if row.count else "-" for v in (row.precision, row.recall, row.f1)]
        table.add_row(row.name, f"{row.count:,}", *values)
    console.print(table)
    _list_bad(evaluation.bad)
    if options.json is not None:
        options.json.write_text(text + "\n", encoding="utf-8")


def predict(options: Predict) -> None:
    """One row a picture, as it comes; a table in a file on request."""
    if not options.pictures:
        raise RunError("predict needs PICTURES: files, folders or globs")
    if options.top < 1:
        raise RunError(f"--top {options.top}: must be at least 1")
    if options.out is not None and not options.out.parent.is_dir():
        raise RunError(f"--out {options.out}: there is no folder {options.out.parent}")
    classifier = api.load(options.model, options.device)
    bad: list[BadPicture] = []
    width = max(map(len, classifier.contract.classes))
    with open_writer(options.out, classifier.contract.classes) as writer:
        for outcome in api.predict_many(
            classifier, options.pictures, workers=options.workers, views=options.views
        ):
            if isinstance(outcome, BadPicture):
                if options.on_bad == "fail":
                    raise outcome
                bad.append(outcome)
            elif options.out is not None:
                writer.write(outcome)
            else:
                shown = "  ".join(
                    f"{name:<{width}} {100 * p:5.1f} %" for name, p in outcome.ranking[: options.top]
                )
                print(f"{outcome.key}  {'none of these: ' if outcome.rejected else ''}{shown}")
    if options.out is not None:
        print(f"{writer.count:,} predictions in {options.out}")
    _list_bad(tuple(bad))


def report(options: Report) -> None:
    """Where the page lies."""
    if not options.folders:
        raise RunError("report needs RUN: one finished run folder, or several to compare")
    if options.out is not None and not options.out.parent.is_dir():
        raise RunError(f"--out {options.out}: there is no folder {options.out.parent}")
    print(api.write_report([Path(folder) for folder in options.folders], options.out))


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
    console = Console(highlight=False)
    console.print(table, width=None if console.is_terminal else 120)


def describe(options: Describe) -> None:
    """The table; the drawing of the block in a file."""
    description = api.describe(options.model, options.classes, options.size_px)
    if options.figure is not None:
        options.figure.write_text(api.draw_block(Architecture.from_name(options.model)), encoding="utf-8")
    if options.json:
        print(json.dumps(description.to_json(), indent=2))
        return
    table = Table(box=None, title=f"{description.name}, {description.size_px} px", title_justify="left")
    table.add_column("stage")
    table.add_column("output", justify="right")
    table.add_column("template", no_wrap=True)
    table.add_column("")
    for head in ("parameters", "multiply-adds (M)", "activations (M)", "traffic (MB)"):
        table.add_column(head, justify="right")
    for row in description.rows:
        times = f"x {row.repeats}" if row.stage.startswith("stage") else ""
        output = f"{row.channels}x{row.output_px}x{row.output_px}"
        table.add_row(row.stage, output, "\n".join(row.template), times, *_costs(row.cost))
    table.add_row("all", "", "", "", *_costs(description.cost))
    _wide(table)


def design(options: Design) -> None:
    """A table of networks, each of which `train --model` takes."""
    targets = {name: _count(name, getattr(options, name)) for name in ("params", "macs", "activations")}
    given = [name for name, value in targets.items() if value is not None]
    if options.latency_ms is not None:
        given.append("latency_ms")
    if not given and options.like is None:
        raise RunError("design needs a budget: --like, --params, --macs, --activations or --latency-ms")
    if given and options.like is not None:
        raise RunError(f"--like sets the budget; leave out --{given[0].replace('_', '-')}")
    base = Architecture.from_name(options.like or options.base, options.classes)
    cardinalities = options.cardinality or (LIKE if options.like else None)
    space = api.Space(base, frozenset(options.vary), options.size_px, cardinalities)
    if options.like is not None:
        block = api.Space(base, frozenset(), options.size_px).block_params[0]
        budget = api.Budget(block_params=int(block))
    else:
        budget = api.Budget(
            params=targets["params"],
            macs=targets["macs"],
            activations=targets["activations"],
            latency_ms=options.latency_ms,
            pictures=options.batch,
            tolerance=options.tolerance,
        )
    if options.sample is not None:
        if budget.latency_ms is not None or budget.block_params is not None:
            raise RunError("--sample draws under --params, --macs and --activations only")
        found = api.sample_networks(space, budget, options.sample, options.seed)
    else:
        found = api.design_networks(space, budget, options.limit)
    if options.time or options.plot is not None:
        found = api.time_designs(space, found, options.batch)
    if options.plot is not None:
        api.write_design_plot(
            [d.arch.name for d in found],
            [d.cost.macs for d in found],
            [d.latency_ms or 0.0 for d in found],
            [d.arch.cardinality for d in found],
            options.plot,
        )
    if options.json:
        rows = [{"name": d.arch.name, "deviation": d.deviation, "latency_ms": d.latency_ms} for d in found]
        print(json.dumps([r | asdict(d.cost) for r, d in zip(rows, found, strict=True)], indent=2))
        return
    table = Table(box=None)
    table.add_column("network", no_wrap=True, overflow="fold")
    for head in ("parameters", "multiply-adds (M)", "activations (M)", "traffic (MB)", "off"):
        table.add_column(head, justify="right")
    timed = any(d.latency_ms is not None for d in found)
    if timed:
        table.add_column("ms", justify="right")
    for d in found:
        off = "" if options.sample is not None else f"{100 * d.deviation:.2f} %"
        ms = [f"{d.latency_ms:.2f}"] if d.latency_ms is not None else []
        table.add_row(d.arch.name, *_costs(d.cost), off, *ms)
    _wide(table)


def convert(options: Convert) -> None:
    """Where the converted network lies."""
    print(api.convert(options.model, options.to, options.out or Path(options.to)))


def _costs(cost: Cost) -> tuple[str, str, str, str]:
    return (
        f"{cost.params:,}",
        f"{cost.macs / 1e6:,.1f}",
        f"{cost.activations / 1e6:.2f}",
        f"{cost.bytes / 1e6:,.1f}",
    )


def _count(name: str, text: str | None) -> int | None:
    """`25M`, `4.2G` or `25028904` as a number. Raises `RunError`."""
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([kMG]?)", text)
    if match is None or float(match[1]) == 0:
        raise RunError(f"--{name} {text}: say a number such as 25M, 4.2G or 25028904")
    return round(float(match[1]) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[match[2]])


def _wide(table: Table) -> None:
    """The table on the terminal; in a file no narrower than its rows need."""
    console = Console(highlight=False)
    (console if console.is_terminal else Console(highlight=False, width=160)).print(table)


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
