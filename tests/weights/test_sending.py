"""What is sent to the hub, to a client that keeps it here."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import resnext
from resnext.catalogue import UnknownWeights
from resnext.weights import HubNetwork, SendError

huggingface_hub = pytest.importorskip("huggingface_hub", reason="the extra hub is not installed")


@pytest.fixture
def sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a client was told, and the folder that has what it was given."""
    told: dict[str, Any] = {"folder": tmp_path / "hub"}

    class Client:
        def create_repo(self, name: str, **options: Any) -> None:
            told["created"] = {"name": name} | options

        def upload_folder(self, *, folder_path: Path, **options: Any) -> str:
            told["uploaded"] = options
            shutil.copytree(folder_path, told["folder"])
            return f"https://hub/{options['repo_id']}"

    monkeypatch.setattr(huggingface_hub, "HfApi", Client)
    return told


@pytest.fixture
def network() -> HubNetwork:
    return resnext.create("resnext11_4x4d+template=8", classes=2).eval()


def test_what_is_sent_is_what_is_saved(sent: dict[str, Any], network: HubNetwork) -> None:
    address = network.push_to_hub("me/pets@v2", classes=["cat", "dog"], private=True)
    assert address == "https://hub/me/pets"
    assert sent["created"] == {"name": "me/pets", "private": True, "exist_ok": True}
    assert (sent["uploaded"]["repo_id"], sent["uploaded"]["revision"]) == ("me/pets", "v2")
    names = {path.name for path in sent["folder"].iterdir()}
    assert names == {"config.json", "model.safetensors", "README.md"}
    there = resnext.from_pretrained(sent["folder"])
    assert there.contract.classes == ("cat", "dog")
    x = torch.randn(1, 3, 32, 32)
    assert torch.equal(there(x), network(x))


def test_a_name_that_is_none_is_refused_before_anything_is_sent(
    sent: dict[str, Any], network: HubNetwork
) -> None:
    for name in ("pets", "a/b/c", "../x"):
        with pytest.raises(UnknownWeights, match="owner/name"):
            network.push_to_hub(name)
    assert "created" not in sent


def test_a_hub_that_refuses_is_quoted(network: HubNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def create_repo(self, *_: Any, **__: Any) -> None:
            raise OSError("401 Client Error\nlong explanation")

    monkeypatch.setattr(huggingface_hub, "HfApi", Refusing)
    with pytest.raises(SendError, match=r"hf-hub:me/pets: cannot be written \(401 Client Error\)\. HF_TOKEN"):
        network.push_to_hub("me/pets")


def test_without_the_client_the_extra_is_named(network: HubNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(SendError, match=r"pip install 'resnext\[hub\]'"):
        network.push_to_hub("me/pets")
