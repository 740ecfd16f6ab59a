"""Kept names and shapes of torchvision's tensors: no peer has to be installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from resnext.arch import Architecture
from resnext.models import Network

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="torchvision's kept outputs are not beside the project")
@pytest.mark.parametrize("name", ["resnet50", "resnext50_32x4d"])
def test_tensors_have_torchvision_s_names_and_shapes(name: str) -> None:
    about = json.loads((GOLDEN / f"{name}.json").read_text())
    with torch.device("meta"):
        network = Network(Architecture.from_name(about["model"]))
    assert sum(p.numel() for p in network.parameters()) == about["params"]
    shapes = {key: list(tensor.shape) for key, tensor in network.state_dict().items()}
    assert shapes == about["keys"]
