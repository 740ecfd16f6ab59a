"""`resnext report`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


def test_a_page_of_a_run(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], run: Callable[..., int]
) -> None:
    assert run("report", trained, "--out", tmp_path / "page.html") == 0
    assert capsys.readouterr().out == f"{tmp_path / 'page.html'}\n"
    assert "<html" in (tmp_path / "page.html").read_text()


def test_bad_options_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], run: Callable[..., int]
) -> None:
    assert run("report") == 2
    assert "report needs RUN" in capsys.readouterr().err
    assert run("report", "x", "--out", tmp_path / "none" / "page.html") == 2
    assert "there is no folder" in capsys.readouterr().err
