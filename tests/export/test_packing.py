"""Packed networks compute what they computed before, here and in every engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from resnext.engine import ModelError, open_model
from resnext.export import FORMATS, QUANTIZERS, Source
from resnext.export.onnx_format import onnx_model
from resnext.export.packing import pack_groups, pack_weight

PIXELS = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
PACKING = {"layer1.0.conv2": 4, "layer2.0.conv2": 2}


def integers(*shape: int) -> torch.Tensor:
    return torch.randint(-9, 10, shape, generator=torch.Generator().manual_seed(sum(shape))).double()


@pytest.mark.parametrize(
    ("groups", "d", "out", "times", "kernel", "stride"),
    [(4, 3, 2, 2, 3, 1), (6, 1, 1, 3, 5, 2), (4, 4, 4, 4, 3, 2), (9, 2, 5, 9, 1, 3), (2, 7, 3, 1, 3, 1)],
)
def test_wider_groups_compute_the_same_to_the_last_bit(
    groups: int, d: int, out: int, times: int, kernel: int, stride: int
) -> None:
    """Of integers in float64, whose sums are exact in any order."""
    weight, image = integers(groups * out, d, kernel, kernel), integers(2, groups * d, 11, 7)
    packed = pack_weight(weight, groups, times)
    assert packed.shape == (groups * out, times * d, kernel, kernel)
    assert packed.count_nonzero() == weight.count_nonzero()
    wide = F.conv2d(image, packed, stride=stride, padding=1, groups=groups // times)
    assert torch.equal(wide, F.conv2d(image, weight, stride=stride, padding=1, groups=groups))


def test_a_packed_network_computes_the_same(source: Source) -> None:
    network, before = source.network.double(), {**source.network.state_dict()}
    try:
        packed = pack_groups(network, PACKING)
        with torch.no_grad():
            torch.testing.assert_close(packed(PIXELS.double()), network(PIXELS.double()), rtol=0, atol=1e-12)
    finally:
        network.float()
    assert [packed.get_submodule(name).groups for name in PACKING] == [1, 2]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert pack_groups(network, {}) is network


@pytest.mark.parametrize("to", ["onnx", "openvino", "pt2"])
def test_a_packed_file_answers_as_it_does_unpacked(to: str, source: Source, tmp_path: Path) -> None:
    answers = []
    for number, packing in enumerate(({}, PACKING)):
        path = tmp_path / f"{number}{FORMATS[to].suffix}"
        FORMATS[to].write(replace(source, packing=packing), path)
        answers.append(open_model(path).engine.compute(PIXELS, "logits"))
    largest = float(answers[0].abs().max())
    torch.testing.assert_close(*answers, rtol=0, atol=1e-6 * largest)


def test_the_packed_groups_are_in_the_file(source: Source, tmp_path: Path) -> None:
    graph = onnx_model(replace(source, packing=PACKING), tmp_path / "x.onnx").graph
    groups = [
        attribute.i
        for node in graph.node
        if node.op_type == "Conv"
        for attribute in node.attribute
        if attribute.name == "group" and attribute.i > 1
    ]
    assert groups == [2, 4]  # those of layer1 are one now, those of layer3 are as they were


@pytest.mark.slow
@pytest.mark.parametrize("to", QUANTIZERS)
def test_packed_weights_are_as_good_in_int8(to: str, source: Source, tmp_path: Path) -> None:
    """The largest weight of a channel stays, and zeros are exact."""
    for library in {"openvino": ("nncf",), "onnx": ("onnxruntime",)}[to]:
        pytest.importorskip(library)
    samples, errors = [one[None].numpy() for one in PIXELS], []
    exact = source.network(PIXELS).detach()
    for number, packing in enumerate(({}, PACKING)):
        path = tmp_path / f"{number}{QUANTIZERS[to].format.suffix}"
        QUANTIZERS[to].write(replace(source, packing=packing), samples, "any", path)
        difference = open_model(path).engine.compute(PIXELS, "logits") - exact
        errors.append(float(difference.square().mean().sqrt()))
    assert 0 < errors[1] < 1.5 * errors[0] < 0.15 * float(exact.std())


@pytest.mark.parametrize("packing", [{"layer1.0.conv1": 2}, {"layer1.0.conv2": 3}, {"layer1.0.conv2": 0}])
def test_what_cannot_be_packed(packing: dict[str, int], source: Source) -> None:
    with pytest.raises(ModelError, match=f"packing: {next(iter(packing))}: is no convolution whose groups"):
        pack_groups(source.network, packing)
    with pytest.raises(ModelError, match="packing: x"):
        pack_groups(source.network, {"x": 2})
