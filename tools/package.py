"""Build what is released from the last commit, and check it: `make package`.

The sdist and the wheel are built twice, in two folders, and must be the same bytes; `twine check` must pass;
the wheel is installed in a new environment, where `resnext doctor --self` and `resnext demo` must pass; and
what that environment holds is written as a bill of materials (CycloneDX JSON). All of it goes to dist/.

python tools/package.py --quick     leaves out the environment, the demo and the bill of materials
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"


def git(*words: str) -> bytes:
    """What git says about the repository."""
    return subprocess.run(["git", "-C", str(ROOT), *words], stdout=subprocess.PIPE, check=True).stdout


def build(place: Path, epoch: str) -> Path:
    """The folder with the sdist of the last commit, and the wheel that is built from that sdist.

    Args:
        place: An empty folder.
        epoch: Seconds since 1970 that all files in both are dated by.
    """
    with tarfile.open(fileobj=io.BytesIO(git("archive", "HEAD"))) as commit:
        commit.extractall(place / "source", filter="data")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "build",
            "--no-isolation",
            "--outdir",
            str(place / "dist"),
            str(place / "source"),
        ],
        env=os.environ | {"SOURCE_DATE_EPOCH": epoch},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return place / "dist"


def check_contents(sdist: Path) -> None:
    """Raise `SystemExit` unless the sdist holds what is committed, but for hidden files of the repository."""
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()} - {"PKG-INFO"}
    committed = set(git("ls-tree", "-r", "--name-only", "HEAD").decode().split())
    missing = {name for name in committed - held if not name.startswith(".")}
    if strange := missing | (held - committed):
        raise SystemExit(f"{sdist.name}: what is committed and what it holds differ: {sorted(strange)}")


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of the files in `folder`, by name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def install(wheel: Path, place: Path) -> Path:
    """The interpreter of a new environment that holds the wheel, what it needs, and nothing else."""
    venv.create(place)
    python = place / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run([*pip, "-c", str(ROOT / "constraints.txt"), str(wheel)], check=True)
    return python


def try_it(python: Path, place: Path) -> None:
    """Run the installed package, in a folder that has none of its source."""
    for words in (["doctor", "--self"], ["demo", "--runs", str(place / "runs")]):
        print(f"resnext {' '.join(words[:2])}", flush=True)
        subprocess.run([str(python.parent / "resnext"), *words], cwd=place, check=True)


def write_bill(python: Path, out: Path) -> None:
    """Write what the environment of `python` holds to `out`."""
    words = [
        "cyclonedx_py",
        "environment",
        "--pyproject",
        str(ROOT / "pyproject.toml"),
        "--output-reproducible",
    ]
    more = ["--output-format", "JSON", "--output-file", str(out), str(python)]
    subprocess.run([sys.executable, "-m", *words, *more], check=True)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    words.add_argument("--quick", action="store_true", help="build and check; install nothing")
    options = words.parse_args()
    if changed := git("status", "--porcelain").decode().strip():
        print(f"note: what is not committed is not built:\n{changed}", file=sys.stderr)
    epoch = git("log", "-1", "--format=%ct").decode().strip()
    with tempfile.TemporaryDirectory() as temporary:
        places = [Path(temporary, name) for name in ("one", "two", "trial")]
        for place in places:
            place.mkdir()
        one, two = (build(place, epoch) for place in places[:2])
        if digests(one) != digests(two):
            raise SystemExit(f"two builds of one commit differ: {digests(one)} and {digests(two)}")
        files = sorted(one.iterdir())
        check_contents(next(one.glob("*.tar.gz")))
        subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *map(str, files)], check=True)
        shutil.rmtree(DIST, ignore_errors=True)
        shutil.copytree(one, DIST)
        if not options.quick:
            python = install(next(DIST.glob("*.whl")), places[2] / "environment")
            try_it(python, places[2])
            write_bill(python, DIST / "resnext.cdx.json")
    for name, digest in digests(DIST).items():
        print(f"{digest}  {name}")


if __name__ == "__main__":
    main()
