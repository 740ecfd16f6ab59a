"""The error of weights."""

from __future__ import annotations

from resnext.errors import ResnextError


class WeightsError(ResnextError):
    """Weights that cannot be read, or that do not fit the network."""

    exit_code = 4
