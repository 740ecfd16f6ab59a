"""Plots are drawn whatever windows the environment asks for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from resnext.run import Run


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "rubbish", "tkagg"])
def test_a_report_is_written_whatever_mplbackend_says(backend: str, run: Run, tmp_path: Path) -> None:
    """As a notebook sets it for the processes that it starts, which may lack the module."""
    shutil.copytree(run.folder, tmp_path / "x")
    (tmp_path / "x" / "report.html").unlink()
    words = [sys.executable, "-m", "resnext", "report", str(tmp_path / "x")]
    done = subprocess.run(words, env={**os.environ, "MPLBACKEND": backend}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "<svg" in (tmp_path / "x" / "report.html").read_text()


def test_other_plots_keep_their_windows() -> None:
    """Drawing leaves MPLBACKEND to those who draw for themselves afterwards."""
    code = (
        "from resnext.reporting.plot_style import plot_style\n"
        "with plot_style(): pass\n"
        "import matplotlib, os; print(os.environ['MPLBACKEND'], matplotlib.get_backend())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "MPLBACKEND": "pdf"}, capture_output=True, text=True
    )
    assert done.stdout == "pdf pdf\n", done.stderr
