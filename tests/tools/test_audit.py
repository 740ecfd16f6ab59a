"""What `make audit` says and how it ends: it never passes where it could not ask."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

judge = runpy.run_path(str(Path(__file__).parents[2] / "tools" / "audit.py"))["judge"]
SOUND: dict[str, Any] = {"name": "a", "version": "1", "vulns": []}
FLAWED: dict[str, Any] = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["2.1"]}]}
SKIPPED: dict[str, Any] = {"name": "c", "skip_reason": "not on the index"}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([SOUND], 0, "1 of 1 pinned packages asked about, 0 vulnerabilities known"),
        ([SOUND, FLAWED], 1, "b 2: CVE-1, mended in 2.1"),
        ([SOUND, SKIPPED], 2, "nothing is known of c (of the first: not on the index)"),
        ([SKIPPED, FLAWED], 1, "1 of 2 pinned packages asked about, 1 vulnerabilities known"),
        ([], 2, "0 of 0 pinned packages"),
    ],
)
def test_how_it_ends(packages: list[dict[str, Any]], code: int, said: str) -> None:
    ended, lines = judge({"dependencies": packages}, "")
    assert ended == code
    assert any(said in line for line in lines)


def test_without_a_network_it_says_so_and_fails() -> None:
    code, lines = judge(None, "ERROR: a\nConnectionError: no route to host\n\n")
    assert code == 2
    assert lines == ["audit: could not be done, so nothing is known: ConnectionError: no route to host"]
    assert judge(None, "")[0] == 2
