"""`resnext report`."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from resnext.reporting.plot_fonts import FontMissing


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


def test_warnings_of_ours_are_notes(
    trained: Path,
    capsys: pytest.CaptureFixture[str],
    run: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On one line, without the code that they come from; those of others are left to Python."""

    def warn(*_: object) -> Path:
        warnings.warn("install\x1b this", FontMissing, stacklevel=1)
        warnings.warn("of others", DeprecationWarning, stacklevel=1)
        return trained

    monkeypatch.setattr("resnext.write_report", warn, raising=False)
    with pytest.warns(DeprecationWarning, match="of others") as told:
        assert run("report", trained) == 0
    assert len(told) == 1
    assert capsys.readouterr().err == "note: install\\u001b this\n"
