"""Every outcome as one line of JSON, stamped with what made it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SCHEMA = 1
#: Packages whose version can change a result.
PACKAGES = ("torch", "numpy", "pillow", "scikit-learn")


@dataclass(frozen=True)
class Stamp:
    """When, on what and by which code a result was made."""

    time_utc: str
    device: str
    versions: dict[str, str]
    commit: str | None
    dirty: bool | None
    command: str


@dataclass(frozen=True)
class ResultLine:
    """One outcome. `metrics` per split; `curve` at most 100 points; `waits` is where the time went."""

    kind: str
    seed: int
    recipe: dict[str, Any]
    data: dict[str, str]
    metrics: dict[str, Any]
    curve: list[dict[str, float]]
    cost: dict[str, int]
    seconds: float
    pictures_per_s: float
    waits: dict[str, float]
    stamp: Stamp
    experiment: str | None = None
    arm: str | None = None
    schema: int = field(default=SCHEMA)

    def to_json(self) -> dict[str, Any]:
        value = asdict(self)
        stamped: dict[str, Any] = value.pop("stamp")
        return value | stamped


def stamp(device: str) -> Stamp:
    """The stamp of a result made now, on `device` (a name for people)."""
    from resnext import __version__

    versions = {"resnext": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "absent"
    commit, dirty = _commit()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Stamp(now, device, versions, commit, dirty, _command())


def append(line: dict[str, Any], path: Path) -> None:
    """Add a result line (`ResultLine.to_json`, or a run's `result`) to the JSON-lines file at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


@dataclass(frozen=True)
class PairedTest:
    """Of two classifiers on the same pictures: how many only the second gets right, how many only the
    first, and the probability `p` of a difference at least as large by chance (McNemar's exact test)."""

    better: int
    worse: int
    p: float


def paired_test(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> PairedTest:
    """Is the second better? (N,) each: whether picture i is classified rightly."""
    from scipy.stats import binomtest

    better, worse = int((second & ~first).sum()), int((first & ~second).sum())
    p = float(binomtest(better, better + worse).pvalue) if better + worse else 1.0
    return PairedTest(better, worse, p)


def cpu_name() -> str:
    """The processor's name and the cores that this process may use."""
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {cores} cores"


def _command() -> str:
    program = Path(sys.argv[0])
    name = program.parent.name if program.name == "__main__.py" else program.name  # of `python -m`
    return " ".join([name, *sys.argv[1:]])


def _commit() -> tuple[str | None, bool | None]:
    """Commit of this package's own checkout and whether it was changed; None where there is none."""

    def git(*words: str) -> str:
        folder = Path(__file__).parent
        run = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True)
        return run.stdout.strip()

    try:
        top = Path(git("rev-parse", "--show-toplevel"))
        if not (top / "src" / "resnext").samefile(Path(__file__).parent):
            return None, None  # installed inside somebody else's repository
        changed = git("-C", str(top), "status", "--porcelain", "--", ".", ":!results")  # they are no code
        return git("rev-parse", "HEAD"), bool(changed)
    except (OSError, subprocess.CalledProcessError):
        return None, None
