"""What a file in int8 computes in int8."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from resnext.contract import Calibration, Contract, Rejection
from resnext.engine import TorchEngine, open_model
from resnext.engine.libraries import import_library
from resnext.engine.signal_stack import keeping_signal_stack
from resnext.export import QUANTIZERS, Source
from resnext.models import Network, make_bank

PIXELS = 2 * torch.randn(32, 3, 32, 32, generator=torch.Generator().manual_seed(0))


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
    samples = [one[None].numpy() for one in PIXELS[:4]]
    QUANTIZERS["openvino"].write(source, samples, "any", path)
    core = import_library("openvino", path).Core()
    with keeping_signal_stack():
        compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    about = [op.get_rt_info() for op in compiled.get_runtime_model().get_ops()]
    precisions = [
        one["runtimePrecision"].astype(str) for one in about if one["layerType"].astype(str) == "Convolution"
    ]
    assert len(precisions) == sum(isinstance(module, nn.Conv2d) for module in network.modules())
    assert set(precisions) <= {"i8", "u8"}


@pytest.mark.parametrize("to", QUANTIZERS)
@pytest.mark.parametrize("score", ["clipped", "neighbours"])
def test_familiarity_is_not_in_int8(
    score: str,
    to: str,
    make_network: Callable[..., Network],
    make_contract: Callable[..., Contract],
    tmp_path: Path,
) -> None:
    """Where it was, cosines were up to 1.46, and the correlation between 0.39 and 0.81."""
    for library in {"openvino": ("nncf", "openvino"), "onnx": ("onnxruntime", "onnx")}[to]:
        pytest.importorskip(library)
    network = make_network("resnext11_4x4d+template=16")
    with torch.no_grad():
        features = network.forward_head(network.forward_features(PIXELS), pre_logits=True)
    network.bank = make_bank(features[::2])
    rejection = {
        "clipped": Rejection("clipped", 0.5, clip=float(features.quantile(0.9))),
        "neighbours": Rejection("neighbours", 0.5, neighbour=3),
    }[score]
    contract = replace(make_contract(network), calibration=Calibration(1.5, rejection))
    source = Source("net", network, contract, "0" * 64, ("probabilities", "cam"))
    path = tmp_path / f"net{QUANTIZERS[to].format.suffix}"
    QUANTIZERS[to].write(source, [one[None].numpy() for one in PIXELS[:8]], "any", path)
    made, original = open_model(path).engine, TorchEngine(network, contract)
    before, after = (one.answer(PIXELS)[1].numpy() for one in (original, made))
    assert np.corrcoef(before, after)[0, 1] > 0.9
