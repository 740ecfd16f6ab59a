"""Names of classes and files, which may hold anything, act on nothing that they are printed on."""

from __future__ import annotations

import csv
import io
import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from resnext.cli import output
from resnext.cli.output import number_table, print_table
from resnext.names import csv_cell, printable

#: Markup and emoji of rich, moves of the cursor, line breaks, formulas, Markdown, TeX, reversed text.
CLASSES = (
    *("[/x]", "[red]", ":cat:", "\x1b[2J\x1b[31m", "two\nlines", "=1+1", "@sum", "-2"),
    *("![x](http://a.b/c)", "<img src=x>", "$\\frac$", "\u202etac", "\x9b31m", "a\rb"),
)
UNSAFE = {chr(c) for c in (*range(10), *range(11, 32), *range(127, 160), 0x202E)}


@pytest.fixture(scope="module")
def evil(
    tmp_path_factory: pytest.TempPathFactory,
    make_folder: Callable[..., Path],
    run: Callable[..., int],
    quick: list[str],
) -> Path:
    """A table of images of these classes, and beside it a run on it, `x`, with a report."""
    root: Path = tmp_path_factory.mktemp("evil")
    make_folder(root / "images", {str(i): 3 for i in range(len(CLASSES))})
    (root / "images" / "0" / "0.png").rename(root / "images" / "0" / "=\x1b[2J\n.png")
    with open(root / "set.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label"])
        for i, name in enumerate(CLASSES):
            for path in sorted((root / "images" / str(i)).iterdir()):
                rows.writerow([str(path.relative_to(root)), name])
    assert run("train", root / "set.csv", "--runs", root, "--name", "x", *quick) == 0
    return root


def test_what_is_printed(evil: Path, run: Callable[..., int], capfd: pytest.CaptureFixture[str]) -> None:
    capfd.readouterr()
    assert run("evaluate", evil / "x", evil / "set.csv") == 0
    assert run("predict", evil / "x", evil / "images" / "0", "--top", len(CLASSES)) == 0
    assert run("report", evil / "x") == 0
    shown = capfd.readouterr()
    assert not UNSAFE & {*shown.out, *shown.err}
    for name in CLASSES:
        assert shown.out.count(printable(name)) >= 4  # evaluated once, and predicted for three images
    assert run("evaluate", evil / "x", evil / "set.csv", "--json", "-") == 0
    shown = capfd.readouterr()
    assert not UNSAFE & {*shown.out}
    assert {row["name"] for row in json.loads(shown.out)["classes"]} == {*CLASSES}


def test_what_is_written(evil: Path, run: Callable[..., int]) -> None:
    out, cells = evil / "out.csv", {csv_cell(name) for name in CLASSES}
    predict = ("predict", evil / "x", evil / "images" / "0", "--out", out)

    assert run(*predict, "--top", 2) == 0
    text = out.read_text()
    assert not UNSAFE & set(text)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row[column] for row in rows for column in ("label", "label_1", "label_2")} <= cells
    assert any(r"=\u001b[2J\n.png" in row["picture"] for row in rows)

    out.unlink()
    assert run(*predict, "--probabilities", "all") == 0
    text = out.read_text()
    assert not UNSAFE & set(text)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {f"p({printable(name)})" for name in CLASSES} < rows[0].keys()
    assert {row["label"] for row in rows} <= cells

    card = (evil / "x" / "model" / "README.md").read_text()
    assert not UNSAFE & set(card)
    assert "![" not in card
    assert "<img" not in card
    page = (evil / "x" / "report.html").read_text()
    assert not UNSAFE & set(page)
    assert "<img src=x>" not in page
    assert "\\frac" in page  # as it is, not as TeX


def test_an_error_about_a_name_is_one_message(
    run: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("train", "no\x1b[2Jwhere") == 3
    assert r"no\u001b[2Jwhere: there is no such folder" in capfd.readouterr().err
    for words in (
        ("evaluate", "no\nresnext: done", "digits"),
        ("train", "digits", "--runs", "/dev/null/no\nresnext: done"),
        ("report", "no\nresnext: done"),
    ):
        assert run(*words) in (2, 3)
        assert capfd.readouterr().err.count("\n") == 1


def test_more_workers_than_cores_are_told_once(
    evil: Path, run: Callable[..., int], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch would warn for each loader, in its own words, and suggest nothing that can be typed."""
    workers = len(os.sched_getaffinity(0)) + 1
    monkeypatch.setattr(output, "count_cores", lambda: workers - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run("evaluate", evil / "x", evil / "set.csv", "--workers", workers) == 0
    note = f"note: --workers {workers}: {workers} processes would decode images on {workers - 1} cores;"
    assert capfd.readouterr().err.count(note) == 1
    output.note_workers(workers - 1)
    output.note_workers(None)
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(output.launcher, "local_size", lambda: 2)
    output.note_workers(workers - 1)
    assert f"{2 * workers - 2} processes" in capfd.readouterr().err


def test_tables_show_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    table = number_table(["[b]name[/b]"], [":dog:"], "[red]title[/red]")
    table.add_row("[/x]", ":cat:")
    print_table(table)
    shown = capsys.readouterr().out
    for text in ("[b]name[/b]", ":dog:", "[red]title[/red]", "[/x]", ":cat:"):
        assert text in shown
