"""What a run is asked for, and what it leaves."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from resnext.contract import Contract
from resnext.recipe import Recipe, small
from resnext.run.evaluate import OnBad
from resnext.run.folder import RunFolder


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


@dataclass(frozen=True)
class Run:
    """A finished run."""

    folder: Path

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
