"""The same weights in torchvision's and timm's networks give the same logits."""

from __future__ import annotations

import json
import math
import os
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from resnext.arch import KNOWN_NAMES, TIMM_NAMES, Architecture, StageTemplate
from resnext.contract import Contract, Input, Provenance, Resize
from resnext.cost import count_cost
from resnext.models import create
from resnext.models.blocks import BLOCKS
from resnext.models.shortcuts import Shape, project_openings
from resnext.run.autoconfig import SIZES_PX
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
IS_FULL = os.environ.get("RESNEXT_ORACLES") == "full"
#: Networks that timm reads back; with RESNEXT_ORACLES=full, all that it has.
SHIPPED = (
    "resnet18",
    "resnext50_32x4d+attention=se",
    "resnet26+shortcut=average_projection+stem=deep_imagenet",
)
#: Networks that timm has: those of the paper and one of each variant.
SOME = frozenset(
    "resnet10t resnet14t resnet18 resnet26 resnet26t resnet34 resnet50 resnet50s resnet101 resnet152 "
    "seresnet18 resnext50_32x4d resnext101_32x4d resnext101_32x8d resnext101_32x16d resnext101_64x4d "
    "seresnext50_32x4d seresnext101_32x4d seresnext101_32x8d resnext50d_32x4d "
    "res2next50 wide_resnet50_2".split()
)
#: With RESNEXT_ORACLES=full, all but one as deep as it is slow.
TIMM = tuple(ours for ours, timm in TIMM_NAMES.items() if ours != "resnet200" and (IS_FULL or timm in SOME))


def _randomise(network: nn.Module) -> None:
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
    """timm has all of these, torchvision many."""
    network = create(Architecture.from_name(name)).eval()
    _randomise(network)
    state = network.state_dict()
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    logits = network(images)
    makers = [lambda: timm.create_model(TIMM_NAMES[name])]
    if name in TORCHVISION:
        makers.append(lambda: getattr(torchvision.models, name)())
    for make in makers:
        with warnings.catch_warnings(), torch.device("meta"):
            warnings.simplefilter("ignore")
            peer = make()
        assert {k: v.shape for k, v in state.items()} == {k: v.shape for k, v in peer.state_dict().items()}
        peer.load_state_dict(state, strict=True, assign=True)
        assert _distance(logits, peer.eval()(images)) < 1e-4


@pytest.mark.parametrize(("in_channels", "stride"), [(64, 1), (32, 1), (64, 2)])
@torch.no_grad()
def test_a_block_that_opens_a_stage_is_res2net_s(in_channels: int, stride: int, timm: Any) -> None:
    """Also where the template is as narrow as the stem, so that only the projection shows that it opens."""
    shape = Shape(in_channels, 64, stride, opens_bottlenecks=True)
    stage = StageTemplate(blocks=1, cardinality=2, path_width=8, out_channels=64, stride=stride)
    ours = BLOCKS["multi_resolution"](in_channels, stage, stride, project_openings(shape)).eval()
    kinds = {"act_layer": nn.ReLU, "norm_layer": nn.BatchNorm2d}
    theirs = timm.models.res2net.Bottle2neck(
        in_channels, 16, stride, project_openings(shape), cardinality=2, base_width=32, scale=4, **kinds
    )
    _randomise(ours)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    images = torch.randn(2, in_channels, 9, 9, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(images), theirs.eval()(images))


@pytest.mark.parametrize("name", ["resnet200", *TIMM])
def test_costs_are_those_of_timm_s_networks(name: str, timm: Any) -> None:
    """Parameters, and multiply-adds by torch's own counter."""
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")
        peer = timm.create_model(TIMM_NAMES[name]).eval()
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            peer(torch.empty(1, 3, 64, 64))
    cost = count_cost(Architecture.from_name(name), 64)
    assert cost.params == sum(p.numel() for p in peer.parameters())
    assert 2 * cost.macs == counter.get_total_flops()


@pytest.mark.parametrize("name", TIMM_NAMES if IS_FULL else SHIPPED)
def test_timm_reads_what_is_shipped(name: str, timm: Any, tmp_path: Path) -> None:
    """Network, classes and pre-processing of a hub folder, as timm takes them from its config.json."""
    arch = Architecture.from_name(name, 3)
    network = create(arch).eval()
    _randomise(network)
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
    contract = Contract(
        ("a", "b", "c"), Input(3, 64, 64), Resize(73, 64, "bicubic"), mean, std, Provenance(name)
    )
    write_hub_folder(tmp_path / "hub", network, contract, "")
    peer = timm.create_model(f"local-dir:{tmp_path / 'hub'}", pretrained=True).eval()
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert _distance(network(images), peer(images)) < 1e-4
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


def test_timm_has_the_networks_that_are_said_to_be_there(timm: Any) -> None:
    own = set(timm.list_models()) - set(timm.list_models(module="timm_models"))  # which we may have put there
    assert set(TIMM_NAMES.values()) <= own
    assert own.intersection(KNOWN_NAMES) <= set(TIMM_NAMES)
