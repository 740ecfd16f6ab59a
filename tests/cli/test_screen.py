"""Any name can be shown on any screen."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from resnext.cli.screen import prepare_screen, say

NAMES = ("猫咪", "[/x] cat", ":cat: [red]")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
def test_characters_that_a_screen_lacks_are_escaped(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    prepare_screen()
    for stream in (sys.stdout, sys.stderr):
        say(*NAMES, file=stream)
        stream.flush()
        shown = stream.buffer.getvalue().decode(encoding).splitlines()
        assert shown[1:] == list(NAMES[1:])
        assert shown[0] in (NAMES[0], r"\u732b\u54aa")


def test_a_closed_screen_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    prepare_screen()
    say("x")
    say("x", file=sys.stderr)
    sys.stdout.flush()
    sys.stdout.close()
    sys.stderr.close()


@pytest.mark.parametrize("closed", [1, 2])
def test_a_command_whose_output_is_closed_has_its_exit_code(closed: int) -> None:
    run = f"os.execv({sys.executable!r}, [{sys.executable!r}, '-m', 'resnext', '--version'])"
    code = f"import os; os.close({closed}); {run}"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60).returncode == 0


def test_names_on_a_terminal_are_no_markup(tmp_path: Path, make_folder: Any) -> None:
    """With a bar on the terminal, its console prints what else is said."""
    make_folder(tmp_path / "a", dict.fromkeys((*NAMES[2:], "[x] cat", "dog"), 5), (8, 8))
    ours, theirs = pty.openpty()
    words = f"train {tmp_path / 'a'} --epochs 1 --batch 4 --data.size-px 8 --model resnet11+template=8"
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    command = [sys.executable, "-m", "resnext", *words.split(), "--runs", str(tmp_path / "runs"), "--dry-run"]
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=theirs, env=environment)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the terminal is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert process.wait(60) == 0
    text = shown.decode()
    assert ":cat: [red]" in text
    assert "[x] cat" in text
