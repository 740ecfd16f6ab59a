"""The verbs of experiments: run them, tell what came out, compare runs, make sets of other sets."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from resnext import api
from resnext.cli.display import LINE_EVERY_S, Progress, show_table
from resnext.cli.usage import UsageError, check_positive
from resnext.cli.verbs import Compare, Experiments, Select
from resnext.training.loop import Diverged


def experiments(options: Experiments) -> None:
    """What there is; or run it; or where the page about it lies."""
    check_positive(options, "seeds")
    if options.after and (options.what != "run" or not options.names):
        raise UsageError("--after is of experiments that are run: name them, as in run cardinality --after")
    place = api.Place(options.results, options.data, options.runs, options.device, options.workers)
    {"list": _list, "run": _run, "report": _report}[options.what](options, place)


def _list(options: Experiments, place: api.Place) -> None:
    table = Table(box=None)
    for head in ("experiment", "claim", "source"):
        table.add_column(head, overflow="fold")
    table.add_column(f"runs at {options.scale}", justify="right")
    for one in api.find_experiments(options.names):
        work = api.plan_experiments([one.name], options.scale, options.seeds, place)
        done = f"{work.total - len(work.jobs)} of {work.total}"
        table.add_row(one.name, one.claim, one.source, done)
    show_table(table)


def _run(options: Experiments, place: api.Place) -> None:
    what = options.names, options.scale, options.seeds, place
    work = api.plan_experiments(*what)
    print(work.cost, flush=True)
    if options.dry_run:
        print(*(f"    {job.text}" for job in work.jobs), sep="\n")
        return
    failed = _watch(api.run_experiments(*what, after=options.after))
    left = len(api.plan_experiments(*what).jobs)
    left -= sum(one.line is None for one in failed)  # those that diverged have a line
    if left > 0:
        print(f"{left} left: another process runs them, or trains while they would be timed; try again later")
    for findings in api.judge_experiments(options.names, options.scale, place):
        _show(findings)
    if failed:
        first = f"{failed[0].job.text}: {failed[0].why}"
        raise Diverged(f"{len(failed)} came to nothing, the first: {first}")


def _watch(events: Iterator[api.Begun | api.Moved | api.Ended]) -> list[api.Ended]:
    """Show `events`; the ends of jobs that came to nothing."""
    failed = []
    progress, last = Progress("running"), time.monotonic()
    try:
        for event in events:
            match event:
                case api.Begun(job, number, total, warning):
                    progress.close()
                    print(f"{number}/{total} {job.text}" + (warning and f"; {warning}"), flush=True)
                    progress = Progress("running")
                case api.Moved(done, total):
                    progress.update(done, total)
                    if not progress.console.is_terminal and time.monotonic() - last >= LINE_EVERY_S:
                        print(f"    {done}/{total}", flush=True)
                        last = time.monotonic()
                case api.Ended():
                    progress.close()
                    print(f"    {event.text()}", flush=True)
                    if event.why:
                        failed.append(event)
    finally:
        progress.close()
    return failed


def _show(findings: api.Findings) -> None:
    """What was run and how, and a line for each claim."""
    print(f"\n{findings.claim} ({findings.experiment}, {findings.scale})\n  {findings.account}")
    for one in findings.findings:
        told = [f"{one.claim}: {one.figure}" if one.ours is not None else one.claim]
        if one.published:
            told.append(f"published{'' if findings.as_published else ', of other networks'}: {one.published}")
        print(f"  {one.verdict:<13} {'; '.join([*told, *filter(None, [findings.remark(one)])])}")


def _report(options: Experiments, place: api.Place) -> None:
    if options.names:
        raise UsageError("report writes about all experiments; leave out the names")
    if options.out.suffix != ".md":
        raise UsageError(f"--out {options.out}: must end in .md; its plots go to a folder of that name")
    if not options.out.parent.is_dir():
        raise UsageError(
            f"--out {options.out}: there is no folder {options.out.parent}; say another, as in "
            "--out my-results.md"
        )
    print(api.write_results(place.results, options.out))


def compare(options: Compare) -> None:
    """The difference, its interval, and how probable it would be by chance."""
    if len(options.folders) < 2:
        raise UsageError("compare needs RUN RUN: two finished runs, or runs of several seeds of two recipes")
    comparison = api.compare([Path(folder) for folder in options.folders])
    if options.json:
        print(json.dumps(asdict(comparison), indent=2))
        return
    print("\n".join(comparison.lines()))


def select(options: Select) -> None:
    """Where the set lies, and how large it is."""
    if options.others < 0:
        raise UsageError(f"--others {options.others}: how many other classes; 0 or more")
    train, judged = api.select(options.data, options.out, options.like, options.others, options.judged)
    print(f"{options.out}: {train:,} pictures to train on, {judged:,} as {options.judged}")
