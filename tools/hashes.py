"""Write hashes.txt: the pinned versions with the SHA-256 of each of their files, for `pip --require-hashes`.

`python tools/hashes.py` asks the index that pip asks. torch and what belongs to it are left out, since their
wheels differ between the indexes for CPUs and for each CUDA: install torch first.
"""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
OF_TORCH = ("torch", "torchvision", "timm", "triton")
JSON = "application/vnd.pypi.simple.v1+json"


def pinned() -> dict[str, str]:
    """Versions of constraints.txt by name."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    return {name: version for name, version in pins.items() if name not in OF_TORCH}


def hashes(name: str, version: str) -> list[str]:
    """SHA-256 of all files of a version, in order."""
    from pip._internal.models.index import PyPI  # it replaces modules that others may have imported

    address = f"{PyPI.simple_url}/{re.sub('[-_.]+', '-', name).lower()}/"
    request = urllib.request.Request(address, headers={"Accept": JSON})
    with urllib.request.urlopen(request, timeout=60) as answer:
        files = json.load(answer)["files"]
    stem = re.sub("[-_.]+", "[-_.]+", re.escape(name).replace("\\-", "-"))
    own = re.compile(rf"{stem}-{re.escape(version)}(-.*\.whl|\.tar\.gz|\.zip)", re.IGNORECASE)
    found = sorted(file["hashes"]["sha256"] for file in files if own.fullmatch(file["filename"]))
    if not found:
        raise SystemExit(f"{name}: the index has no files of version {version}")
    return found


def main() -> None:
    lines = [
        "# Made by tools/hashes.py from constraints.txt: each pinned version, and the SHA-256 of its files."
    ]
    for name, version in pinned().items():
        lines.append(
            " \\\n    ".join([f"{name}=={version}", *(f"--hash=sha256:{h}" for h in hashes(name, version))])
        )
    (ROOT / "hashes.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
