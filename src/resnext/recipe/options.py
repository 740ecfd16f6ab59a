"""`TrainOptions`: options of a run that are no part of its recipe. Standard library only."""

from __future__ import annotations

import re
import typing
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, Literal

from resnext.errors import UsageError

OnBad = Literal["fail", "skip"]
OnBadInTraining = Literal["fail", "skip", "quarantine"]
Views = Literal["one", "flip", "ten"]
EngineName = Literal["auto", "torch", "folded", "compiled", "onnxruntime", "openvino", "pt2"]
Resume = Literal["never", "auto", "must"]
LoggerName = Literal["tensorboard", "mlflow", "wandb"]

#: Longest name of a run: file systems allow 255 bytes for a folder's name.
LONGEST_NAME = 200


@dataclass(frozen=True)
class CheckpointInterval:
    """How often to save inside an epoch: after a number of steps, or of seconds."""

    steps: int | None = None
    seconds: float | None = None

    @classmethod
    def parse(cls, text: str) -> CheckpointInterval:
        """The interval that `text` names: `200` (steps), `90s` or `10min`.

        Raises:
            UsageError: If `text` is none of these.

        >>> CheckpointInterval.parse("10min")
        CheckpointInterval(steps=None, seconds=600.0)
        """
        match = re.fullmatch(r"([1-9][0-9]{0,8})(s|min|)", text)
        if match is None:
            raise UsageError(f"--checkpoint-every {text}: say steps as in 200, or time as in 90s or 10min")
        number, unit = int(match[1]), match[2]
        return cls(steps=number) if unit == "" else cls(seconds=number * {"s": 1.0, "min": 60.0}[unit])


@dataclass(frozen=True)
class ImageShard:
    """Which of `count` equal parts of the images, `number` from 0 on, is worked on.

    >>> shard = ImageShard.parse("3/64")
    >>> shard.path(Path("answers.csv")).name
    'answers-00003-of-00064.csv'
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> ImageShard:
        """The shard that `text` names, such as 3/64. Raises `UsageError`."""
        match = re.fullmatch(r"([0-9]{1,5})/([0-9]{1,5})", text)
        if match is None or not int(match[1]) < int(match[2]):
            last = "" if match is None else f"; the last one is {max(0, int(match[2]) - 1)}/{match[2]}"
            raise UsageError(f"--shard {text}: say which of how many, from 0 on, as in 3/64{last}")
        return cls(int(match[1]), int(match[2]))

    def path(self, out: Path) -> Path:
        """`out`, with the number of the shard in its name."""
        return out.with_name(f"{out.stem}-{self.number:05}-of-{self.count:05}{out.suffix}")


@dataclass(frozen=True)
class BadBudget:
    """How many images may be left out because they cannot be read: a share of all, or a number.

    >>> BadBudget.parse("1%").allows(3, 200), BadBudget.parse("3").allows(3, 200)
    (False, True)
    """

    share: float | None = None
    count: int | None = None

    @classmethod
    def parse(cls, text: str) -> BadBudget:
        """The budget that `text` names: `1%`, `0.5%` or `20`. Raises `UsageError`."""
        match = re.fullmatch(r"([0-9]{1,9})|([0-9]{1,3}(?:\.[0-9]{1,6})?) ?%", text)
        if match is None or (match[2] and float(match[2]) > 100):
            raise UsageError(f"--bad-budget {text}: say a share as in 1%, or a number of images as in 20")
        return cls(count=int(match[1])) if match[1] else cls(share=float(match[2]) / 100)

    def allows(self, bad: int, images: int) -> bool:
        """Whether `bad` of `images` may be left out."""
        return bad <= (self.count if self.count is not None else (self.share or 0) * images)


@dataclass(frozen=True)
class TrainOptions:
    """Options of a run beside its data and recipe: where it is kept, what it starts from, what computes it.

    Raises:
        UsageError: If an option cannot be used; the message names it as the command line does.

    >>> TrainOptions(name="first", checkpoint_every="200").checkpoint_interval
    CheckpointInterval(steps=200, seconds=None)
    """

    name: str | None = None
    """Name of the run; chosen from data and network if left out."""
    runs: Path = Path("runs")
    """Folder that run folders lie in."""
    resume: Resume = "never"
    """`auto` starts run --name or resumes it; `must` only resumes."""
    checkpoint_every: str = "10min"
    """Save after a number of steps (200) or a time (90s, 10min); the end of an epoch is saved anyway."""
    weights: Path | None = None
    """Start from these weights, in their network unless --model says another: a run folder, a hub folder, a
    file of weights, or a name that `resnext weights` lists, such as resnext50_32x4d."""
    new_head: bool = False
    """With --weights: a fresh head in any case; without it, where the classes are others."""
    log: tuple[LoggerName, ...] = ()
    """Where the metrics go besides metrics.jsonl; TensorBoard, if it is installed, if left out."""
    device: str | None = None
    """cpu, cuda, cuda:1, mps; the best there is if left out."""
    workers: int | None = None
    """Processes that decode images. Results do not depend on it."""
    on_bad: OnBadInTraining = "fail"
    """What to do about images that cannot be read: stop before training; list them and go on; or do so and
    write quarantine.csv to the run, a manifest that leaves them out of the next one."""
    bad_budget: str | None = None
    """With --on-bad skip or quarantine: most images that may be left out, as 1% or 20; any number if left
    out."""
    manifest: Path | None = None
    """What to do with single images, as `resnext doctor` proposes it: a .parquet or .csv file."""

    def __post_init__(self) -> None:
        for name in ("runs", "weights", "manifest"):  # they may be given as strings
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else Path(value))
        self._check_kinds()
        if self.name is not None and (Path(self.name).name != self.name or len(self.name) > LONGEST_NAME):
            raise UsageError(
                f"--name {self.name}: must be the short name of one folder; --runs says where it lies"
            )
        check_choice("--resume", self.resume, Resume)
        check_choice("--on-bad", self.on_bad, OnBadInTraining)
        self._check_budget()
        for logger in self.log:
            check_choice("--log", logger, LoggerName)
        CheckpointInterval.parse(self.checkpoint_every)
        if self.resume != "never" and self.name is None:
            raise UsageError("--resume needs the --name of the run")
        if self.new_head and self.weights is None:
            raise UsageError("--new-head needs --weights")
        if self.workers is not None and self.workers < 0:
            raise UsageError(f"--workers {self.workers}: must be at least 0")

    def _check_budget(self) -> None:
        if self.bad_budget is not None:
            BadBudget.parse(self.bad_budget)
            if self.on_bad == "fail":
                raise UsageError("--bad-budget: has no effect with --on-bad fail; say skip or quarantine")

    def _check_kinds(self) -> None:
        """Raise `UsageError` for a value of another type than its field."""
        kinds: dict[str, type] = {"name": str, "checkpoint_every": str, "device": str, "bad_budget": str}
        kinds |= {"workers": Integral, "new_head": bool}
        words = {str: "text, in quotes", Integral: "a whole number", bool: "True or False"}
        for name, kind in kinds.items():
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise UsageError(f"--{name.replace('_', '-')} {value!r}: must be {words[kind]}")
        if isinstance(self.log, str):
            raise UsageError(f"--log {self.log}: must be a list, as in log=[{self.log!r}]")

    @property
    def checkpoint_interval(self) -> CheckpointInterval:
        """`checkpoint_every`, parsed."""
        return CheckpointInterval.parse(self.checkpoint_every)


def check_choice(option: str, value: object, choices: Any) -> None:
    """Raise `UsageError` unless `value` is one of the Literal `choices`.

    >>> check_choice("--resume", "x", Resume)
    Traceback (most recent call last):
    ...
    resnext.errors.UsageError: --resume x: must be never, auto or must
    """
    *others, last = typing.get_args(choices)
    if value not in (*others, last):
        raise UsageError(f"{option} {value}: must be {', '.join(others)} or {last}")
