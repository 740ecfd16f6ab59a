"""OpenVINO Model API reads what is exported for it, and names the same classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
import torch

from resnext.arch import Architecture
from resnext.contract import Contract, Input, Provenance, Resize
from resnext.engine import Classifier, TorchEngine
from resnext.export import Source
from resnext.export.onnx_format import OnnxFormat
from resnext.export.openvino_format import OpenVinoFormat
from resnext.models import create

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
NAMES = ("cat", "dog_1", "猫", "n02123045")


@pytest.fixture(scope="module")
def source() -> Source:
    contract = Contract(NAMES, Input(3, 32, 32), Resize(32, 32), MEAN, STD, Provenance("resnet11"))
    network = create(Architecture.from_name("resnet11+template=8", 4)).eval()
    with torch.no_grad():
        network.fc.weight *= 300
        pixels = torch.randn(32, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        network.fc.bias.copy_(network.fc.bias - network(pixels).mean(0))
    return Source("x", network, contract, outputs=("probabilities", "cam"))


@pytest.mark.parametrize("suffix", [".xml", ".onnx"])
def test_model_api_gives_our_answers_for_images_of_the_inputs_size(
    suffix: str, source: Source, tmp_path: Path, model_api: Any
) -> None:
    path = tmp_path / f"x{suffix}"
    {".xml": OpenVinoFormat(), ".onnx": OnnxFormat()}[suffix].write(source, path)
    settings = {"INFERENCE_PRECISION_HINT": "f32"}  # left alone, it takes bfloat16 where the processor has it
    adapter = model_api.model.OpenvinoAdapter(
        openvino.Core(), str(path), device="CPU", plugin_config=settings
    )
    model = model_api.ClassificationModel.create_model(adapter)
    images = np.random.default_rng(0).integers(0, 256, (12, 4, 4, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    ours = Classifier(TorchEngine(source.network, source.contract)).predict([*images])
    for image, answer in zip(images, ours, strict=True):
        [top] = model(image[..., ::-1]).top_labels  # blue first, as OpenCV reads
        assert top.name == answer.label
        assert top.confidence == pytest.approx(answer.probability, abs=1e-4)
    assert len({answer.label for answer in ours}) > 1


def test_names_with_blanks_would_fall_apart_and_are_left_out(
    source: Source, tmp_path: Path, model_api: Any
) -> None:
    """It then has no names, rather than wrong ones."""
    contract = replace(source.contract, classes=("tabby cat", "dog", "eel", "fox"))
    OpenVinoFormat().write(replace(source, contract=contract), tmp_path / "x.xml")
    model = model_api.ClassificationModel.create_model(str(tmp_path / "x.xml"), device="CPU")
    assert not model.params.labels
