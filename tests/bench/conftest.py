"""What the tests of benches share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of the machine are measured with small arrays: no test needs their values."""
    monkeypatch.setattr("resnext.timing.COPIED_VALUES", 1 << 16)
    monkeypatch.setattr("resnext.timing.MATRIX_SIDE", {"cpu": 64, "gpu": 64})
