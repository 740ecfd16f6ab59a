"""Names in any letters are drawn in a font that has them, and without warnings of each letter."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager

from resnext.reporting import plot_fonts
from resnext.reporting.plot_fonts import FontMissing, find_fonts
from resnext.reporting.run_plots import confusion_plot


@pytest.fixture(autouse=True)
def bundled(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Only the fonts that come with Matplotlib are installed, and those in the list."""
    manager, installed = font_manager.fontManager, list[str]()
    own = [font for font in manager.ttflist if "mpl-data" in font.fname]
    monkeypatch.setattr(manager, "ttflist", own)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: installed)
    plot_fonts._add_new_fonts.cache_clear()
    yield installed
    plot_fonts._add_new_fonts.cache_clear()


def make_font(path: Path, name: str, letters: str) -> str:
    """A font of squares two ems wide."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((1900, 0), (1900, 900), (0, 900)):
        pen.lineTo(corner)
    pen.closePath()
    glyphs = [".notdef", *(f"g{ord(letter)}" for letter in letters)]
    font = FontBuilder(1000, isTTF=True)
    font.setupGlyphOrder(glyphs)
    font.setupCharacterMap({ord(letter): f"g{ord(letter)}" for letter in letters})
    font.setupGlyf(dict.fromkeys(glyphs, pen.glyph()))
    font.setupHorizontalMetrics(dict.fromkeys(glyphs, (2000, 0)))
    font.setupHorizontalHeader(ascent=900, descent=-100)
    font.setupNameTable({"familyName": name, "styleName": "Regular"})
    font.setupOS2()
    font.setupPost()
    font.save(path)
    return str(path)


def plot(*names: str) -> str:
    return confusion_plot(np.eye(len(names), dtype=np.int64), names)


def test_names_get_the_fewest_fonts_that_have_their_letters(tmp_path: Path, bundled: list[str]) -> None:
    """Also fonts that were installed after Matplotlib had made its list; others change nothing."""
    with pytest.warns(FontMissing):
        guessed = plot("猫", "犬")
    bundled.append(make_font(tmp_path / "a.ttf", "One Cat", "猫"))
    bundled.append(make_font(tmp_path / "b.ttf", "Cats and Dogs", "猫犬"))
    bundled.append(make_font(tmp_path / "c.ttf", "Birds", "鳥"))
    (tmp_path / "d.ttf").write_text("no font")
    bundled.append(str(tmp_path / "d.ttf"))
    plot_fonts._add_new_fonts.cache_clear()
    assert find_fonts({*"cat猫犬"}) == (["Cats and Dogs"], set())
    assert find_fonts({*"猫犬鳥鸟"}) == (["Cats and Dogs", "Birds"], {"鸟"})
    assert find_fonts({*"Žlutý кот"}) == ([], set())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg = plot("猫", "犬")
    assert "'Cats and Dogs'" in svg
    assert ">猫</text>" in svg
    assert svg != guessed  # these letters take more room


def test_letters_without_a_font_are_told_once_with_what_to_install() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        svg = plot("猫", "ᚠᚢ", "🐶 dog\N{VARIATION SELECTOR-16}")
    assert [one.category for one in told] == [FontMissing]
    for text in ("猫", "fonts-noto-cjk", "fonts-noto-core", "fonts-symbola"):
        assert text in str(told[0].message)
    assert ">🐶 dog" in svg


def test_what_looks_like_tex_is_text() -> None:
    svg = plot("$x$", r"$\frac{1}{2", "a_b^c")
    for name in (">$x$<", r">$\frac{1}{2<", ">a_b^c<"):
        assert name in svg
