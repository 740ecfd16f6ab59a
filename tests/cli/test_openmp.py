"""How long waiting threads spin is set before torch is loaded, unless the user chose."""

from __future__ import annotations

import os

import pytest

from resnext.cli.openmp import CHOICES, SPIN_COUNT, limit_spinning


def test_threads_sleep_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CHOICES:
        monkeypatch.delenv(name, raising=False)
    limit_spinning()
    assert os.environ["GOMP_SPINCOUNT"] == str(SPIN_COUNT)


@pytest.mark.parametrize("name", CHOICES)
def test_what_a_user_chose_stays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for other in CHOICES:
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, "PASSIVE")
    limit_spinning()
    assert {other: os.environ.get(other) for other in CHOICES} == {
        other: "PASSIVE" if other == name else None for other in CHOICES
    }
