"""The verbs that describe, design, convert and time networks."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from rich.table import Table

from resnext import api
from resnext.arch import Architecture
from resnext.cli.display import Progress, show_table
from resnext.cli.usage import UsageError, check_positive
from resnext.cli.verbs import Bench, Convert, Describe, Design
from resnext.cost import Cost
from resnext.results import append

#: What does not vary is that of this network unless another is said.
BASE = "resnext50_32x4d"
#: Cardinalities that `design --like` takes unless others are said: the paper's, and the next.
LIKE = (1, 2, 4, 8, 16, 32, 64)
#: A change of the machine's pace while networks were timed that is worth a line.
NOTABLE_DRIFT = 0.1


def describe(options: Describe) -> None:
    """The table; the drawing of the block in a file."""
    check_positive(options, "classes", "size_px")
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
    show_table(table)


def design(options: Design) -> None:
    """A table of networks, each of which `train --model` takes."""
    check_positive(options, "classes", "size_px", "batch", "limit", "sample")
    budget, base = _budget(options)
    cardinalities = options.cardinality or (LIKE if options.like else None)
    space = api.Space(base, frozenset(options.vary), options.size_px, cardinalities)
    clock = api.Clock(base, options.size_px, options.batch)
    if options.sample is not None:
        found = api.sample_networks(space, budget, options.sample, options.seed)
    else:
        found = api.design_networks(space, budget, options.limit, clock)
    if (options.time or options.plot is not None) and options.latency_ms is None:  # else they are timed
        found = api.time_designs(found, clock)
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
    _show_designs(found, deviations=options.sample is None)
    if clock.drift > NOTABLE_DRIFT:
        change = f"{100 * clock.drift:.0f} %"
        print(
            f"the machine changed its pace by {change} meanwhile; times are as at the start", file=sys.stderr
        )


def _budget(options: Design) -> tuple[api.Budget, Architecture]:
    """What the networks may cost, and the one that says what does not vary. Raises `UsageError`."""
    targets = {name: _count(name, getattr(options, name)) for name in ("params", "macs", "activations")}
    given = [name for name, value in targets.items() if value is not None]
    if options.latency_ms is not None:
        given.append("latency_ms")
    if options.latency_ms is not None and not 0 < options.latency_ms < math.inf:
        raise UsageError(f"--latency-ms {options.latency_ms}: a time in milliseconds, above 0")
    if options.seed < 0:
        raise UsageError(f"--seed {options.seed}: a whole number, 0 or more")
    if options.like is not None and options.base is not None:
        raise UsageError("--like says what does not vary too; leave out --base")
    if not given and options.like is None:
        raise UsageError("design needs a budget: --like, --params, --macs, --activations or --latency-ms")
    if given and options.like is not None:
        raise UsageError(f"--like sets the budget; leave out --{given[0].replace('_', '-')}")
    if options.sample is not None and (options.like is not None or options.latency_ms is not None):
        raise UsageError("--sample draws under --params, --macs and --activations only")
    base = Architecture.from_name(options.like or options.base or BASE, options.classes)
    for cardinality in options.cardinality:
        replace(base, cardinality=cardinality)  # raises for one that such a network cannot have
    if options.like is not None:
        block = api.Space(base, frozenset(), options.size_px).block_params[0]
        return api.Budget(block_params=int(block)), base
    budget = api.Budget(
        params=targets["params"],
        macs=targets["macs"],
        activations=targets["activations"],
        latency_ms=options.latency_ms,
        tolerance=options.tolerance,
    )
    return budget, base


def _show_designs(found: Sequence[api.Design], deviations: bool) -> None:
    table = Table(box=None)
    table.add_column("network", no_wrap=True, overflow="fold")
    for head in ("parameters", "multiply-adds (M)", "activations (M)", "traffic (MB)", "off"):
        table.add_column(head, justify="right")
    if any(d.latency_ms is not None for d in found):
        table.add_column("ms", justify="right")
    for d in found:
        off = f"{100 * d.deviation:.2f} %" if deviations else ""
        ms = [f"{d.latency_ms:.2f}"] if d.latency_ms is not None else []
        table.add_row(d.arch.name, *_costs(d.cost), off, *ms)
    show_table(table)


def convert(options: Convert) -> None:
    """Where the converted network lies."""
    print(api.convert(options.model, options.to, options.out or Path(options.to)))


def bench(options: Bench) -> None:
    """A row for each thing timed, with its ratio to the first; the result line on request."""
    check_positive(options, "batch", "size_px", "rounds")
    progress = Progress("timing")
    try:
        table = _time(options, progress)
    finally:
        progress.close()
    line = table.to_line()
    if options.out is not None:
        append(line, options.out)
    if options.json:
        print(json.dumps(line, indent=2))
        return
    settings = ", ".join(f"{name} {value}" for name, value in table.settings.items())
    shown = Table(box=None, title=f"{table.experiment}: {settings}; {table.device}", title_justify="left")
    shown.add_column("what", overflow="fold")
    for head in ("pictures/s", "ms", "time / first", "of the limit"):
        shown.add_column(head, justify="right")
    for row in table.rows:
        low, high = (1000 * s for s in row.spread_s)
        ratio = "1"
        if row.ratio is not None and row.ratio_spread is not None:
            ratio = f"{row.ratio:.3f} ({row.ratio_spread[0]:.3f} to {row.ratio_spread[1]:.3f})"
        share = "" if row.limit_share is None else f"{100 * row.limit_share:.0f} %"
        ms = f"{1000 * row.median_s:,.1f} ({low:,.1f} to {high:,.1f})"
        shown.add_row(row.what, f"{row.pictures_per_s:,.1f}", ms, ratio, share)
    show_table(shown)
    for name, rate in table.limits.items():
        words = {"bytes": "GB/s copied, read and written"}.get(name.split("_")[0])
        print(f"limit: {rate / 1e9:,.1f} {words or 'Gflop/s in ' + name.split('_')[0] + ' products'}")
    for what, why in table.failed.items():
        print(f"not timed: {what} ({why})", file=sys.stderr)


def _time(options: Bench, progress: Progress) -> api.Table:
    rounds = options.rounds
    if options.what == "data":
        if len(options.of) != 1:
            raise UsageError("bench data needs one DATA: a folder or table of pictures")
        usual = Bench("data")
        for name in ("mode", "batch", "device"):
            if getattr(options, name) != getattr(usual, name):
                raise UsageError(f"--{name}: is of networks; bench data decodes pictures on one core")
        return api.bench_data(
            options.of[0], size_px=options.size_px or 224, rounds=rounds, progress=progress.update
        )
    try:
        modes = api.modes_of(options.mode)
    except ValueError as error:
        raise UsageError(f"--mode: {error}") from None
    run = {"step": api.bench_step, "infer": api.bench_infer}[options.what]
    contenders = [api.contender(name) for name in options.of or ("resnet50", "resnext50_32x4d")]
    turns = api.Turns(options.batch, options.size_px, rounds, options.device)
    return run(contenders, modes, turns, progress.update)


def _costs(cost: Cost) -> tuple[str, str, str, str]:
    return (
        f"{cost.params:,}",
        f"{cost.macs / 1e6:,.1f}",
        f"{cost.activations / 1e6:.2f}",
        f"{cost.bytes / 1e6:,.1f}",
    )


def _count(name: str, text: str | None) -> int | None:
    """`25M`, `4.2G` or `25028904` as a number. Raises `UsageError`."""
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([kMG]?)", text)
    if match is None or float(match[1]) == 0:
        raise UsageError(f"--{name} {text}: say a number such as 25M, 4.2G or 25028904")
    return round(float(match[1]) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[match[2]])
