"""The pinned versions, and the hashes of their files."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_each_pinned_version_has_its_hashes() -> None:
    text = (ROOT / "hashes.txt").read_text()
    blocks = re.findall(r"^(\S+)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", text, re.MULTILINE)
    hashed = {name: version for name, version, _ in blocks}
    assert hashed == runpy.run_path(str(ROOT / "tools" / "hashes.py"))["pinned"]()
    assert len(hashed) > 50
    assert text.count("\n") == 1 + sum(1 + hashes.count("--hash") for *_, hashes in blocks)
