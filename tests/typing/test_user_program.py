"""mypy and the program of a user agree on the types that the package exports. pyright: `make types`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PLACE = Path(__file__).parent


@pytest.mark.slow
def test_mypy_accepts_the_program_and_finds_its_mistakes(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    config = ["--config-file", str(PLACE / "mypy.ini"), "--cache-dir", str(tmp_path)]
    program = [str(PLACE / "user_program.py")]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *config, *program], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
