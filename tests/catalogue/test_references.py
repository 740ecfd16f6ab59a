"""From what is typed to a folder: paths first, then names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import resnext
from resnext.catalogue import UnknownWeights, locate
from resnext.catalogue.references import check_reference, is_path


def test_a_folder_called_like_a_network_is_that_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("resnet50").mkdir()
    assert locate("resnet50").path == Path("resnet50")
    assert locate("local-dir:resnet50").path == Path("resnet50")


@pytest.mark.parametrize("text", ["runs/nope", "nope.pth", "nope.safetensors", "a/b/c"])
def test_what_looks_like_a_path_is_one(text: str) -> None:
    assert is_path(text)
    with pytest.raises(UnknownWeights, match="there is no such model"):
        check_reference(text)


def test_names_are_checked_before_anything_is_fetched(hub: Any) -> None:
    check_reference("resnet50")
    check_reference("hf-hub:timm/resnet50.a1_in1k@main")
    with pytest.raises(UnknownWeights, match="Nearest"):
        check_reference("resnet51")
    with pytest.raises(UnknownWeights, match="must be hf-hub:owner/name"):
        check_reference("hf-hub:resnet51")
    assert hub.asked == []


def test_a_missing_local_dir(tmp_path: Path) -> None:
    with pytest.raises(UnknownWeights, match="there is no such folder"):
        locate(f"local-dir:{tmp_path / 'nope'}")


def test_the_errors_are_public() -> None:
    assert resnext.UnknownWeights is UnknownWeights
    assert resnext.UnknownWeights.exit_code == 2
    assert resnext.FetchError.exit_code == 5
    assert resnext.DamagedWeights.exit_code == 4
