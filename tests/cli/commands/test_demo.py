"""`resnext demo`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from resnext.recipe import named_recipe, override

pytestmark = pytest.mark.usefixtures("no_reports")


def test_the_demo(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    run: Callable[..., int],
) -> None:
    quick = override(named_recipe("small"), model="resnet11+template=8", epochs=1)
    monkeypatch.setattr("resnext.cli.commands.demo.named_recipe", lambda _: quick)
    assert run("demo", "--runs", tmp_path) == 0
    said = capsys.readouterr().out
    assert "of 540 test images are right" in said
    assert said.count(", in truth ") == 3
