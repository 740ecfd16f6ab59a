"""`resnext bench`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

import resnext
from resnext.cli.command import Command
from resnext.cli.option_checks import check_positive
from resnext.cli.screen import say, say_text
from resnext.errors import UsageError

if TYPE_CHECKING:
    from resnext.bench import BenchRow, BenchSettings, BenchTable, Candidate, Mode

#: Networks that are timed where none is named: the paper's pair.
USUAL_NETWORKS = ("resnet50", "resnext50_32x4d")
USUAL_CROP_PX = 224


@dataclass(frozen=True)
class BenchCommand(Command):
    """Time training steps, answers or the data path on this machine, side by side.

    `bench step` and `bench infer` take names of networks, `bench data` takes DATA.
    """

    name: ClassVar[str] = "bench"

    what: Annotated[Positional[Literal["step", "infer", "data"]], arg(metavar="step|infer|data")]
    """What is timed."""
    of: Annotated[Positional[tuple[str, ...]], arg(metavar="NAMES|DATA")] = ()
    """Networks (resnet50 and resnext50_32x4d if left out), or DATA as for train. Ratios are to the first."""
    mode: tuple[str, ...] = ()
    """Any of eager, compiled, float32, bfloat16, float16, channels-last, contiguous: all that they allow is
    timed. Eager, float32 and channels-last, if left out."""
    batch: int = 8
    """Images of a step."""
    size_px: int | None = None
    """Side of the images, or of the crops; 224, or 32 with the other stems, if left out."""
    rounds: int = 10
    """Number of times that each is timed, in turns."""
    device: str | None = None
    """cpu, cuda, cuda:1, mps; the best there is if left out."""
    out: Path | None = None
    """Append the result line to this file."""
    json: Annotated[bool, FlagCreatePairsOff] = False
    """Print the result line instead of a table."""

    @property
    def memory_hint(self) -> str:
        return "try a smaller --batch"

    def run(self) -> None:
        from resnext.display.progress_bar import ProgressBar
        from resnext.records import append_record

        check_positive(self, "batch", "size_px", "rounds")
        if self.out is not None and self.out.is_dir():  # it is appended to, and its folder is made
            raise UsageError(f"--out {self.out}: is a folder; give the name of a file in it")
        time = {"step": self._time_steps, "infer": self._time_inference, "data": self._time_data}[self.what]
        with ProgressBar("timing") as bar:
            table = time(bar.update)
        record = table.to_json()
        if self.out is not None:
            append_record(record, self.out)
        if self.json:
            say_text(json.dumps(record, indent=2))
        else:
            print_bench(table)

    def _time_steps(self, progress: Callable[[int, int], None]) -> BenchTable:
        return resnext.bench.bench_step(*self._networks(), progress)

    def _time_inference(self, progress: Callable[[int, int], None]) -> BenchTable:
        return resnext.bench.bench_infer(*self._networks(), progress)

    def _networks(self) -> tuple[list[Candidate], list[Mode], BenchSettings]:
        candidates = [resnext.bench.candidate(name) for name in self.of or USUAL_NETWORKS]
        settings = resnext.bench.BenchSettings(self.batch, self.size_px, self.rounds, self.device)
        return candidates, self._modes(), settings

    def _modes(self) -> list[Mode]:
        try:
            return resnext.bench.parse_modes(self.mode)
        except ValueError as error:
            raise UsageError(f"--mode: {error}") from None

    def _time_data(self, progress: Callable[[int, int], None]) -> BenchTable:
        if len(self.of) != 1:
            raise UsageError("bench data needs one DATA: a folder or table of images")
        for field in fields(self):
            if field.name in ("mode", "batch", "device") and getattr(self, field.name) != field.default:
                raise UsageError(f"--{field.name}: is for networks; bench data decodes images on one core")
        size_px = self.size_px or USUAL_CROP_PX
        return resnext.bench.bench_data(self.of[0], size_px=size_px, rounds=self.rounds, progress=progress)


def print_bench(table: BenchTable) -> None:
    """Print a row for each thing timed, then the limits of the machine, and what could not be timed."""
    from resnext.cli.output import number_table, print_table

    settings = ", ".join(f"{name} {value}" for name, value in table.settings.items())
    title = f"{table.name}: {settings}; {table.device}"
    shown = number_table(["what"], ["images/s", "ms", "time / first", "of the limit"], title)
    for row in table.rows:
        shown.add_row(*_cells(row))
    print_table(shown)
    for name, rate in table.limits.items():
        kind = name.split("_")[0]
        unit = "GB/s copied, read and written" if kind == "bytes" else f"Gflop/s in {kind} products"
        say(f"limit: {rate / 1e9:,.1f} {unit}")
    for what, why in table.failed.items():
        say(f"not timed: {what} ({why})", file=sys.stderr)


def _cells(row: BenchRow) -> tuple[str, str, str, str, str]:
    low, high = (1000 * seconds for seconds in row.spread_s)
    ms = f"{1000 * row.median_s:,.1f} ({low:,.1f} to {high:,.1f})"
    ratio = "1"
    if row.ratio is not None and row.ratio_spread is not None:
        ratio = f"{row.ratio:.3f} ({row.ratio_spread[0]:.3f} to {row.ratio_spread[1]:.3f})"
    share = "" if row.limit_share is None else f"{100 * row.limit_share:.0f} %"
    return row.what, f"{row.images_per_s:,.1f}", ms, ratio, share
