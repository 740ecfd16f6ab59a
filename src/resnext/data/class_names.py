"""Class names that a person cannot tell apart: one class if only the Unicode form differs, else an error."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from resnext.data.decode import DataError


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


def check_lookalikes(names: Iterable[str], where: str) -> None:
    """Raises `DataError` if two class names differ only by case or by blanks around them.

    Single letters may differ by case: in sets of characters, `a` and `A` are two classes.
    """
    seen: dict[str, str] = {}
    for name in sorted(names):
        plain = name.strip()
        other = seen.setdefault(plain.casefold() if len(plain) > 1 else plain, name)
        if other == name:
            continue
        how = "blanks" if other.strip() == plain else "case"
        raise DataError(
            f"{where}: the classes {other!r} and {name!r} differ by {how} only; give both one name if they "
            "are one class, or names that differ by more"
        )
