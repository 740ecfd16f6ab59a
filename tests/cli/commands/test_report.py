"""`resnext report`."""

from __future__ import annotations

import re
import shutil
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


def test_the_page_of_an_exported_file_is_that_of_its_run(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], run: Callable[..., int]
) -> None:
    copy = tmp_path / "x"
    shutil.copytree(trained, copy)
    assert run("report", copy) == 0
    assert "<h2>Exports</h2>" not in (copy / "report.html").read_text()
    assert run("export", copy, "--to", "hub", "pt2") == 0
    capsys.readouterr()
    assert run("report", copy / "exports" / "x.pt2") == 0
    assert capsys.readouterr().out == f"{copy / 'report.html'}\n"
    page = (copy / "report.html").read_text()
    assert re.search(r"<td>x\.pt2</td><td[^>]*>pt2</td><td>6</td><td>100.00 %</td>", page)
    assert re.search(r"<td>x\.hub</td><td[^>]*>torch</td><td>6</td>", page)
    weights = copy / "model" / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))  # the run went on
    assert run("report", copy) == 0
    assert "<h2>Exports</h2>" not in (copy / "report.html").read_text()
    weights.write_bytes(content)
    shutil.move(copy / "exports" / "x.pt2", tmp_path / "x.pt2")
    assert run("report", tmp_path / "x.pt2") == 2
    assert run("report", copy) == 0
    assert "x.pt2" not in (copy / "report.html").read_text()
    (copy / "exports" / "parity.json").write_text("{")
    assert run("report", copy) == 2
    assert "parity.json: cannot be read" in capsys.readouterr().err
