"""`resnext doctor`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from tyro.conf import Positional, arg

import resnext
from resnext.cli.command import Command
from resnext.cli.image_progress import ImageProgress
from resnext.cli.option_checks import (
    check_data,
    check_folder,
    check_model,
    check_not_negative,
    check_suffix,
)
from resnext.cli.out_of_memory import device_hint
from resnext.cli.screen import say, say_text
from resnext.errors import UsageError
from resnext.files import write_output
from resnext.names import counted, printable_lines
from resnext.recipe.options import ImageShard

if TYPE_CHECKING:
    from resnext.doctor import Diagnosis, ExaminationProgress


@dataclass(frozen=True)
class DoctorCommand(Command):
    """Find what is wrong with DATA: broken files, duplicates, leaks, wrong labels, shifted splits.

    `resnext doctor --self` tells what is installed here instead, to paste into an issue.
    """

    name: ClassVar[str] = "doctor"

    data: Annotated[Positional[str], arg(metavar="DATA")]
    """As for train."""
    out: Path = Path("doctor.parquet")
    """The manifest, .parquet or .csv, which training obeys; beside it lie its summary (NAME.json), the page
    (NAME.html), and what is known of each image (NAME.facts)."""
    model: str | None = None
    """A run, a hub folder, weights with their contract, or a name that `resnext weights` lists: its features
    tell wrong labels and shifts."""
    folds: int = 5
    """With --model: parts of train, each judged by a head that is fitted on the others."""
    fail_on: Literal["low", "medium", "high", "never"] = "high"
    """End with 4 where a finding does this much harm or more."""
    json: Path | None = None
    """Write the summary here too (- for the screen)."""
    shard: Annotated[str | None, arg(metavar="K/N")] = None
    """Only look at part K of N of the images, K from 0 on; the doctor without it then takes what all have
    seen."""
    device: str | None = None
    """cpu, cuda, cuda:1, mps; the best there is if left out."""
    workers: int | None = None
    """Processes that decode images for the model."""

    @property
    def is_resumable(self) -> bool:
        return True

    @property
    def memory_hint(self) -> str:
        return device_hint(self.device)

    def run(self) -> None:
        shard = self._check()
        from resnext.doctor import FindingsFound

        with _progress() as show:
            diagnosis = resnext.examine(
                self.data,
                self.out,
                model=self.model,
                folds=self.folds,
                shard=shard,
                device=self.device,
                workers=self.workers,
                progress=show,
            )
        if diagnosis is None:
            say(f"part {self.shard} is looked at; when all parts are, say the same without --shard")
            return
        self._tell(diagnosis)
        if harmful := self._harmful(diagnosis):
            more = "" if self.fail_on == "high" else " or more"
            raise FindingsFound(
                f"{counted(harmful, 'finding')} of harm {self.fail_on}{more}; look at "
                f"{self.out.with_suffix('.html')}, {self._next(diagnosis)}"
            )

    def _next(self, diagnosis: Diagnosis) -> str:
        """What to do after looking at the page."""
        from resnext.reporting import training_command

        if diagnosis.examined.refusal:
            return "and mend the data, which training refuses as they are"
        if all(finding.image is None for finding in diagnosis.findings):
            return "and mend the data: no finding is on a single image"
        return f"edit {self.out}, then: {training_command(self.data, self.out)}"

    def _check(self) -> ImageShard | None:
        check_suffix("--out", self.out, (".parquet", ".csv"))
        check_folder("--out", self.out)
        check_folder("--json", self.json)
        check_not_negative(self, "workers")
        if self.folds < 2:
            raise UsageError(f"--folds {self.folds}: must be at least 2")
        shard = None if self.shard is None else ImageShard.parse(self.shard)
        if shard is not None and self.model is not None:
            raise UsageError("--shard: only looks at images; give --model when all parts are looked at")
        if self.model is not None:
            check_model(self.model)
        check_data(self.data)
        return shard

    def _tell(self, diagnosis: Diagnosis) -> None:
        from resnext.cli.output import number_table, print_table
        from resnext.doctor import count_kinds
        from resnext.parsing import parse_json, read_text

        content = read_text(self.out.with_suffix(".json"))
        text = printable_lines(content.rstrip("\n"))
        if str(self.json) == "-":
            say_text(text)
            return
        if self.json is not None:
            write_output(self.json, text + "\n")
        if decisions := parse_json(content)["manifest"]["decisions"]:
            say(f"{counted(decisions, 'decision')} that you made in {self.out} taken over")
        images, looked_at = len(diagnosis.examined), diagnosis.measured.looked_at
        say(f"{counted(images, 'image')}, {looked_at:,} of them looked at now")
        for finding in diagnosis.findings:
            if finding.image is None:
                say(f"{finding.kind}: {finding.detail}")
        kinds = count_kinds(diagnosis.findings, diagnosis.examined)
        if kinds:
            table = number_table(["harm", "finding", "what it is"], ["number", "to drop"])
            for one in kinds:
                table.add_row(
                    one.kind.harm, one.kind.name, one.kind.title, f"{one.count:,}", f"{one.dropped:,}"
                )
            print_table(table)
        else:
            say("nothing was found")
        if diagnosis.labels is not None:
            say(
                f"labels: {diagnosis.labels.issues.estimate:,} of {len(diagnosis.labels.numbers):,} are "
                "estimated to be wrong"
            )
        say(f"page       {self.out.with_suffix('.html')}", f"manifest   {self.out}")

    def _harmful(self, diagnosis: Diagnosis) -> int:
        """Findings that do as much harm as --fail-on says."""
        from resnext.doctor import HARMS, KINDS

        if self.fail_on == "never":
            return 0
        least = HARMS.index(self.fail_on)
        return sum(KINDS[finding.kind].rank >= least for finding in diagnosis.findings)


@contextmanager
def _progress() -> Iterator[Callable[[ExaminationProgress], None]]:
    """A function that shows how far the examination is: one bar, or lines, for each of its parts."""
    shown: list[ImageProgress] = []
    parts: list[str] = []

    def show(event: ExaminationProgress) -> None:
        if parts[-1:] != [event.doing]:
            if shown:
                shown.pop().__exit__(None, None, None)
            parts.append(event.doing)
            shown.append(ImageProgress(event.doing, event.what))
        shown[-1].show(event.done, event.total)

    try:
        yield show
    finally:
        if shown:
            shown.pop().__exit__(None, None, None)
