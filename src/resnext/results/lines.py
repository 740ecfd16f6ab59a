"""Every outcome as one line of JSON, stamped with what made it."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

SCHEMA = 1
#: Packages whose version can change a result.
PACKAGES = ("torch", "numpy", "pillow", "scikit-learn")


class ResultsError(Exception):
    """A file of result lines that cannot be read; the message names it and the line."""


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


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The result lines in the file at `path`, in order; none where there is no such file.

    Raises `ResultsError`. A last line that was cut off while it was written is left out.
    """
    if not path.exists():
        return []
    lines = []
    texts = path.read_text(encoding="utf-8").split("\n")
    for number, text in enumerate(texts, start=1):
        try:
            if text.strip():
                lines.append(json.loads(text))
        except ValueError as error:
            if number == len(texts):  # it does not end in a line break
                break
            raise ResultsError(f"{path}: line {number} is no JSON ({error}); mend or remove it") from None
    return lines


def append(line: dict[str, Any], path: Path) -> None:
    """Add a result line (`ResultLine.to_json`, or a run's `result`) to the JSON-lines file at `path`.

    A last line that was cut off while it was written makes room for it; one that only lacks its line break
    gets it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(line, ensure_ascii=False) + "\n"
    with open(path, "ab+", buffering=0) as file:  # one write: lines of two processes do not mix
        file.seek(0)
        whole = file.read()
        start = whole.rfind(b"\n") + 1
        if _is_json(whole[start:]):
            text = "\n" + text
        elif start < len(whole):
            file.truncate(start)
        file.write(text.encode())


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _command() -> str:
    program = Path(sys.argv[0])
    name = program.parent.name if program.name == "__main__.py" else program.name  # of `python -m`
    return " ".join([name, *sys.argv[1:]])


@cache
def _commit() -> tuple[str | None, bool | None]:
    """Commit of this package's own checkout and whether it was changed, as it was when this was first asked;
    None where there is none. The code that runs was read then, whatever became of the checkout since."""

    def git(*words: str) -> str:
        folder = Path(__file__).parent
        run = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True)
        return run.stdout.strip()

    try:
        top = Path(git("rev-parse", "--show-toplevel"))
        if not (top / "src" / "resnext").samefile(Path(__file__).parents[1]):
            return None, None  # installed inside somebody else's repository
        changed = git("-C", str(top), "status", "--porcelain", "--", ".", ":!results")  # they are no code
        return git("rev-parse", "HEAD"), bool(changed)
    except (OSError, subprocess.CalledProcessError):
        return None, None
