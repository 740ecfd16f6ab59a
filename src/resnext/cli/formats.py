"""Several formats in one command: what is refused in one is no reason to leave out the next."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TypeVar

from resnext.cli.screen import say
from resnext.errors import ResnextError

Format = TypeVar("Format", bound=str)
Made = TypeVar("Made")


def each_format(formats: Iterable[Format], make: Callable[[Format], Made]) -> list[Made]:
    """What `make` makes of each format, in order.

    Raises:
        ResnextError: One was refused; the others have been made, and what was said of each that was refused,
            but for the last, is on the screen.
    """
    from resnext.export import ParityError

    made: list[Made] = []
    refusals: list[ResnextError] = []
    for one in dict.fromkeys(formats):
        try:
            made.append(make(one))
        except ParityError as error:
            refusals.append(error)
    for refusal in refusals[:-1]:
        say(str(refusal), file=sys.stderr)
    if refusals:
        raise refusals[-1]
    return made
