"""`resnext models`."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from resnext import api


def test_the_table_and_the_json_list_the_same(
    capsys: pytest.CaptureFixture[str], run: Callable[..., int]
) -> None:
    names = [model.name for model in api.list_models("resnext29")]
    assert run("models", "resnext29") == 0
    out = capsys.readouterr().out
    assert all(name in out for name in names)
    assert run("models", "resnext29", "--json") == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == names
