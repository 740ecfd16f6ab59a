"""What a file in int8 computes in int8."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from resnext.contract import Contract
from resnext.engine.libraries import import_library
from resnext.export import QUANTIZERS, Source
from resnext.models import Network


@pytest.mark.parametrize("paths", ["4x4d", "2x8d", "2x16d"])
def test_all_convolutions_are_in_int8(
    paths: str,
    make_network: Callable[..., Network],
    make_contract: Callable[..., Contract],
    tmp_path: Path,
) -> None:
    """OpenVINO leaves grouped ones in float32 where an operation lies between them and their weights."""
    pytest.importorskip("nncf")
    network = make_network(f"resnext11_{paths}")
    source, path = Source("net", network, make_contract(network), "0" * 64), tmp_path / "net.xml"
    random = np.random.default_rng(0)
    samples = [random.normal(0, 2, (1, 3, 32, 32)).astype(np.float32) for _ in range(4)]
    QUANTIZERS["openvino"].write(source, samples, "any", path)
    core = import_library("openvino", path).Core()
    compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    about = [op.get_rt_info() for op in compiled.get_runtime_model().get_ops()]
    precisions = [
        one["runtimePrecision"].astype(str) for one in about if one["layerType"].astype(str) == "Convolution"
    ]
    assert len(precisions) == sum(isinstance(module, nn.Conv2d) for module in network.modules())
    assert set(precisions) <= {"i8", "u8"}
