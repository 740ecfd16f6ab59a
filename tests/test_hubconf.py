"""Networks by `torch.hub`, from the folder of the project."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import resnext
from resnext.arch import KNOWN_NAMES
from resnext.catalogue import Located

ROOT = str(Path(__file__).parents[1])
X = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def load(name: str, *words: Any, **options: Any) -> Any:
    return torch.hub.load(ROOT, name, *words, source="local", **options)


def test_every_listed_name_has_an_entry_point_with_a_help() -> None:
    names = runpy.run_path(f"{ROOT}/hubconf.py")
    entries = {name for name, one in names.items() if callable(one) and not name.startswith("_")}
    assert entries == {*KNOWN_NAMES, "network"}  # what `torch.hub.list` shows
    assert all(name in names[name].__doc__ for name in entries)


@torch.no_grad()
def test_weights_from_a_folder(tmp_path: Path) -> None:
    name = "resnext11_8x4d+template=16"
    network = resnext.create(name, classes=3, seed=5).eval()
    folder = network.save_pretrained(tmp_path / "saved")
    for made in (
        load(name, pretrained=folder, classes=3),
        load("network", name, pretrained=str(folder), classes=3),
    ):
        assert torch.equal(made.eval()(X), network(X))
    tuned = load(name, pretrained=folder, classes=5, new_head=True).eval()
    assert torch.equal(tuned.forward_features(X), network.forward_features(X))
    assert tuned(X).shape == (1, 5)
    maps = load(name, pretrained=folder, features_only=True, out_indices=(-1,)).eval()
    assert torch.equal(maps(X)[0], network.forward_features(X))


def test_pretrained_asks_for_public_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Here they are in a folder, and no network is asked."""
    asked = []

    def locate(reference: str) -> Located:
        asked.append(reference)
        return Located(folder)

    folder = resnext.create("resnet18", seed=5).save_pretrained(tmp_path / "saved")
    monkeypatch.setattr("resnext.weights.hub_network.locate", locate)
    made = load("resnet18", pretrained=True)
    assert torch.equal(made.fc.weight, resnext.create("resnet18", seed=5).fc.weight)
    assert load("resnet18", pretrained=True, classes=7).fc.weight.shape[0] == 7
    assert asked == ["resnet18"] * 2
    assert load("resnet18", classes=7).fc.weight.shape[0] == 7
    assert len(asked) == 2


def test_what_it_needs_is_what_it_names(tmp_path: Path) -> None:
    """In an interpreter that finds neither the package nor what else it needs."""
    code = f"""
import sys
lacking = 'numpy PIL sklearn scipy pyarrow tyro tomli_w rich matplotlib huggingface_hub timm'.split()
import torch, safetensors.torch
sys.modules |= dict.fromkeys(lacking)
sys.path[:] = [one for one in sys.path if not one.endswith('src')]
before = list(sys.path)
network = torch.hub.load({ROOT!r}, 'resnext11_8x4d+template=16', source='local', classes=2)
assert sys.path == before
import resnext
print(resnext.__file__)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path, env={}
    )
    assert Path(done.stdout.strip()).parent == Path(ROOT) / "src" / "resnext"
