"""The tests on every Python that is here, with the lowest versions that pyproject.toml allows and the newest.

python tools/matrix.py                               the fast suite on each; takes minutes for each
python tools/matrix.py tests/test_arch.py            these tests instead
python tools/matrix.py --python 3.13 --versions lowest -- -x tests/arch

Each combination has an environment of its own in .matrix/, made by uv from wheels alone. The lowest version
is the lowest that has a wheel for that Python. Where torch's CPU build is comes from uv's own variables, such
as UV_TORCH_BACKEND=cpu, UV_INDEX or UV_FIND_LINKS.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACE = ROOT / ".matrix"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
#: What uv calls the choice among the versions that are allowed.
VERSIONS = {"lowest": "lowest-direct", "newest": "highest"}
FAST = ("-m", "not slow", "tests")
#: Packages whose versions the table tells.
TOLD = ("torch", "numpy", "pillow", "tyro")


@dataclass(frozen=True)
class Outcome:
    """What became of one combination: the versions that it had, and the last line of pytest or the reason."""

    python: str
    versions: str
    passed: bool
    packages: str
    said: str
    seconds: float


def uv(*words: str) -> subprocess.CompletedProcess[str]:
    """What uv says; it downloads no interpreter."""
    command = [sys.executable, "-m", "uv", "--no-python-downloads", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def find(python: str) -> Path | None:
    """The interpreter of a version, or at a path; None if there is none."""
    found = uv("python", "find", "--system", python)
    return Path(found.stdout.strip()) if found.returncode == 0 else None


def try_one(python: str, interpreter: Path, versions: str, words: list[str]) -> Outcome:
    """Make the environment of a combination, import the package in it, and run pytest."""
    start = time.monotonic()
    place = PLACE / f"{python.replace('/', '-').strip('-')}-{versions}"
    inside = place / "bin" / "python"

    def outcome(passed: bool, said: str) -> Outcome:
        told = uv("pip", "list", "--python", str(inside), "--format", "json").stdout
        installed = {one["name"]: one["version"] for one in json.loads(told or "[]")}
        packages = ", ".join(f"{name} {installed[name]}" for name in TOLD if name in installed)
        return Outcome(python, versions, passed, packages, said, time.monotonic() - start)

    shutil.rmtree(place, ignore_errors=True)
    made = uv("venv", "--python", str(interpreter), str(place))
    if made.returncode == 0:
        choice = ["--resolution", VERSIONS[versions], "--only-binary", ":all:", "--no-binary", "resnext"]
        made = uv("pip", "install", "--python", str(inside), *choice, "-e", ".[dev]")
    if made.returncode != 0:
        return outcome(False, f"no environment: {last_line(made.stderr)}")
    imported = subprocess.run([inside, "-c", "import resnext"], capture_output=True, text=True)
    if imported.returncode != 0:
        return outcome(False, f"no import: {last_line(imported.stderr)}")
    log = place / "pytest.log"
    with open(log, "w") as file:
        command = [str(inside), "-m", "pytest", "-p", "no:cacheprovider", *words]
        done = subprocess.run(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)
    return outcome(done.returncode == 0, f"{last_line(log.read_text())} ({log.relative_to(ROOT)})")


def last_line(text: str) -> str:
    """The last line that says something."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "nothing was said")


def table(outcomes: list[Outcome]) -> str:
    """One line for each combination."""
    rows = [("python", "versions", "", "seconds", "packages", "pytest")]
    for one in outcomes:
        state = "passed" if one.passed else "FAILED"
        rows.append((one.python, one.versions, state, f"{one.seconds:.0f}", one.packages, one.said))
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    return "\n".join(
        "  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[5]]) for row in rows
    )


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    words.add_argument("--python", nargs="+", default=PYTHONS, help="versions or paths of interpreters")
    words.add_argument("--versions", nargs="+", choices=[*VERSIONS], default=[*VERSIONS])
    words.add_argument("pytest", nargs="*", default=FAST, help="words for pytest")
    options = words.parse_args()
    found = {python: find(python) for python in options.python}
    outcomes = []
    for python, interpreter in found.items():
        for versions in options.versions if interpreter is not None else ():
            outcomes.append(try_one(python, interpreter, versions, [*options.pytest]))
            print(table(outcomes[-1:]).splitlines()[1], flush=True)
    print("", table(outcomes), sep="\n")
    if absent := [python for python, interpreter in found.items() if interpreter is None]:
        print(f"not here, so not tried: Python {', '.join(absent)}")
    return 0 if outcomes and all(one.passed for one in outcomes) else 1


if __name__ == "__main__":
    raise SystemExit(main())
