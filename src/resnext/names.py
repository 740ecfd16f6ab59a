r"""Names of classes and files where people and programs read them. A name may hold any character.

Printed raw, a name could move the cursor, recolour the terminal, start another line, or turn the text that
follows around; in a spreadsheet it could be a formula, in Markdown an image from anywhere. Standard library
only.
"""

from __future__ import annotations

import re

#: Longest name of a class, in characters.
MAX_NAME = 1000
#: Control characters, breaks of lines and paragraphs, marks of the direction of text, and halves of
#: characters, which stand for bytes of file names that are not UTF-8.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
#: The same without the line break.
_UNPRINTABLE_IN_LINES = re.compile(f"(?!\n){_UNPRINTABLE.pattern}")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
#: Characters that Markdown and HTML take for more than themselves.
_MARKUP = re.compile(r"[\\`*_\[\]<>!|~&$:]")


def printable(name: str) -> str:
    r"""`name` on one line, with escapes for what no terminal should be sent.

    >>> print(printable("cat\x1b[2J\n"), printable("chat é"))
    cat\u001b[2J\n chat é
    """
    return _UNPRINTABLE.sub(_escape, name)


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


def csv_cell(name: str) -> str:
    r"""`name` as a cell that no spreadsheet takes for a formula: with a ' before it, unless it is a number.

    >>> csv_cell("=1+1"), csv_cell("-1"), csv_cell("cat")
    ("'=1+1", '-1', 'cat')
    """
    name = printable(name)
    return f"'{name}" if name.startswith(("=", "+", "-", "@")) and not _is_number(name) else name


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
