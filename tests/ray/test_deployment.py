"""What `deployment` says before Ray is asked; `make ray` tries the rest."""

from __future__ import annotations

import sys

import pytest

from resnext.errors import PackageMissing
from resnext.ray import deployment


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(PackageMissing, match=r"needs Ray; pip install 'resnext\[ray\]'"):
        deployment("runs/pets")
