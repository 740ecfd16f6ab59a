"""All that commands print goes through one function, which lets no name act on a terminal."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from resnext import cli
from resnext.cli.screen import say, say_text
from resnext.names import printable_lines

EVIL = "a\x1b[2J\nresnext: done\u202e"


def test_nothing_else_prints() -> None:
    root = Path(cli.__file__).parent
    printing = {
        path.name
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name) and node.id == "print"
    }
    assert printing == {"screen.py"}


def test_what_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    say("first", EVIL)
    say()
    say_text(json.dumps({"name": EVIL}, indent=2, ensure_ascii=False))
    first, second, empty, *text = capsys.readouterr().out.split("\n")
    assert (first, second, empty) == ("first", r"a\u001b[2J\nresnext: done\u202e", "")
    assert json.loads("\n".join(text)) == {"name": EVIL}
    assert all(printable_lines(line) == line for line in text)


@pytest.mark.usefixtures("no_reports")
def test_folders_with_evil_names(
    colours: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    run: Callable[..., int],
    quick: list[str],
) -> None:
    out = tmp_path / EVIL
    out.mkdir()
    assert run("train", colours, "--runs", out, "--name", "x", *quick) == 0
    assert run("index", colours, out / "set.index") == 0
    assert run("select", colours, out / "few", "--like", colours) == 0
    assert run("select", colours, out / "few", "--like", colours) == 3
    shown = capfd.readouterr()
    for text in (shown.out, shown.err):
        assert printable_lines(text) == text
        assert "\nresnext: done" not in text
