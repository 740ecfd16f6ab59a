"""Fonts for the letters of names in plots.

An SVG holds text, which a browser draws in its own fonts. Matplotlib needs a font that has the letters to
know how much room they take.
"""

from __future__ import annotations

import functools
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from resnext.errors import ResnextWarning

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Letters that a warning shows.
SHOWN = 5
#: Weights of fonts that are used: of the others, one would be taken for another.
PLAIN_WEIGHTS = ("400", "normal", "regular")
#: Part of the names of fonts that have a box for every letter there is.
LAST_RESORT = "LastResort"


class FontMissing(ResnextWarning):
    """No installed font has the letters of a name."""


@contextmanager
def fonts_for(figure: Figure) -> Iterator[None]:
    """Draw `figure` inside with installed fonts that have its letters.

    Warns with `FontMissing`, which Python shows once, where none has them; Matplotlib's own warnings, one a
    letter, are not shown.
    """
    from matplotlib.text import Text

    for axes in figure.axes:
        axes.get_xticklabels(), axes.get_yticklabels()  # made when they are asked for
    texts = figure.findobj(Text)
    letters = {letter for text in texts for letter in text.get_text() if _is_drawn(letter)}  # type: ignore[attr-defined]
    families, lacking = find_fonts(letters)
    for text in texts:
        text.set_fontfamily([*text.get_fontfamily(), *families])  # type: ignore[attr-defined]
    if lacking:
        warnings.warn(_advice(lacking), FontMissing, stacklevel=3)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        yield


def find_fonts(letters: set[str]) -> tuple[list[str], set[str]]:
    """Families to fall back to for `letters`, as few as possible, and the letters that no font has."""
    from matplotlib.font_manager import FontProperties, findfont

    lacking = letters - _covered(findfont(FontProperties()), letters)
    families: list[str] = []
    covers = _coverage(lacking) if lacking else {}
    while lacking and (best := max(sorted(covers), key=lambda name: len(covers[name] & lacking), default="")):
        if not covers[best] & lacking:
            break
        families.append(best)
        lacking -= covers[best]
    return families, lacking


def _coverage(letters: set[str]) -> dict[str, set[str]]:
    """Which of `letters` each installed family has."""
    from matplotlib.font_manager import fontManager

    _add_new_fonts()
    covers = {}
    for font in fontManager.ttflist:
        is_plain = (font.style, font.stretch) == ("normal", "normal") and str(font.weight) in PLAIN_WEIGHTS
        if is_plain and LAST_RESORT not in font.fname:
            with suppress(OSError, RuntimeError):  # damaged, or removed since
                covers[font.name] = _covered(font.fname, letters)
    return covers


def _covered(path: str, letters: set[str]) -> set[str]:
    """Which of `letters` the font at `path` has."""
    from matplotlib.font_manager import get_font

    font = get_font(path)
    return {letter for letter in letters if font.get_char_index(ord(letter))}


@functools.cache
def _add_new_fonts() -> None:
    """Tell Matplotlib of the fonts that were installed since it made its list, which it keeps on the disk."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    for path in {*findSystemFonts()} - {font.fname for font in fontManager.ttflist}:
        with suppress(Exception):  # of a format that it cannot draw
            fontManager.addfont(path)


def _is_drawn(letter: str) -> bool:
    """Whether `letter` has a picture of its own: spaces, joiners and selectors of variants have none."""
    return not letter.isspace() and unicodedata.category(letter) not in ("Cc", "Cf", "Mn")


def _advice(letters: set[str]) -> str:
    shown = " ".join(sorted(letters)[:SHOWN])
    more = f" and {len(letters) - SHOWN} more" if len(letters) > SHOWN else ""
    packages = " ".join(sorted({_package(letter) for letter in letters}))
    return (
        f"no installed font has {shown}{more}: plots leave a guessed room for such names. Where a page shows "
        f"boxes, its reader lacks a font too. Debian and Ubuntu: apt install {packages}"
    )


def _package(letter: str) -> str:
    """The package of Debian whose font has `letter`."""
    if unicodedata.category(letter) == "So":
        return "fonts-symbola"
    return "fonts-noto-cjk" if unicodedata.east_asian_width(letter) in "WFH" else "fonts-noto-core"
