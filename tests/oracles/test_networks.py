"""The same weights in torchvision's and timm's networks give the same logits."""

from __future__ import annotations

import json
import math
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from resnext.arch import KNOWN_NAMES, Architecture
from resnext.contract import Contract, Input, Provenance, Resize
from resnext.models import Network, create
from resnext.run.card import TIMM_NAMES
from resnext.run.choices import SIZES_PX
from resnext.weights import write_hub_folder

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"

TORCHVISION = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
)
TIMM = (
    "resnet18",
    "resnet26",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x4d",
    "resnext101_32x8d",
    "resnext101_32x16d",
    "resnext101_64x4d",
)


def _randomise(network: Network) -> None:
    """Statistics and scales that differ from channel to channel; each tensor depends on its name."""
    for name, tensor in network.state_dict().items():
        generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        if name.endswith("running_var"):
            tensor.uniform_(0.8, 1.2, generator=generator)
        elif name.endswith(("running_mean", "bias")):
            tensor.normal_(0, 0.1, generator=generator)
        elif tensor.dim() == 1:
            tensor.normal_(1, 0.1, generator=generator)


def _distance(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return ((ours - theirs).abs().max() / theirs.std()).item()


@pytest.mark.parametrize("name", TIMM)
@torch.no_grad()
def test_logits_are_the_peers(name: str, torchvision: Any, timm: Any) -> None:
    """timm has all of these, torchvision most."""
    network = create(Architecture.from_name(name)).eval()
    _randomise(network)
    state = network.state_dict()
    pictures = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    logits = network(pictures)
    makers = [lambda: timm.create_model(name)]
    if name in TORCHVISION:
        makers.append(lambda: getattr(torchvision.models, name)())
    for make in makers:
        with warnings.catch_warnings(), torch.device("meta"):
            warnings.simplefilter("ignore")
            peer = make()
        assert {k: v.shape for k, v in state.items()} == {k: v.shape for k, v in peer.state_dict().items()}
        peer.load_state_dict(state, assign=True)
        assert _distance(logits, peer.eval()(pictures)) < 1e-4


def test_timm_reads_what_is_shipped(timm: Any, tmp_path: Path) -> None:
    """Network, classes and pre-processing of a hub folder, as timm takes them from its config.json."""
    arch = Architecture.from_name("resnet18", 3)
    network = create(arch).eval()
    _randomise(network)
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
    contract = Contract(
        ("a", "b", "c"), Input(3, 64, 64), Resize(73, 64, "bicubic"), mean, std, Provenance("resnet18")
    )
    write_hub_folder(tmp_path / "hub", network, contract, "")
    peer = timm.create_model(f"local-dir:{tmp_path / 'hub'}", pretrained=True).eval()
    pictures = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert _distance(network(pictures), peer(pictures)) < 1e-4
    found = timm.data.resolve_model_data_config(peer)
    assert (list(found["input_size"]), found["interpolation"]) == ([3, 64, 64], "bicubic")
    assert (tuple(found["mean"]), tuple(found["std"])) == (mean, std)
    # It divides the crop by its share, and cuts off decimals: no side may come out one short.
    for side in (*SIZES_PX, 96, 176, 224):
        for shorter in (side, round(side / 0.875), 232, 256):
            assert shorter < side or math.floor(side / (side / shorter)) == shorter


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="torchvision's kept outputs are not beside the project")
@pytest.mark.parametrize("name", ["resnet50", "resnext50_32x4d"])
@torch.no_grad()
def test_kept_outputs_of_torchvision(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(GOLDEN))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    import fill

    network = create(Architecture.from_name(name)).eval()
    about = json.loads((GOLDEN / f"{name}.json").read_text())
    assert sum(p.numel() for p in network.parameters()) == about["params"]
    assert {key: list(tensor.shape) for key, tensor in network.state_dict().items()} == about["keys"]
    state = {k: torch.from_numpy(fill.fill(k, tuple(v.shape))) for k, v in network.state_dict().items()}
    network.load_state_dict(state)
    logits = network(torch.from_numpy(fill.pictures()))
    assert _distance(logits, torch.from_numpy(np.load(GOLDEN / f"{name}.npy"))) < 1e-4


def test_the_card_names_timm_where_it_builds_the_network(timm: Any) -> None:
    assert set(TIMM_NAMES) <= set(timm.list_models())
    names = [name for name in KNOWN_NAMES if name in timm.list_models()]
    assert set(names) == set(TIMM_NAMES)


def test_the_multi_resolution_block_is_res2net_s(timm: Any) -> None:
    """ResNeXt-50 with 8 paths of width 4 at each of 4 scales is timm's `res2next50`, tensor by tensor."""
    ours = create(Architecture.from_name("resnext50_8x4d+transform=multi_resolution")).eval()
    _randomise(ours)
    theirs = timm.create_model("res2next50").eval()
    theirs.load_state_dict(ours.state_dict())
    pictures = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert _distance(ours(pictures), theirs(pictures)) < 1e-4
