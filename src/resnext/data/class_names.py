"""Class names that a person cannot tell apart: one class if only the Unicode form differs, else an error."""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from contextvars import ContextVar

from resnext.data.decode import DataError

#: How file managers call a copy: `cat (copy)`, `cat - Copy (2)`, `cat copy 2`, `cat (1)`.
_WORD = "(another copy|copy|copie|kopie|copia|副本)"
_COPY = re.compile(
    rf"(?P<of>.+?)( ?[-–_ ] ?{_WORD}( ?\(?[0-9]+\)?)?| ?\(([0-9]+|{_WORD}( [0-9]+)?)\))", re.IGNORECASE
)


#: Cyrillic and Greek letters that look like Latin ones, and these.
_TWINS = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0410\u0412\u0415\u041a\u041c\u041d\u041e"
    "\u0420\u0421\u0422\u0425\u0391\u0392\u0395\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a7\u03bf",
    "aeopcyxijsABEKMHOPCTXABEHIKMNOPTXo",
)


#: Where sentences about names that look alike are collected; None where they are errors.
_TOLD: ContextVar[list[str] | None] = ContextVar("_TOLD", default=None)


@contextlib.contextmanager
def telling_lookalikes() -> Iterator[list[str]]:
    """A context in which names that look alike are no error; the list gets a sentence about each.

    >>> with telling_lookalikes() as told:
    ...     check_lookalikes(["Cat", "cat"], "pets")
    >>> told[0].partition(";")[0]
    "pets: the classes 'Cat' and 'cat' differ by case only"
    """
    told: list[str] = []
    token = _TOLD.set(told)
    try:
        yield told
    finally:
        _TOLD.reset(token)


def one_form(name: str) -> str:
    """`name` with each accent joined to its letter, as most systems write it (Unicode form NFC).

    >>> len("cafe\\u0301"), len(one_form("cafe\\u0301"))
    (5, 4)
    """
    return unicodedata.normalize("NFC", name)


def join_forms(names: Iterable[str]) -> dict[str, str]:
    """The class of each of `names`: the name itself, or their common form where several names have one.

    >>> set(join_forms(["cafe\\u0301", "caf\\u00e9"]).values()) == {"caf\\u00e9"}
    True
    """
    by_form: dict[str, list[str]] = {}
    for name in names:
        by_form.setdefault(one_form(name), []).append(name)
    return {name: form if len(forms) > 1 else name for form, forms in by_form.items() for name in forms}


def check_lookalikes(names: Collection[str], where: str) -> None:
    """Raises `DataError` if two class names differ only by case, by blanks around them or by characters that
    look alike, or one is called as file managers call a copy of the other (`cat (copy)`).

    Single letters may differ by case: in sets of characters, `a` and `A` are two classes.
    """
    told = _TOLD.get()
    for problem in lookalikes(names):
        if told is None:
            raise DataError(f"{where}: {problem}")
        told.append(f"{where}: {problem}")


def lookalikes(names: Collection[str]) -> Iterator[str]:
    """What is wrong with each name that looks like another one.

    >>> list(lookalikes(["Cat ", "cat", "dog"]))
    ["the classes 'Cat ' and 'cat' differ by case and blanks only; give both one name if they are one class, \
or names that differ by more"]
    """
    for name in sorted(names):
        if (match := _COPY.fullmatch(name)) and match["of"] in names:
            yield (
                f"the class {name!r} is called like a copy of {match['of']!r}; remove one of them, or call "
                "it otherwise if it is another class"
            )
    seen: dict[str, str] = {}
    for name in sorted(names):
        plain = name.strip()
        look = _look(plain)
        other = seen.setdefault(look.casefold() if len(plain) > 1 else look, name)
        if other != name:
            yield (
                f"the classes {other!r} and {name!r} differ by {_difference(other, name)} only; give both "
                "one name if they are one class, or names that differ by more"
            )


def _difference(one: str, two: str) -> str:
    """What two names that look alike differ by, as a person would say it."""
    plain = one.strip(), two.strip()
    looks = _look(plain[0]), _look(plain[1])
    ways = {
        "characters that look alike": plain[0].casefold() != plain[1].casefold(),
        "case": looks[0] != looks[1],
        "blanks": one != plain[0] or two != plain[1],
    }
    return " and ".join(way for way, is_it in ways.items() if is_it)


def _look(name: str) -> str:
    """What a person sees of a name: without characters that take no room, wide letters as plain ones."""
    shown = unicodedata.normalize("NFKC", name).translate(_TWINS)
    return "".join(c for c in shown if unicodedata.category(c) not in ("Cf", "Cc"))
