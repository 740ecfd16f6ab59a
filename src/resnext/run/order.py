"""What a run is asked for, and what it leaves."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from resnext.contract import Contract
from resnext.recipe import Recipe, small
from resnext.run.evaluate import ON_BAD, OnBad
from resnext.run.folder import RunError, RunFolder
from resnext.run.loggers import LoggerName


@dataclass(frozen=True)
class Order:
    """What is asked for: DATA, the recipe, and what decides neither: where, on what, how carefully."""

    data: str
    recipe: Recipe = field(default_factory=small)
    name: str | None = None
    runs: Path = Path("runs")
    resume: Literal["never", "auto", "must"] = "never"
    weights: Path | None = None
    new_head: bool = False
    device: str | None = None
    workers: int | None = None
    on_bad: OnBad = "fail"
    checkpoint_every: str = "10min"
    log: tuple[LoggerName, ...] = ()

    def __post_init__(self) -> None:
        for name in ("runs", "weights"):  # strings are welcome
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else Path(value))
        if self.name is not None and (Path(self.name).name != self.name or len(self.name) > 200):
            raise RunError(
                f"--name {self.name}: must be the short name of one folder; --runs says where it lies"
            )
        if self.resume not in ("never", "auto", "must"):
            raise RunError(f"--resume {self.resume}: must be never, auto or must")
        if self.on_bad not in ON_BAD:
            raise RunError(f"--on-bad {self.on_bad}: must be one of {', '.join(ON_BAD)}")
        if self.resume != "never" and self.name is None:
            raise RunError("--resume needs the --name of the run")
        if self.new_head and self.weights is None:
            raise RunError("--new-head needs --weights")
        if self.workers is not None and self.workers < 0:
            raise RunError(f"--workers {self.workers}: must be at least 0")


@dataclass(frozen=True)
class Run:
    """A finished run. Of the processes that trained it together one `leads`, and writes."""

    folder: Path
    leads: bool = True

    @property
    def result(self) -> dict[str, Any]:
        """Its result line. Raises `RunError`."""
        value: dict[str, Any] = RunFolder(self.folder).read_json("result.json")
        return value

    @property
    def recipe(self) -> Recipe:
        return RunFolder(self.folder).recipe()

    @property
    def contract(self) -> Contract:
        return RunFolder(self.folder).contract()
