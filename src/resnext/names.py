r"""Names of classes and files where people and programs read them. A name may hold any character.

Printed raw, a name could move the cursor, recolour the terminal, start another line, or turn the text that
follows around; in a spreadsheet it could be a formula, in Markdown an image from anywhere. Standard library
only.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import count

#: Longest name of a class, in characters.
MAX_NAME = 1000
#: Longest name that a message has as a whole, in characters.
MAX_BRIEF = 400
#: Control characters, breaks of lines and paragraphs, marks of the direction of text and of what stands above
#: it, and halves of characters, which stand for bytes of file names that are not UTF-8.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufff9-\ufffb\ud800-\udfff]"
)
#: The same without the line break.
_UNPRINTABLE_IN_LINES = re.compile(f"(?!\n){_UNPRINTABLE.pattern}")
#: Least width of a shortened name, and columns of its end that are kept by preference.
MIN_SHORT, USUAL_TAIL = 12, 7
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
#: What a spreadsheet may take for the beginning of a formula, also in full width: at the start of a cell, or
#: after a semicolon, at which those of many countries divide the lines of a CSV file, whatever is quoted.
_FORMULA = re.compile('(^|;)(?=[\\s"\u200b-\u200d\ufeff]*[=+@\uff1d\uff0b\uff20\uff0d\u2212-])')
#: Characters that Markdown and HTML take for more than themselves, and what makes a link of a word.
_MARKUP = re.compile(r"[\\`*_\[\]<>!|~&$:]|(?i:(?<=www)\.)")


def printable(name: str) -> str:
    r"""`name` on one line, with escapes for what no terminal should be sent.

    >>> print(printable("cat\x1b[2J\n"), printable("chat é"))
    cat\u001b[2J\n chat é
    """
    return _UNPRINTABLE.sub(_escape, name)


def brief(name: str) -> str:
    """`name` for a message: printable, and without its middle where it is too long for the name of a file.

    >>> len(brief("A" * 20_000))
    153
    """
    if len(name) <= MAX_BRIEF:
        return printable(name)
    return printable(f"{name[: MAX_BRIEF // 4]}...{name[-MAX_BRIEF // 8 :]}")


def printable_lines(text: str) -> str:
    r"""As `printable`, for a text of several lines. JSON stays the same JSON.

    >>> print(printable_lines("cat\x1b\ndog"))
    cat\u001b
    dog
    """
    return _UNPRINTABLE_IN_LINES.sub(_escape, text)


def encodable(name: str) -> str:
    r"""`name` with escapes for bytes that are not UTF-8, so that any file can hold it.

    >>> print(encodable("caf\udce9.png"))
    caf\udce9.png
    """
    return name.encode("utf-8", "backslashreplace").decode()


def columns(text: str) -> int:
    """Columns that `text` takes on a terminal: two for a wide letter, none for an accent of its own.

    >>> columns("cat"), columns("\u732b")
    (3, 2)
    """
    return len(text) if text.isascii() else sum(map(_columns, text))


def shorten(names: Iterable[str], width: int = 18) -> dict[str, str]:
    """Each name on one line of at most `width` columns; no two of them come out alike.

    What is too long loses its middle. Where names would look alike, more of their ends is kept; where that
    does not help, they are numbered.

    Args:
        names: Names; those that fit stay whole.
        width: In columns of a terminal; at least 12.

    >>> list(shorten(["cat", "n02123045 tabby, tabby cat", "n02123394 tabby, tabby cat"]).values())
    ['cat', 'n02123045 …bby cat', 'n02123394 …bby cat']
    """
    if width < MIN_SHORT:
        raise ValueError(f"width: must be at least {MIN_SHORT}, not {width}")
    unique = list(dict.fromkeys(names))
    whole = [printable(name) for name in unique]
    for tail in sorted(range(width - 1), key=lambda tail: abs(tail - USUAL_TAIL)):
        short = [_cut(name, width, tail) for name in whole]
        if len(set(map(_look, short))) == len(short):
            break
    else:
        short = _numbered(whole, width)
    return dict(zip(unique, short, strict=True))


def counted(number: int, noun: str) -> str:
    """`number` of what `noun` names, which forms its plural by an s.

    >>> counted(1, "image"), counted(2000, "image")
    ('1 image', '2,000 images')
    """
    return f"{number:,} {noun}{'s' * (number != 1)}"


def csv_cell(name: str) -> str:
    r"""`name` as a cell that no spreadsheet takes for a formula: with a ' before it, unless it is a number.

    >>> csv_cell("=1+1"), csv_cell("-1"), csv_cell("cat"), csv_cell("cat; =1+1")
    ("'=1+1", '-1', 'cat', "cat;' =1+1")
    """
    name = printable(name)
    return name if _is_number(name) else _FORMULA.sub(r"\1'", name)


def markdown(name: str) -> str:
    r"""`name` as plain text within a line of Markdown.

    >>> print(markdown("![x](http://a.b)"))
    \!\[x\](http\://a.b)
    """
    return _MARKUP.sub(_in_markdown, printable(name))


def _escape(found: re.Match[str]) -> str:
    return _SHORT.get(found[0]) or f"\\u{ord(found[0]):04x}"


def _in_markdown(found: re.Match[str]) -> str:
    return {"<": "&lt;", ">": "&gt;", "&": "&amp;"}.get(found[0]) or f"\\{found[0]}"


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", text) is not None


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _look(text: str) -> str:
    """Equal for texts that look alike: without characters that are not seen, in one form of its accents."""
    seen = "".join(c for c in text if unicodedata.category(c) != "Cf")
    return " ".join(unicodedata.normalize("NFC", seen).split())


def _cut(name: str, width: int, tail: int) -> str:
    """`name` where it fits into `width`, else without its middle; `tail` columns of its end stay."""
    return name if columns(name) <= width else _mark(name, width, "…", tail)


def _mark(name: str, width: int, mark: str, tail: int) -> str:
    """Beginning and end of `name`, with `mark` for its middle."""
    end = _first_columns(name[::-1], tail)[::-1]
    return f"{_first_columns(name, width - columns(mark) - columns(end))}{mark}{end}"


def _first_columns(text: str, width: int) -> str:
    """As many characters of the beginning of `text` as `width` columns hold."""
    used = 0
    for i, character in enumerate(text):
        used += _columns(character)
        if used > width:
            return text[:i]
    return text


def _numbered(names: Sequence[str], width: int) -> list[str]:
    """`names` cut to `width`; those that would look alike have numbers for their middles."""
    short = [_cut(name, width, USUAL_TAIL) for name in names]
    looks = [_look(one) for one in short]
    times, numbers = Counter(looks), defaultdict[str, Iterator[int]](lambda: count(1))
    taken = {look for look in looks if times[look] == 1}
    for i, look in enumerate(looks):
        if times[look] > 1:
            marks = (f"…{number}…" for number in numbers[look])
            forms = (_mark(names[i], width, mark, (width - len(mark)) // 2) for mark in marks)
            short[i] = next(form for form in forms if _look(form) not in taken)
            taken.add(_look(short[i]))
    return short
