"""Errors of the catalogue and of what it fetches."""

from __future__ import annotations

from resnext.errors import ResnextError


class UnknownWeights(ResnextError):
    """A name that means no weights; the message has the nearest ones."""

    exit_code = 2


class DamagedWeights(ResnextError):
    """A file that is not the one that was published, or that was here before."""

    exit_code = 4


class FetchError(ResnextError):
    """Weights that cannot be fetched: no connection, no room, or a package that is not installed."""

    exit_code = 5
