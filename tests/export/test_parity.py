"""The gate: faults that were planted on purpose are caught, and nothing is kept of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from resnext.contract import Calibration, Contract, Resize
from resnext.data.stored_images import ImageArrays, UnlabelledImages
from resnext.engine import Classifier, Seal, TorchEngine
from resnext.engine.exports import read_parity
from resnext.engine.onnx_file import sealed_content
from resnext.engine.seal import KEY
from resnext.export import FORMATS, Judges, ParityError, Source, compare, export
from resnext.export.onnx_format import OnnxFormat, onnx_model
from resnext.export.parity import check
from resnext.models import Network

Plant = Callable[[Source, Path], None]


def of_other(change: Callable[[Contract], Contract]) -> Plant:
    """What an exporter writes that knows another contract."""
    return lambda source, path: OnnxFormat().write(replace(source, contract=change(source.contract)), path)


def in_bgr(source: Source, path: Path) -> None:
    network = Network(source.network.arch)
    network.load_state_dict(source.network.state_dict())
    with torch.no_grad():
        network.conv1.weight.copy_(network.conv1.weight.flip(1))  # type: ignore[operator,union-attr]
    OnnxFormat().write(replace(source, network=network.eval()), path)


def in_float16(source: Source, path: Path) -> None:
    """Features beyond the largest number of float16, which the head scales down again."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    network = Network(source.network.arch)
    network.load_state_dict(source.network.state_dict())
    scale = 1e6
    with torch.no_grad():
        last = network.get_submodule(f"layer{len(network.arch.blocks)}")[-1]  # type: ignore[index]
        for norm in (last.bn3, last.downsample[1]):  # relu(a + b) scales with a and b
            norm.weight *= scale
            norm.bias *= scale
        network.fc.weight /= scale
    model = onnx_model(replace(source, network=network.eval()), path)
    model = convert_float_to_float16(model, keep_io_types=True)
    seal = Seal(source.contract, source.sha256).dumps(sealed_content(model))
    onnx.helper.set_model_props(model, {KEY: seal})
    path.write_bytes(model.SerializeToString())


def with_stale_softmax(source: Source, path: Path) -> None:
    """A file whose contract is right, and whose graph has the temperature of before."""
    stale = replace(source.contract, calibration=Calibration(1.0))
    model = onnx_model(replace(source, contract=stale), path)
    seal = Seal(source.contract, source.sha256).dumps(sealed_content(model))
    onnx.helper.set_model_props(model, {KEY: seal})
    path.write_bytes(model.SerializeToString())


FAULTS: dict[str, Plant] = {
    "other resize": of_other(lambda contract: replace(contract, resize=Resize(40, 32))),
    "other filter": of_other(lambda contract: replace(contract, resize=Resize(36, 32, "bicubic"))),
    "blue first": in_bgr,
    "permuted classes": of_other(
        lambda contract: replace(contract, classes=(*contract.classes[1:], contract.classes[0]))
    ),
    "wrong mean": of_other(lambda contract: replace(contract, mean=(0.485, 0.456, 0.406))),
    "float16 overflow": in_float16,
    "stale temperature": of_other(lambda contract: replace(contract, calibration=None)),
    "stale temperature in the graph": with_stale_softmax,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught_and_nothing_is_kept(
    fault: str, source: Source, judges: Judges, tmp_path: Path
) -> None:
    class Faulty(OnnxFormat):
        def write(self, source: Source, path: Path) -> None:
            FAULTS[fault](source, path)

    (tmp_path / "small.onnx").write_bytes(b"an earlier export")
    with pytest.raises(ParityError) as caught:
        export(source, Faulty(), tmp_path, judges)
    assert caught.value.exit_code == 4
    assert [path.name for path in tmp_path.iterdir()] == ["small.onnx"]
    assert (tmp_path / "small.onnx").read_bytes() == b"an earlier export"
    lines = str(caught.value).splitlines()
    assert "of 24 images" in lines[0]
    assert any(line.startswith(f"  {key}: ") for line in lines[1:] for key in judges.images.keys)


def test_an_export_without_fault_passes_and_its_record_says_so(
    source: Source, judges: Judges, tmp_path: Path
) -> None:
    made = export(source, FORMATS["onnx"], tmp_path, judges)
    assert made.parity.is_passed
    assert made.parity.same_top1 == made.parity.images == 24
    assert made.parity.largest_difference < 1e-5
    assert made.parity.correct is None  # these images have no labels
    record = read_parity(tmp_path)["small.onnx"]
    assert (record.engine, record.images, record.images_of) == ("onnxruntime", 24, "photographs")
    assert record.source == source.sha256
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {"small.onnx", "parity.json"}
    document = json.loads((tmp_path / "parity.json").read_text())
    document["models"]["small.onnx"]["images"] = -1
    (tmp_path / "parity.json").write_text(json.dumps(document))
    with pytest.raises(Exception, match=r"models.small.onnx.images: must be from 0"):
        read_parity(tmp_path)


def two(source: Source, change: Callable[[Network], None]) -> tuple[Classifier, Classifier]:
    """The network of `source`, and a changed one."""
    changed = Network(source.network.arch)
    changed.load_state_dict(source.network.state_dict())
    with torch.no_grad():
        change(changed)
    pair = (TorchEngine(network, source.contract) for network in (source.network, changed))
    one, other = map(Classifier, pair)
    return one, other


def test_figures_are_those_of_the_probabilities(source: Source, photographs: list[str]) -> None:
    """Counted here from both classifiers' own answers."""

    def change(network: Network) -> None:
        network.fc.bias[0] += 1.0

    one, other = two(source, change)
    names = source.contract.classes
    answers = [
        np.array(
            [[dict(answer.ranking)[name] for name in names] for answer in classifier.predict(photographs)]
        )
        for classifier in (one, other)
    ]
    labels = np.arange(24) % 4
    images = UnlabelledImages(photographs)
    images.labels = labels
    parity = compare(one, other, images, has_labels=True)
    tops = [answer.argmax(1) for answer in answers]
    assert parity.same_top1 == (tops[0] == tops[1]).sum() < 24
    assert parity.correct == tuple(int((top == labels).sum()) for top in tops)
    largest = np.abs(answers[0] - answers[1]).max(1)
    assert parity.largest_difference == pytest.approx(largest.max(), abs=1e-6)
    assert parity.differing[0].key == photographs[largest.argmax()]
    assert len(parity.differing) == (largest > 1e-4).sum()


def test_classes_are_compared_by_name(source: Source, photographs: list[str]) -> None:
    """A model whose classes and outputs are permuted alike is the same model."""
    order = [2, 0, 3, 1]

    def permute(network: Network) -> None:
        network.fc.weight.copy_(network.fc.weight[order])
        network.fc.bias.copy_(network.fc.bias[order])

    one, other = two(source, permute)
    classes = tuple(source.contract.classes[i] for i in order)
    other = Classifier(TorchEngine(other.network, replace(source.contract, classes=classes)))
    assert compare(one, other, UnlabelledImages(photographs), has_labels=False).is_passed
    strangers = replace(source.contract, classes=("a", "b", "c", "d"))
    other = Classifier(TorchEngine(other.network, strangers))
    with pytest.raises(ParityError, match="names other classes"):
        compare(one, other, UnlabelledImages(photographs), has_labels=False)


def test_unreadable_images_are_left_out_and_some_must_be_left(
    source: Source, photographs: list[str], tmp_path: Path
) -> None:
    one, other = two(source, lambda network: None)
    (tmp_path / "bad.png").write_bytes(b"no image")
    bad = str(tmp_path / "bad.png")
    calls: list[tuple[int, int]] = []
    images = UnlabelledImages([bad, *photographs])
    parity = compare(one, other, images, False, progress=lambda *call: calls.append(call))
    assert (parity.images, calls[-1]) == (24, (25, 25))
    with pytest.raises(ParityError, match="none of the 1 images can be read"):
        compare(one, other, UnlabelledImages([bad]), has_labels=False)


def test_values_that_are_not_finite_are_told(source: Source, photographs: list[str]) -> None:
    def change(network: Network) -> None:
        network.fc.weight.fill_(3e38)

    one, other = two(source, change)
    with pytest.raises(ParityError, match="gives values that are not finite"):
        compare(one, other, UnlabelledImages(photographs), has_labels=False)


def test_many_differing_images_are_counted_not_listed(source: Source) -> None:
    def change(network: Network) -> None:
        network.fc.bias[0] += 9.0

    one, other = two(source, change)
    values: Any = np.random.default_rng(0).integers(0, 256, (30, 32, 32), np.uint8)
    images = ImageArrays(values, np.zeros(30, np.int64), source.contract.classes)
    parity = compare(one, other, images, has_labels=False)
    with pytest.raises(ParityError, match=r"30 images differ:(\n  .*){20}\n  and 10 more$"):
        check(parity, "small.onnx")
