"""Whether vulnerabilities of the pinned versions are known: `make audit`, which asks the index by pip-audit.

Exit codes: 0 none is known, 1 some are, 2 the question could not be asked (as without a network), so nothing
is known. A version that the index does not know, or that was not looked up, counts as not asked.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
NONE, FOUND, NOT_ASKED = 0, 1, 2


def judge(report: dict[str, Any] | None, said: str) -> tuple[int, list[str]]:
    """The exit code, and what to print.

    Args:
        report: What pip-audit has written; None if it has written nothing.
        said: What it has printed besides, which tells why.
    """
    if report is None:
        why = next(reversed(said.strip().splitlines()), "pip-audit says nothing")
        return NOT_ASKED, [f"audit: could not be done, so nothing is known: {why}"]
    packages = report["dependencies"]
    lines = [
        f"{one['name']} {one['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'none'}"
        for one in packages
        for flaw in one.get("vulns", ())
    ]
    unknown = [one for one in packages if "skip_reason" in one]
    asked = len(packages) - len(unknown)
    summary = (
        f"audit: {asked} of {len(packages)} pinned packages asked about, {len(lines)} vulnerabilities known"
    )
    code = FOUND if lines else NOT_ASKED if unknown or not packages else NONE
    if unknown:
        names, why = ", ".join(one["name"] for one in unknown), unknown[0]["skip_reason"]
        lines.append(f"audit: nothing is known of {names} (of the first: {why})")
    return code, [*lines, summary]


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "report.json")
        words = ["--requirement", str(ROOT / "constraints.txt"), "--no-deps", "--disable-pip"]
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pip_audit",
                *words,
                "--format",
                "json",
                "--output",
                str(out),
                "--progress-spinner=off",
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        report = json.loads(out.read_text()) if out.exists() else None
    code, lines = judge(report, done.stderr)
    print(*lines, sep="\n")
    return code


if __name__ == "__main__":
    raise SystemExit(main())
