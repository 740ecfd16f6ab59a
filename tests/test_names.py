"""No name can act on a terminal, a spreadsheet or a page."""

from __future__ import annotations

import csv
import io
import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnext.names import (
    MAX_BRIEF,
    brief,
    columns,
    csv_cell,
    encodable,
    markdown,
    printable,
    printable_lines,
    shorten,
)

any_text = st.text(st.characters(), max_size=30)


@given(any_text)
def test_what_is_printed_acts_on_no_terminal(name: str) -> None:
    for shown in (printable(name), *printable_lines(name).split("\n"), csv_cell(name), markdown(name)):
        assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cs", "Zl", "Zp"}
        assert not {unicodedata.bidirectional(c) for c in shown} & {
            *("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
        }
        assert not set(shown) & {*"\u061c\u200e\u200f\u206a\u206b\u206c\u206d\u206e\u206f\ufff9\ufffa\ufffb"}
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
    for separator in ",;\t":
        for cell in next(csv.reader(io.StringIO(file.getvalue()), delimiter=separator)):
            start = unicodedata.normalize("NFKC", cell).strip()[:1]  # of full width, too
            if start in ("=", "@", "+", "-", "\u2212") and start:
                float(cell.partition(",")[0])  # a number; commas are no separators there


@pytest.mark.parametrize(
    "name",
    [
        "=1",
        "\uff1d1+1",
        "\uff20x",
        "\uff0b1",
        "\uff0d1",
        " =1",
        "\u3000=1",
        '"=1',
        '" =1',
        "\ufeff=1",
        "@a",
        "--x",
    ],
)
def test_formulas_begin_in_many_ways(name: str) -> None:
    assert csv_cell(name) == f"'{name}"
    assert csv_cell(f"a;{name}") == f"a;'{name}"
    assert csv_cell(f"a,{name};b") == f"a,{name};b"  # which is quoted, and is no separator beside semicolons


def test_cells_that_begin_with_a_tab_begin_with_its_escape() -> None:
    assert [csv_cell(f"{c}=1") for c in "\t\r\n"] == [r"\t=1", r"\r=1", r"\n=1"]


def test_numbers_stay_numbers_in_cells() -> None:
    for name in ("-1", "+2", "-0.5"):
        assert csv_cell(name) == name
    assert csv_cell("-1+cmd|' /C calc'!A0") == "'-1+cmd|' /C calc'!A0"


def test_markdown_is_text() -> None:
    for name in ("![x](y)", "[x](y)", "<img src=x>", "`x`", "*x*", "a|b", "http://x", "&lt;"):
        shown = markdown(name)
        assert not any(f"{mark}" in shown.replace(f"\\{mark}", "") for mark in "[]`*|<>!:")


def test_markdown_makes_no_link_of_a_name() -> None:
    assert markdown("www.a.b WWW.a") == r"www\.a.b WWW\.a"


#: Names with much in common, so that most of them would be cut to the same.
alike = st.builds("{}{}{}".format, st.sampled_from(["", "a" * 30, "猫" * 15]), any_text, st.just("z" * 30))


@given(st.lists(any_text | alike, unique=True), st.integers(12, 40))
def test_shortened_names_fit_and_are_told_apart(names: list[str], width: int) -> None:
    short = shorten(names, width)
    assert list(short) == names
    assert all(columns(one) <= width for one in short.values())
    seen = {"".join(c for c in one if unicodedata.category(c) != "Cf").strip() for one in short.values()}
    assert len(seen) == len(names)
    for name, one in short.items():
        assert printable(one) == one
        assert one == printable(name) or "…" in one


def test_names_are_shortened_as_little_as_it_takes() -> None:
    cats = ["n02123045 tabby, tabby cat", "n02123394 tabby, tabby cat", "cat"]
    assert list(shorten(cats).values()) == ["n02123045 …bby cat", "n02123394 …bby cat", "cat"]
    middles = [f"the same beginning {middle} and the same end" for middle in "xy"]
    assert list(shorten(middles).values()) == ["the same…1…ame end", "the same…2…ame end"]
    ends = [f"the very same beginning of {c}23456789" for c in "01"]
    assert list(shorten(ends).values()) == ["the very…023456789", "the very…123456789"]
    assert shorten(["猫" * 10, "cafe\u0301", "café"])["猫" * 10] == "猫猫猫猫猫…猫猫猫"
    assert len(set(shorten(["a", "a ", "a\u200b", "a\n", r"a\n"]).values())) == 5
    assert shorten([]) == {}
    with pytest.raises(ValueError, match="at least 12"):
        shorten(["x"], 11)


def test_thousands_of_names_that_are_alike_are_numbered_at_once() -> None:
    names = [f"{'a' * 30}{i}{'z' * 30}" for i in range(2000)]
    assert len(set(shorten(names, 12).values())) == 2000


@given(st.text(max_size=2000))
def test_brief_names_keep_both_ends(name: str) -> None:
    shown = brief(name)
    if len(name) <= MAX_BRIEF:
        assert shown == printable(name)
    else:
        assert shown.startswith(printable(name[:50]))
        assert shown.endswith(printable(name[-40:]))
        assert len(shown) < 6 * MAX_BRIEF
