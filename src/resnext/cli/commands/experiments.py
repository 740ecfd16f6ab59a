"""`resnext experiments`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

import resnext
from resnext.cli.command import Command
from resnext.cli.option_checks import check_folder, check_not_negative, check_positive, check_suffix
from resnext.cli.out_of_memory import device_hint
from resnext.cli.screen import say
from resnext.errors import UsageError

if TYPE_CHECKING:
    from resnext.experiments import Experiment, WorkPlan, Workspace
    from resnext.experiments.findings import Finding, Findings


@dataclass(frozen=True)
class ExperimentsCommand(Command):
    """The claims of the paper and its review: list them, run what is missing, or write what was found.

    Finished runs are found in the result lines by their recipe, and interrupted ones are resumed. The same
    command started twice, as with --device cuda:0 and --device cuda:1, shares the work.
    """

    name: ClassVar[str] = "experiments"
    is_distributed: ClassVar[bool] = True

    what: Annotated[Positional[Literal["list", "run", "report"]], arg(metavar="list|run|report")] = "list"
    """List the experiments, run those named, or write the page about all that was run."""
    names: Annotated[Positional[tuple[str, ...]], arg(metavar="NAME")] = ()
    """Experiments; all if left out."""
    scale: Literal["paper", "gpu", "laptop", "miniature"] = "laptop"
    """`paper` is the published recipe, `gpu` one GPU, `laptop` two CPU cores and minutes a run, `miniature`
    shows in seconds that everything runs."""
    seeds: int | None = None
    """Runs of each arm, instead of the planned number: more widen all intervals, since results were seen."""
    after: str = ""
    """What was seen before the experiment was planned anew, in words for the page, such as "3 pairs of runs":
    it counts as a look, and widens all intervals."""
    dry_run: Annotated[bool, FlagCreatePairsOff] = False
    """Only say what would be run and what it would cost."""
    data: Path = Path("data")
    """Folder that holds the sets by name, such as data/cifar10."""
    runs: Path = Path("runs/experiments")
    """Folder that run folders lie in."""
    results: Path = Path("results/experiments")
    """Folder of the result lines."""
    out: Path | None = None
    """What `report` writes; docs/results.md, or results.html with --html, if left out. The plots of an .md
    file go to a folder of the same name beside it."""
    html: Annotated[bool, FlagCreatePairsOff] = False
    """Let `report` write one .html file with the plots in it."""
    device: str | None = None
    """cpu, cuda, cuda:1, mps; the best there is if left out."""
    workers: int | None = None
    """Processes that decode images. Results do not depend on it."""

    @property
    def is_resumable(self) -> bool:
        return self.what == "run" and not self.dry_run

    @property
    def memory_hint(self) -> str:
        return device_hint(self.device)

    def run(self) -> None:
        check_positive(self, "seeds")
        check_not_negative(self, "workers")
        if self.after and (self.what != "run" or not self.names):
            raise UsageError(
                "--after is for experiments that are run: name them, as in run cardinality --after"
            )
        {"list": self._list, "run": self._run, "report": self._report}[self.what]()

    def _workspace(self) -> Workspace:
        return resnext.experiments.Workspace(self.results, self.data, self.runs, self.device, self.workers)

    def _plan(self, experiments: list[Experiment]) -> WorkPlan:
        return resnext.experiments.plan(experiments, self.scale, self.seeds, self._workspace())

    def _list(self) -> None:
        from resnext.cli.output import number_table, print_table

        table = number_table(["experiment", "claim", "source"], [f"runs at {self.scale}"])
        for one in resnext.experiments.find_experiments(self.names):
            work = self._plan([one])
            done = f"{work.total - len(work.tasks)} of {work.total}"
            table.add_row(one.name, one.claim, one.source, done)
        print_table(table)

    def _run(self) -> None:
        experiments = resnext.experiments.find_experiments(self.names)
        work = self._plan(experiments)
        say(work.cost, flush=True)
        if self.dry_run:
            say(*(f"    {task.text}" for task in work.tasks))
        else:
            self._run_tasks(experiments)

    def _run_tasks(self, experiments: list[Experiment]) -> None:
        """Run what is missing and print what was found. Raises `Diverged` if a task failed."""
        from resnext.cli.task_display import show_tasks

        workspace = self._workspace()
        failed = show_tasks(
            resnext.experiments.run(experiments, self.scale, self.seeds, workspace, self.after)
        )
        left = len(self._plan(experiments).tasks) - sum(one.record is None for one in failed)
        if left > 0:  # what failed without a record is missing too, but nobody else runs it
            why = "another process runs them, or trains while they would be timed"
            say(f"{left} left: {why}; try again later")
        for findings in self._judge(experiments):
            print_findings(findings)
        if failed:
            first = f"{failed[0].task.text}: {failed[0].why}"
            raise resnext.Diverged(f"{len(failed)} failed, the first: {first}")

    def _judge(self, experiments: list[Experiment]) -> list[Findings]:
        from resnext.experiments import Ledger, judge

        ledger = Ledger.read(self.results)
        return [findings for one in experiments for findings in judge(one, self.scale, ledger)]

    def _report(self) -> None:
        if self.names:
            raise UsageError("report writes about all experiments; leave out the names")
        suffix = ".html" if self.html else ".md"
        out = self.out or Path("results.html" if self.html else "docs/results.md")
        check_suffix("--out", out, [suffix])
        check_folder("--out", out, f"; say another, as in --out my-results{suffix}")
        say(str(resnext.experiments.write_results(self.results, out)))


def print_findings(findings: Findings) -> None:
    """Print what was run and how, and a line for each claim."""
    say("", f"{findings.claim} ({findings.experiment}, {findings.scale})", f"  {findings.provenance}")
    for one in findings.findings:
        say(f"  {one.verdict:<13} {'; '.join(_words(findings, one))}")


def _words(findings: Findings, one: Finding) -> list[str]:
    """The claim with our figure, the published figure, and the remark, as far as there are any."""
    words = [one.claim if one.ours is None else f"{one.claim}: {one.ours_text}"]
    if one.published_text:
        published = "published" if findings.as_published else "published, of other networks"
        words.append(f"{published}: {one.published_text}")
    return [*words, *filter(None, [findings.remark(one)])]
