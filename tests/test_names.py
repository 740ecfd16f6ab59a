"""No name can act on a terminal, a spreadsheet or a page."""

from __future__ import annotations

import csv
import io
import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from resnext.names import csv_cell, encodable, markdown, printable, printable_lines

any_text = st.text(st.characters(), max_size=30)


@given(any_text)
def test_what_is_printed_acts_on_no_terminal(name: str) -> None:
    for shown in (printable(name), *printable_lines(name).split("\n"), csv_cell(name), markdown(name)):
        assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cs", "Zl", "Zp"}
        assert not {unicodedata.bidirectional(c) for c in shown} & {
            *("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
        }
        shown.encode()


def test_other_names_stay_as_they_are() -> None:
    for name in ("cat", "chat noir", "猫", "👩‍🚀", "می‌خواهم", "a: b, c", "[red]", ":cat:", "$x$"):
        assert printable(name) == printable_lines(name) == encodable(name) == name


@given(any_text)
def test_json_stays_the_same_json(name: str) -> None:
    assert json.loads(printable_lines(json.dumps({name: [name]}, indent=1, ensure_ascii=False))) == {
        name: [name]
    }


@given(any_text)
def test_no_cell_is_a_formula(name: str) -> None:
    file = io.StringIO()
    csv.writer(file).writerow([csv_cell(name), csv_cell(f"={name}"), csv_cell(f"@{name}")])
    for cell in next(csv.reader(io.StringIO(file.getvalue()))):
        assert not cell.startswith(("=", "@", "\t", "\r"))
        if cell.startswith(("+", "-")):
            float(cell)


def test_numbers_stay_numbers_in_cells() -> None:
    for name in ("-1", "+2", "-0.5"):
        assert csv_cell(name) == name
    assert csv_cell("-1+cmd|' /C calc'!A0") == "'-1+cmd|' /C calc'!A0"


def test_markdown_is_text() -> None:
    for name in ("![x](y)", "[x](y)", "<img src=x>", "`x`", "*x*", "a|b", "http://x", "&lt;"):
        shown = markdown(name)
        assert not any(f"{mark}" in shown.replace(f"\\{mark}", "") for mark in "[]`*|<>!:")
