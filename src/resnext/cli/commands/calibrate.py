"""`resnext calibrate`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from tyro.conf import Positional, arg

import resnext
from resnext.cli.command import Command
from resnext.cli.image_progress import ImageProgress
from resnext.cli.option_checks import check_data, check_model, check_not_negative
from resnext.cli.out_of_memory import device_hint
from resnext.cli.screen import say
from resnext.names import counted

if TYPE_CHECKING:
    from resnext.engine import CalibrationFit, OutlierTrial
    from resnext.engine.exports import ParityRecord

#: What each score is, in a sentence.
SCORES = {
    "probability": "largest probability",
    "energy": "energy score",
    "clipped": "energy score of clipped features",
    "neighbours": "cosine to the nearest known images",
}
#: Outliers are hardly rejected if no more of them are than so many times as many as of the classes.
FEW_REJECTED = 2


@dataclass(frozen=True)
class CalibrateCommand(Command):
    """Make the answers of MODEL mean what they say: probabilities, sets of classes, "none of these"."""

    name: ClassVar[str] = "calibrate"

    model: Annotated[Positional[str], arg(metavar="MODEL")]
    """A run folder or hub folder, which is changed in place; or another model, with --out."""
    data: Annotated[Positional[str], arg(metavar="DATA")]
    """As for train. Classes are matched by name."""
    split: Literal["val", "test"] = "val"
    """Split to calibrate on."""
    outliers: tuple[str, ...] = ()
    """Files, folders and globs of images of none of the classes: what tells them best is chosen on them. Left
    out, what was chosen before is kept."""
    coverage: float = 0.9
    """Share of new images whose set of classes is to hold the true one."""
    false_alarms: float = 0.01
    """Share of images of the classes that may be called "none of these"; 0 for never."""
    out: Path | None = None
    """Hub folder to write, in place of changing MODEL."""
    device: str | None = None
    """cpu, cuda, cuda:1, mps; the best there is if left out."""
    workers: int | None = None
    """Processes that decode images."""

    @property
    def memory_hint(self) -> str:
        return device_hint(self.device)

    def run(self) -> None:
        check_not_negative(self, "workers")
        check_model(self.model)
        check_data(self.data)
        from resnext.cli.output import note_workers  # both import torch
        from resnext.engine.exports import exports_of

        note_workers(self.workers)
        with ImageProgress("calibrating") as progress:
            fit = resnext.calibrate(
                self.model,
                self.data,
                split=self.split,
                outliers=self.outliers or None,
                coverage=self.coverage,
                false_alarms=self.false_alarms,
                out=self.out,
                device=self.device,
                workers=self.workers,
                progress=progress.show,
            )
        say(f"{self.out or self.model}: calibrated on {counted(fit.images, 'image')} of {self.split}")
        for name, value in _rows(fit, self.false_alarms):
            say(f"{name:<14} {value}")
        if self.split == "test":
            say(
                "note: the report of a run judges by test too: what it then says of probabilities and sets "
                "is of the images that they were fitted on",
                file=sys.stderr,
            )
        if self.out is None and (earlier := exports_of(Path(self.model))[1]):
            names, again = ", ".join(earlier), "; ".join(_commands(self.model, earlier))
            say(f"note: {names}: still without this calibration; make again: {again}", file=sys.stderr)
        if fit.trials and _taken(fit).rejected.share <= FEW_REJECTED * self.false_alarms:
            say(
                f"note: at {100 * self.false_alarms:g} % false alarms hardly any of these outliers is "
                "rejected; with more, as --false-alarms 0.05, more are",
                file=sys.stderr,
            )
        if not self.outliers and _rejection(fit) is not None:
            say("note: --outliers DIR tells how well images of other things are found", file=sys.stderr)


def _commands(model: str, exports: Mapping[str, ParityRecord]) -> Iterator[str]:
    """What makes `exports` again."""
    for verb, precision in (("export", "float32"), ("quantize", "int8")):
        formats = dict.fromkeys(one.format for one in exports.values() if one.precision == precision)
        if formats:
            yield f"resnext {verb} {model} --to {' '.join(formats)}"


def _rejection(fit: CalibrationFit) -> resnext.contract.Rejection | None:
    return None if fit.contract.calibration is None else fit.contract.calibration.rejection


def _taken(fit: CalibrationFit) -> OutlierTrial:
    """The trial whose score was taken."""
    rejection = _rejection(fit)
    return next(one for one in fit.trials if rejection is not None and one.rejection.score == rejection.score)


def _rows(fit: CalibrationFit, false_alarms: float) -> Iterator[tuple[str, str]]:
    """Name and value of each line about a calibration."""
    calibration, temperature = fit.contract.calibration, fit.temperature
    assert calibration is not None
    assert calibration.sets is not None
    yield "temperature", f"{calibration.temperature:.3f}"
    before, after = temperature.before, temperature.after
    yield "ECE before", f"{100 * before.ece:.2f} %  ({before.interval_text})"
    yield (
        "ECE after",
        f"{100 * after.ece:.2f} %  ({after.interval_text}; of images it was not fitted on)",
    )
    low, high = fit.coverage
    yield (
        f"{100 * calibration.sets.coverage:g} % sets",
        f"classes of at least {100 * calibration.sets.least_probability:.2g} %, {fit.set_size:.2f} in the "
        f"mean; {100 * low:.1f} to {100 * high:.1f} % of new images are covered",
    )
    rejection = calibration.rejection
    if rejection is None:
        from resnext.confidence import too_few_to_reject

        yield "none of these", f"never: {too_few_to_reject(false_alarms, fit.images)}"
    else:
        yield (
            "none of these",
            f"where the {SCORES[rejection.score]} is below {_threshold(rejection)}, as of "
            f"{100 * (rejection.false_alarms or 0):g} % of images of the classes",
        )
    for trial in fit.trials:
        yield "outliers", _trial(trial, trial is _taken(fit))


def _threshold(rejection: resnext.contract.Rejection) -> str:
    if rejection.score == "probability":
        return f"{100 * rejection.threshold:.1f} %"
    return f"{rejection.threshold:.4g}"


def _trial(trial: OutlierTrial, is_taken: bool) -> str:
    area, (low, high) = trial.separation.auroc, trial.separation.interval
    rejected = f"rejects {100 * trial.rejected.share:.1f} % of {trial.rejected.n:,}"
    taken = "; taken" if is_taken else ""
    return f"by {trial.rejection.score}: AUROC {area:.3f} ({low:.3f} to {high:.3f}), {rejected}{taken}"
