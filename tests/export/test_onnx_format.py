"""ONNX files against the networks in torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from scipy.special import softmax

from resnext.engine import TorchEngine
from resnext.engine.onnx_file import OnnxFile
from resnext.engine.onnx_runtime import OnnxRuntimeEngine
from resnext.engine.openvino_engine import OpenVinoEngine
from resnext.export import Source
from resnext.export.onnx_format import OnnxFormat
from resnext.export.parity import TOLERANCE


def test_an_onnx_file_computes_what_torch_computes(any_source: Source, tmp_path: Path) -> None:
    network, path = any_source.network, tmp_path / "any.onnx"
    OnnxFormat().write(any_source, path)
    file, original = OnnxFile.read(path), TorchEngine(network, any_source.contract)
    by_others = OnnxRuntimeEngine(file), OpenVinoEngine(file)
    for batch in (1, 3, 8):
        pixels = torch.randn(batch, 3, 32, 32, generator=torch.Generator().manual_seed(batch))
        logits = network(pixels).detach().numpy()
        own_maps = original.activation_maps(pixels)
        assert np.allclose(own_maps.mean((2, 3)) + network.fc.bias.detach(), logits, rtol=1e-4, atol=1e-4)
        for engine in (original, *by_others):
            probabilities, maps = engine.probabilities(pixels), engine.activation_maps(pixels)
            assert np.allclose(probabilities, softmax(logits / 1.5, axis=1), atol=TOLERANCE)
            assert np.allclose(maps.mean((2, 3)) + network.fc.bias.detach(), logits, rtol=1e-4, atol=1e-4)
            assert np.allclose(maps, own_maps, atol=1e-4)


def test_the_file_is_one_valid_file_that_says_nothing_about_this_machine(
    source: Source, tmp_path: Path
) -> None:
    path = tmp_path / "x.onnx"
    OnnxFormat().write(source, path)
    assert [file.name for file in tmp_path.iterdir()] == ["x.onnx"]
    onnx.checker.check_model(path, full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    [pixels] = session.get_inputs()
    assert (pixels.name, pixels.type, pixels.shape) == ("pixel_values", "tensor(float)", ["batch", 3, 32, 32])
    outputs = [(output.name, output.shape) for output in session.get_outputs()]
    assert outputs == [("logits", ["batch", 4]), ("probabilities", ["batch", 4]), ("cam", ["batch", 4, 8, 8])]
    content = path.read_bytes()
    for place in (str(Path(torch.__file__).parent), str(Path(__file__).parents[2]), str(tmp_path)):
        assert place.encode() not in content
    OnnxFormat().write(replace(source, outputs=()), path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["logits"]


def test_the_network_that_is_exported_is_not_changed(source: Source, tmp_path: Path) -> None:
    before = {name: tensor.clone() for name, tensor in source.network.state_dict().items()}
    OnnxFormat().write(source, tmp_path / "x.onnx")
    after = source.network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert any(parameter.requires_grad for parameter in source.network.parameters())
