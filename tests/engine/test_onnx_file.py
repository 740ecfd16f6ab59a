"""ONNX files of others, and ours after somebody edited them: the right answer, or one clear sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from scipy.special import softmax

from resnext.contract import Contract
from resnext.engine import Classifier, ForeignContract, ModelError, Seal
from resnext.engine.onnx_file import OnnxFile, sealed_content
from resnext.engine.onnx_runtime import OnnxRuntimeEngine
from resnext.engine.openvino_engine import OpenVinoEngine
from resnext.engine.seal import KEY
from resnext.errors import ResnextError
from resnext.models import Network

Edit = Callable[[Any], object]


def edited(path: Path, out: Path, edit: Edit) -> Path:
    """A copy of the ONNX file at `path`, changed by `edit`."""
    model = onnx.load(path)
    edit(model)
    out.write_bytes(model.SerializeToString())
    return out


def test_a_file_of_ours_carries_all(onnx_path: Path, network: Network, contract: Contract) -> None:
    file = OnnxFile.read(onnx_path)
    assert (file.contract, file.source, dict(file.outputs)) == (contract, "5" * 64, {"logits": "logits"})
    pixels = torch.randn(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    expected = softmax(network(pixels).detach().numpy() / 2.0, axis=1)
    engine = OnnxRuntimeEngine(file)
    assert np.allclose(engine.probabilities(pixels), expected, atol=1e-6)
    channels_last = pixels.contiguous(memory_format=torch.channels_last)
    assert np.allclose(engine.probabilities(channels_last), expected, atol=1e-6)
    with pytest.raises(ModelError, match="export it again with --with cam"):
        engine.activation_maps(pixels)


def change_seal(change: Callable[[dict[str, Any]], object]) -> Edit:
    def edit(model: Any) -> None:
        [prop] = [prop for prop in model.metadata_props if prop.key == KEY]
        seal = json.loads(prop.value)
        change(seal)
        prop.value = json.dumps(seal)

    return edit


def change_text(text: str) -> Edit:
    def edit(model: Any) -> None:
        [prop] = [prop for prop in model.metadata_props if prop.key == KEY]
        prop.value = text

    return edit


def change_weight(model: Any) -> None:
    weight = next(tensor for tensor in model.graph.initializer if len(tensor.dims) == 4)
    values = numpy_helper.to_array(weight).copy()
    values.flat[0] += 1
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))


EDITS: dict[str, tuple[Edit, str]] = {
    "another mean": (change_seal(lambda s: s["contract"].update(mean=[0, 0, 0])), "was changed after"),
    "classes swapped": (change_seal(lambda s: s["contract"]["classes"].reverse()), "was changed after"),
    "another origin": (change_seal(lambda s: s.update(source="6" * 64)), "was changed after"),
    "a weight": (change_weight, "was changed after"),
    "an operator": (lambda m: setattr(m.graph.node[1], "op_type", "Sigmoid"), "was changed after"),
    "another schema": (change_seal(lambda s: s.update(schema=2)), "schema 2 of an exported model"),
    "a field more": (change_seal(lambda s: s.update(more=1)), "unknown field 'more'"),
    "no digest": (change_seal(lambda s: s.pop("sha256")), "field 'sha256' is missing"),
    "no JSON": (change_text("{"), "metadata cannot be read"),
    "a number": (change_text("1"), "metadata cannot be read"),
    "a key twice": (change_text('{"schema": 1, "schema": 1}'), "stands twice"),
    "stripped": (lambda m: m.ClearField("metadata_props"), "--classes and --mean and --std"),
    "values elsewhere": (
        lambda m: setattr(m.graph.initializer[0], "data_location", 1),
        "outside of its folder",
    ),
    "sealed twice": (lambda m: m.metadata_props.add(key=KEY, value="{}"), "more than one"),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_file_that_was_edited_is_refused(name: str, onnx_path: Path, tmp_path: Path) -> None:
    edit, says = EDITS[name]
    with pytest.raises(ModelError, match=says) as caught:
        OnnxFile.read(edited(onnx_path, tmp_path / "x.onnx", edit))
    assert str(caught.value).startswith(f"{tmp_path / 'x.onnx'}: ")


@pytest.mark.parametrize("content", [b"", b"x", b"PK\x03\x04", b"\x08\x0a" * 50, bytes(1000)])
def test_what_is_no_onnx_file_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"x.onnx: is no"):
        OnnxFile.read(tmp_path / "x.onnx")


def test_a_cut_file_is_refused_wherever_it_was_cut(onnx_path: Path, tmp_path: Path) -> None:
    content = onnx_path.read_bytes()
    for share in np.linspace(0, 0.999, 40):
        (tmp_path / "x.onnx").write_bytes(content[: int(len(content) * share)])
        with pytest.raises(ResnextError):
            OnnxRuntimeEngine(OnnxFile.read(tmp_path / "x.onnx"))


def test_a_file_that_is_too_large_or_none_is_refused(
    onnx_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match="a pipe, socket or device"):
        OnnxFile.read(Path("/dev/zero"))
    monkeypatch.setattr("resnext.engine.onnx_file.MAX_BYTES", 100)
    with pytest.raises(ModelError, match="larger than 100 bytes"):
        OnnxFile.read(onnx_path)


# Files of others


@pytest.fixture
def names(tmp_path: Path) -> Path:
    path = tmp_path / "names.txt"
    path.write_text("ant\nbee\ncat\n")
    return path


def foreign(
    path: Path,
    last: str = "Gemm",
    shape: tuple[Any, ...] = ("n", 3, 8, 8),
    kind: int = TensorProto.FLOAT,
    inputs: int = 1,
) -> Path:
    """A linear classifier of flattened images; `last` is its last operator."""
    random = np.random.default_rng(0)
    weight = numpy_helper.from_array(random.normal(0, 0.1, (192, 3)).astype(np.float32), "w")
    nodes = [
        helper.make_node("Flatten", ["images0"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["scores"]),
    ]
    if last == "Softmax":
        nodes.append(helper.make_node("Softmax", ["scores"], ["output0"]))
    else:
        nodes[-1].output[0] = "output0"
    taken = [helper.make_tensor_value_info(f"images{i}", kind, shape) for i in range(inputs)]
    given = [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [shape[0], 3])]
    graph = helper.make_graph(nodes, "g", taken, given, [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("last", ["Gemm", "Softmax"])
@pytest.mark.parametrize("batch", ["n", 1])
def test_a_file_of_others_is_computed_as_the_user_says(
    last: str, batch: str | int, names: Path, tmp_path: Path
) -> None:
    path = foreign(tmp_path / "x.onnx", last, (batch, 3, 8, 8))
    said = ForeignContract(names, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    engine = OnnxRuntimeEngine(OnnxFile.read(path, said))
    pixels = np.random.default_rng(1).integers(0, 256, (4, 8, 8, 3), np.uint8)
    [*answers] = Classifier(engine).predict([Image.fromarray(one) for one in pixels])
    prepared = (pixels / 255 - (0.1, 0.2, 0.3)) / (0.4, 0.5, 0.6)
    weight = np.random.default_rng(0).normal(0, 0.1, (192, 3))
    expected = softmax(prepared.transpose(0, 3, 1, 2).reshape(4, -1) @ weight, axis=1)
    for answer, row in zip(answers, expected, strict=True):
        assert [dict(answer.ranking)[name] for name in ("ant", "bee", "cat")] == pytest.approx(row, abs=1e-5)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"shape": ("n", 1, 8, 8)}, "1 x 8 x 8"),
        ({"shape": ("n", 3, 8, 9)}, "3 x 8 x 9"),
        ({"shape": ("n", 3, "h", "w")}, "3 x 0 x 0"),
        ({"shape": ("n", 8, 8, 3)}, "8 x 8 x 3"),
        ({"shape": (4, 3, 8, 8)}, "batches of 4 images only"),
        ({"shape": ("n", 192)}, "no batch of images"),
        ({"kind": TensorProto.UINT8}, "no batch of images"),
        ({"inputs": 2}, r"has 2 inputs \(images0, images1\)"),
    ],
)
def test_a_file_of_others_that_is_no_such_classifier(
    change: dict[str, Any], says: str, names: Path, tmp_path: Path
) -> None:
    said = ForeignContract(names, (0.5,) * 3, (0.5,) * 3)
    with pytest.raises(ModelError, match=says):
        OnnxFile.read(foreign(tmp_path / "x.onnx", **change), said)


def test_what_is_missing_or_wrong_is_named(names: Path, tmp_path: Path) -> None:
    path = foreign(tmp_path / "x.onnx")
    half = (0.5,) * 3
    with pytest.raises(ModelError, match=r"carries no contract.*: --classes and --std"):
        OnnxFile.read(path, ForeignContract(mean=half))
    with pytest.raises(ModelError, match=r"--classes .*none.txt: cannot be read"):
        OnnxFile.read(path, ForeignContract(tmp_path / "none.txt", half, half))
    with pytest.raises(ModelError, match="std: must be positive"):
        OnnxFile.read(path, ForeignContract(names, half, (0.0, 1.0, 1.0)))
    names.write_text("ant\nbee\n")
    with pytest.raises(ModelError, match="for 2 classes it must be"):
        OnnxRuntimeEngine(OnnxFile.read(path, ForeignContract(names, half, half)))


def test_a_file_of_ours_takes_no_other_contract(onnx_path: Path) -> None:
    with pytest.raises(ModelError, match="carries its own contract; leave out --mean"):
        OnnxFile.read(onnx_path, ForeignContract(mean=(0.5,) * 3))


def outside(path: Path, location: str) -> Path:
    """A file of others whose weights lie at `location`."""
    model = onnx.load(foreign(path))
    [weight] = model.graph.initializer
    values = numpy_helper.to_array(weight).tobytes()
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=location)
    (path.parent / "beside.data").write_bytes(values)
    path.write_bytes(model.SerializeToString())
    return path


def test_values_in_other_folders_are_refused(names: Path, tmp_path: Path) -> None:
    said = ForeignContract(names, (0.5,) * 3, (0.5,) * 3)
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "x.onnx"
    (tmp_path / "secret").write_bytes(bytes(192 * 3 * 4))
    (tmp_path / "in" / "link").symlink_to(tmp_path / "secret")
    for location in ("../secret", str(tmp_path / "secret"), "link", ""):
        with pytest.raises(ModelError, match="outside of its folder"):
            OnnxFile.read(outside(path, location), said)
    with pytest.raises(ModelError, match="needs the file gone beside it"):
        OnnxFile.read(outside(path, "gone"), said)
    engine = OnnxRuntimeEngine(OnnxFile.read(outside(path, "beside.data"), said))
    whole = OnnxRuntimeEngine(OnnxFile.read(foreign(tmp_path / "whole.onnx"), said))
    pixels = torch.ones(2, 3, 8, 8)
    assert torch.equal(engine.probabilities(pixels), whole.probabilities(pixels))


def test_graphs_inside_each_other_end_somewhere(names: Path, tmp_path: Path) -> None:
    graph = helper.make_graph([helper.make_node("Identity", ["a"], ["b"])], "g", [], [])
    for _ in range(20):
        graph = helper.make_graph([helper.make_node("If", ["c"], ["b"], then_branch=graph)], "g", [], [])
    model = helper.make_model(graph)
    (tmp_path / "x.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="more than 8 deep"):
        OnnxFile.read(tmp_path / "x.onnx")


def test_an_operator_that_the_machine_lacks_is_told(names: Path, tmp_path: Path) -> None:
    model = onnx.load(foreign(tmp_path / "x.onnx"))
    model.graph.node[0].op_type = "Levitate"
    (tmp_path / "x.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"onnxruntime cannot run it here .*Levitate"):
        OnnxRuntimeEngine(OnnxFile.read(tmp_path / "x.onnx", ForeignContract(names, (0.5,) * 3, (0.5,) * 3)))


def test_a_sealed_file_that_does_not_fit_its_contract_is_refused(onnx_path: Path, tmp_path: Path) -> None:
    """Anybody can make a digest that belongs to a file."""

    def sealed(edit: Edit) -> Path:
        model = onnx.load(onnx_path)
        edit(model)
        contract = OnnxFile.read(onnx_path).contract
        onnx.helper.set_model_props(model, {KEY: Seal(contract).dumps(sealed_content(model))})
        (tmp_path / "x.onnx").write_bytes(model.SerializeToString())
        return tmp_path / "x.onnx"

    def rename_input(model: Any) -> None:
        old, model.graph.input[0].name = model.graph.input[0].name, "other"
        for node in model.graph.node:
            node.input[:] = ["other" if name == old else name for name in node.input]

    def rename_output(model: Any) -> None:
        old, model.graph.output[0].name = model.graph.output[0].name, "other"
        for node in model.graph.node:
            node.output[:] = ["other" if name == old else name for name in node.output]

    def resize_input(model: Any) -> None:
        model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 17

    for edit, says in (
        (rename_input, "are not one batch of images"),
        (resize_input, "are not one batch of images"),
        (rename_output, "has neither an output logits nor probabilities"),
    ):
        for kind in (OnnxRuntimeEngine, OpenVinoEngine):
            with pytest.raises(ModelError, match=says):
                kind(OnnxFile.read(sealed(edit)))


def test_a_batch_that_fails_inside_the_library_is_told(names: Path, tmp_path: Path) -> None:
    """A file of others that says it takes any batch, and has one of 1 inside."""
    model = onnx.load(foreign(tmp_path / "x.onnx"))
    model.graph.node[0].CopyFrom(helper.make_node("Reshape", ["images0", "shape"], ["flat"]))
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 192]), "shape"))
    (tmp_path / "x.onnx").write_bytes(model.SerializeToString())
    file = OnnxFile.read(tmp_path / "x.onnx", ForeignContract(names, (0.5,) * 3, (0.5,) * 3))
    for engine in (OnnxRuntimeEngine(file), OpenVinoEngine(file)):
        assert engine.probabilities(torch.zeros(1, 3, 8, 8)).shape == (1, 3)
        with pytest.raises(ModelError, match=r"cannot run it here|values of 1 images for a batch of 2"):
            engine.probabilities(torch.zeros(2, 3, 8, 8))
