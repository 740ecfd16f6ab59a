"""Result records: every outcome as one line of JSON, stamped with the code and machine that made it."""

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

from resnext.errors import ResnextError
from resnext.files import ordinary
from resnext.names import printable
from resnext.parsing import read_json_lines
from resnext.version import __version__

SCHEMA = 1
#: Packages whose version can change a result.
PACKAGES = ("torch", "numpy", "pillow", "scikit-learn")


class RecordsError(ResnextError):
    """A file of records that cannot be read; the message names the file and the line."""

    exit_code = 3


@dataclass(frozen=True)
class Stamp:
    """When, on which machine and by which code a result was made."""

    time_utc: str
    device: str
    versions: dict[str, str]
    commit: str | None
    dirty: bool | None
    command: str


@dataclass(frozen=True)
class ResultRecord:
    """The outcome of one training run.

    `metrics` are by split, `curve` has at most 100 epochs, `waits` says where the time went, in seconds.
    `experiment` and `arm` are labels for whoever compares runs.
    """

    kind: str
    seed: int
    recipe: dict[str, Any]
    data: dict[str, str]
    metrics: dict[str, Any]
    curve: list[dict[str, float]]
    cost: dict[str, int]
    seconds: float
    images_per_s: float
    waits: dict[str, float]
    stamp: Stamp
    experiment: str | None = None
    arm: str | None = None
    schema: int = field(default=SCHEMA)

    def to_json(self) -> dict[str, Any]:
        """The record as it is written, with the stamp's fields beside its own."""
        value = {_KEYS.get(name, name): content for name, content in asdict(self).items()}
        stamped: dict[str, Any] = value.pop("stamp")
        return value | stamped


#: Keys of the files whose fields have another name here.
_KEYS = {"images_per_s": "pictures_per_s"}


def stamp(device: str) -> Stamp:
    """The stamp of a result made now.

    Args:
        device: Name of the machine, for people.

    >>> stamp("two cores").device
    'two cores'
    """
    versions = {"resnext": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "absent"
    commit, dirty = _commit()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Stamp(now, device, versions, commit, dirty, _command())


def read_records(path: Path) -> list[dict[str, Any]]:
    """The records in the JSON-lines file at `path`, in order; none where there is no such file.

    A last line that was cut off while it was being written is left out.

    Raises:
        RecordsError: A line is no JSON object.
    """
    if not path.exists():
        return []
    try:
        return list(read_json_lines(path))
    except ValueError as error:
        raise RecordsError(f"{path}: {error}; mend or remove it") from None


def append_record(record: dict[str, Any], path: Path) -> None:
    """Append a record to the JSON-lines file at `path`, whose folder is made where it is missing.

    A last line that was cut off while it was being written is replaced; a whole one without a line break
    gets its line break.

    Args:
        record: What `ResultRecord.to_json` returns, or `Run.result`.
        path: The file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     append_record({"seed": 0}, Path(folder) / "results.jsonl")
    ...     read_records(Path(folder) / "results.jsonl")
    [{'seed': 0}]
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = printable(json.dumps(record, ensure_ascii=False)) + "\n"
    # Without a buffer there is one write, so lines of two processes do not mix.
    with open(path, "ab+", buffering=0, opener=ordinary) as file:
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
    except (ValueError, RecursionError):
        return False
    return True


def _command() -> str:
    program = Path(sys.argv[0])
    name = program.parent.name if program.name == "__main__.py" else program.name  # started by `python -m`
    return " ".join([name, *sys.argv[1:]])


@cache
def _commit() -> tuple[str | None, bool | None]:
    """Commit of this package's checkout and whether it has uncommitted changes; None where there is none.

    Both are read once per process: the code that runs was loaded then, and the checkout may change later.
    """

    def git(*words: str) -> str:
        folder = Path(__file__).parent
        command = ["git", "--no-optional-locks", "-C", str(folder), *words]  # which writes nothing
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        top = Path(git("rev-parse", "--show-toplevel"))
        if not (top / "src" / "resnext").samefile(Path(__file__).parent):
            return None, None  # installed inside somebody else's repository
        changed = git("-C", str(top), "status", "--porcelain", "--", ".", ":!results")  # records are no code
        return git("rev-parse", "HEAD"), bool(changed)
    except (OSError, subprocess.CalledProcessError):
        return None, None
