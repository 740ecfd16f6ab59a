"""Images that are prepared inside of exported graphs: the pixels of Pillow, and the same answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from PIL import Image

from resnext.contract import Contract, Input, Provenance, Resize
from resnext.data.preprocess import normalise, resize_and_crop, to_tensor
from resnext.engine import ModelError, explain_images, open_model
from resnext.engine.signal_stack import keeping_signal_stack
from resnext.export import FORMATS, Judges, ParityError, Source, export
from resnext.export.preparation import prepare_inside_onnx, prepare_inside_openvino

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Prepare = Callable[[np.ndarray], np.ndarray]


@cache
def prepared_by(library: str, filter: str, shorter_px: int, crop_px: int) -> Prepare:
    """A graph of nothing but the preparation."""
    size = Input(3, crop_px, crop_px)
    contract = Contract(("a",), size, Resize(shorter_px, crop_px, filter), MEAN, STD, Provenance("x"))
    shape = ["batch", 3, crop_px, crop_px]
    pixels, made = (helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("pixel_values", "y"))
    graph = helper.make_graph([helper.make_node("Identity", ["pixel_values"], ["y"])], "g", [pixels], [made])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    if library == "onnxruntime":
        prepare_inside_onnx(model, contract)
        onnx.checker.check_model(model, full_check=True)
        session = onnxruntime.InferenceSession(model.SerializeToString())
        return lambda image: session.run(None, {"image": image[None]})[0][0]
    core = openvino.Core()
    whole = prepare_inside_openvino(core.read_model(model.SerializeToString(), b""), contract)
    with keeping_signal_stack():
        compiled = core.compile_model(whole, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda image: compiled({"image": image[None]})[0][0]


@pytest.mark.parametrize("library", ["onnxruntime", "openvino"])
@settings(max_examples=60)
@given(
    side=st.tuples(st.integers(1, 200), st.integers(1, 200)),
    filter=st.sampled_from(["bilinear", "bicubic"]),
    resize=st.sampled_from([(32, 28), (37, 32), (32, 32)]),
    seed=st.integers(0, 9),
)
def test_the_pixels_are_those_of_pillow(
    library: str, side: tuple[int, int], filter: str, resize: tuple[int, int], seed: int
) -> None:
    """Of noise, which has the most to filter; also of lines one pixel high. By OpenVINO's bilinear filter all
    values are equal, by onnxruntime's within a level of 255; by the bicubic ones few are further apart.
    Pillow 13 resizes rows before columns where an image is over twice as high as wide; no graph does."""
    image = np.random.default_rng(seed).integers(0, 256, (*side, 3), np.uint8)
    expected = resize_and_crop(Image.fromarray(image), Resize(*resize, filter))
    levels = 255 * np.array(STD).reshape(3, 1, 1)
    ours = normalise(to_tensor(expected)[None], MEAN, STD)[0].numpy()
    theirs = prepared_by(library, filter, *resize)(image)
    differences = np.abs(levels * (ours - theirs))
    height, width = side
    tall = height > 2 * width
    if filter == "bicubic":
        assert (differences > 1.001).mean() <= (0.1 if tall else 0.01)
    else:
        assert differences.max() <= (1.001 if tall or library == "onnxruntime" else 0.001)


@pytest.mark.parametrize("side", [(500, 375), (512, 512), (600, 900), (33, 528), (224, 224), (1, 1)])
def test_openvino_resizes_photographs_as_pillow_does(side: tuple[int, int]) -> None:
    """Equal in every value up to 512 x 512, and within a level beyond, where its own filter is used."""
    image = np.random.default_rng(0).integers(0, 256, (*side, 3), np.uint8)
    expected = resize_and_crop(Image.fromarray(image), Resize(256, 224))
    levels = 255 * np.array(STD).reshape(3, 1, 1)
    ours = normalise(to_tensor(expected)[None], MEAN, STD)[0].numpy()
    differences = np.abs(levels * (ours - prepared_by("openvino", "bilinear", 256, 224)(image)))
    assert differences.max() <= (0.001 if side[0] * side[1] <= 2**18 else 1.001)


@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_an_export_that_takes_images_answers_as_its_original(
    format: str, source: Source, judges: Judges, photographs: list[str], tmp_path: Path
) -> None:
    made = export(replace(source, takes="images"), FORMATS[format], tmp_path, judges)
    assert made.path.name.startswith(f"{source.name}-images.")
    assert made.parity.same_top1 == made.parity.images == len(photographs)
    exported = open_model(made.path)
    assert exported.contract == source.contract
    assert exported.engine.takes == "images"
    [shard] = exported.classify(judges.images, batch=len(photographs), shard=(0, 1))
    halves = [one for rank in (0, 1) for one in exported.classify(judges.images, batch=2, shard=(rank, 2))]
    order = np.argsort(np.concatenate([one.indices for one in halves]))
    probabilities = np.concatenate([one.probabilities for one in halves])[order]
    np.testing.assert_array_equal(shard.probabilities, probabilities)
    with pytest.raises(ModelError, match="prepares images itself, in one view; leave out --views"):
        next(exported.classify(judges.images, views="flip"))
    with pytest.raises(ModelError, match="cannot be explained, since it prepares images itself"):
        next(explain_images(exported, judges.images))


@pytest.mark.parametrize(
    "fault", [{"mean": (0.1, 0.9, 0.1)}, {"resize": Resize(64, 16)}], ids=["wrong mean", "other crop"]
)
def test_the_gate_catches_what_is_prepared_otherwise(
    fault: dict[str, Any], source: Source, judges: Judges, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from resnext.export import onnx_format

    def wrongly(model: Any, contract: Contract) -> None:
        crop = contract.resize.crop_px
        changed = {k: replace(v, crop_px=crop) if k == "resize" else v for k, v in fault.items()}
        prepare_inside_onnx(model, replace(contract, **changed))

    monkeypatch.setattr(onnx_format, "prepare_inside_onnx", wrongly)
    with pytest.raises(
        ParityError, match=r"another top-1 for 0\.1 % of the images, and 0\.01 in the mean, are allowed"
    ):
        export(replace(source, takes="images"), FORMATS["onnx"], tmp_path, judges)
    assert not list(tmp_path.glob("*.onnx"))


def test_what_no_graph_can_do_is_told(source: Source, judges: Judges, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="--to pt2: takes prepared pixels only"):
        export(replace(source, takes="images"), FORMATS["pt2"], tmp_path, judges)
    lanczos = replace(source.contract, resize=replace(source.contract.resize, interpolation="lanczos"))
    with pytest.raises(ModelError, match=r"no exported graph resizes to .* by lanczos"):
        export(replace(source, contract=lanczos, takes="images"), FORMATS["onnx"], tmp_path, judges)
