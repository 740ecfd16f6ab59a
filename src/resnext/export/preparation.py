"""Resize, crop and normalisation as a part of an exported graph, as `data.preprocess` does them with Pillow.

The graph then takes `image`, uint8 (1, H, W, 3): one image of any size, decoded, red first. Both libraries
filter as Pillow does and may round a value to the next level of 255.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from resnext.contract import Contract
from resnext.data.preprocess import MAX_ASPECT
from resnext.engine import ModelError
from resnext.engine.exported_file import IMAGE, PIXELS
from resnext.engine.libraries import import_library
from resnext.export.bilinear import resized_square

#: Coefficient of Pillow's bicubic filter.
CUBIC = -0.5
#: Filters that both libraries have, and their names for them.
ONNX_FILTERS: dict[str, dict[str, Any]] = {
    "bilinear": {"mode": "linear"},
    "bicubic": {"mode": "cubic", "cubic_coeff_a": CUBIC},
}
OPENVINO_FILTERS = {"bilinear": "bilinear_pillow", "bicubic": "bicubic_pillow"}
#: Largest image, in pixels, that OpenVINO resizes with Pillow's own weights: 512 x 512.
EXACT_PX = 2**18


def prepare_inside_onnx(model: Any, contract: Contract) -> None:
    """Let an ONNX `ModelProto` prepare its images. Raises `ModelError` if it cannot be done."""
    from onnx import TensorProto, helper, numpy_helper

    resize = _check(contract)
    graph, nodes, constants = model.graph, [], {}

    def constant(name: str, value: Any, kind: Any = np.int64) -> str:
        constants[name] = numpy_helper.from_array(np.asarray(value, kind), f"prepare/{name}")
        return f"prepare/{name}"

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        place = output if output == PIXELS else f"prepare/{output}"
        nodes.append(helper.make_node(kind, inputs, [place], name=f"prepare/{output}", **attributes))
        return place

    axes, crop = constant("axes", [2, 3]), constant("crop", [resize.crop_px])
    planes = node("Transpose", [IMAGE], "planes", perm=[0, 3, 1, 2])
    # The middle of a very long image.
    size = node("Shape", [planes], "size", start=2, end=4)
    shorter = node("ReduceMin", [size], "shorter", keepdims=1)
    longest = node("Mul", [shorter, constant("aspect", [MAX_ASPECT])], "longest")
    over = node("Div", [node("Sub", [size, longest], "over"), constant("two", [2])], "half_over")
    first = node("Max", [over, constant("zero", [0])], "first")
    last = node("Min", [size, node("Add", [first, longest], "first_longest")], "last")
    middle = node("Slice", [planes, first, last, axes], "middle")
    # The shorter side becomes `shorter_px`, the longer one is rounded down.
    scaled = node("Mul", [node("Sub", [last, first], "sides"), constant("px", [resize.shorter_px])], "scaled")
    target = node("Div", [scaled, shorter], "target")
    sizes = node("Concat", [constant("outer", [1, 3]), target], "sizes", axis=0)
    resized = node(
        "Resize",
        [middle, "", "", sizes],
        "resized",
        antialias=1,
        exclude_outside=1,  # at the border, as Pillow leaves out what lies beyond it
        coordinate_transformation_mode="half_pixel",
        **ONNX_FILTERS[resize.interpolation],
    )
    # The square in the middle; halves are rounded to even, as Python does.
    rest = node("Cast", [node("Sub", [target, crop], "rest")], "rest_float", to=TensorProto.FLOAT)
    half = node("Round", [node("Mul", [rest, constant("half", [0.5], np.float32)], "half_rest")], "rounded")
    corner = node("Cast", [half], "corner", to=TensorProto.INT64)
    square = node("Slice", [resized, corner, node("Add", [corner, crop], "opposite"), axes], "square")
    levels = node("Cast", [square], "levels", to=TensorProto.FLOAT)
    mean, std = (
        constant(name, 255 * np.array(values, np.float32).reshape(1, 3, 1, 1), np.float32)
        for name, values in (("mean", contract.mean), ("std", contract.std))
    )
    node("Div", [node("Sub", [levels, mean], "centred"), std], PIXELS)

    network = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *network])
    graph.initializer.extend(constants.values())
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, [1, "height", "width", 3]))


def prepare_inside_openvino(model: Any, contract: Contract) -> Any:
    """The OpenVINO model, which prepares its images itself. Raises `ModelError` if it cannot be done."""
    openvino = import_library("openvino", "the graph")
    op = openvino.opset13
    resize = _check(contract)

    def integers(*values: int) -> Any:
        return op.constant(np.array(values, np.int64))

    axes, steps, crop = integers(2, 3), integers(1, 1), integers(resize.crop_px)
    image = op.parameter([1, -1, -1, 3], np.uint8, name=IMAGE)
    image.output(0).set_names({IMAGE})
    planes = op.transpose(image, integers(0, 3, 1, 2))
    size = op.gather(op.shape_of(planes, output_type="i64"), axes, integers(0))
    shorter = op.reduce_min(size, integers(0), keep_dims=True)
    longest = op.multiply(shorter, integers(MAX_ASPECT))
    first = op.maximum(op.divide(op.subtract(size, longest), integers(2)), integers(0))
    last = op.minimum(size, op.add(first, longest))
    middle = op.slice(planes, first, last, steps, axes)
    target = op.divide(op.multiply(op.subtract(last, first), integers(resize.shorter_px)), shorter)
    rest = op.convert(op.subtract(target, crop), "f32")
    half = op.multiply(rest, op.constant(np.array([0.5], np.float32)))
    corner = op.convert(op.round(half, "half_to_even"), "i64")

    def interpolated(planes: Any) -> Any:
        resized = op.interpolate(
            planes,
            target,
            OPENVINO_FILTERS[resize.interpolation],
            "sizes",
            axes=axes,
            pads_begin=[0, 0],
            pads_end=[0, 0],
            cube_coeff=CUBIC,
        )
        return op.convert(op.slice(resized, corner, op.add(corner, crop), steps, axes), "f32")

    if resize.interpolation == "bilinear":
        # Both ways are computed, but the one that is not wanted of a single pixel: behind OpenVINO's `If` the
        # first image after loading was computed wrongly (2026.4).
        sides = op.subtract(last, first)
        small = op.less_equal(op.reduce_prod(sides, integers(0), keep_dims=True), integers(EXACT_PX))
        one = integers(1, 1)
        exactly, otherwise = (
            op.slice(middle, integers(0, 0), op.select(small, *sizes), steps, axes)
            for sizes in ((sides, one), (one, sides))
        )
        exact = resized_square(op, exactly, target, corner, resize.crop_px)
        square = op.select(small, exact, interpolated(otherwise))
    else:
        square = interpolated(middle)
    mean, std = (
        op.constant(255 * np.array(values, np.float32).reshape(1, 3, 1, 1))
        for values in (contract.mean, contract.std)
    )
    prepared = op.divide(op.subtract(square, mean), std)
    [pixels] = model.get_parameters()
    for target_input in pixels.output(0).get_target_inputs():
        target_input.replace_source_output(prepared.output(0))
    return openvino.Model(model.get_results(), [image], model.get_friendly_name())


def _check(contract: Contract) -> Any:
    """The resize of `contract`. Raises `ModelError` if no exported graph does it."""
    resize = contract.resize
    if resize.interpolation not in ONNX_FILTERS or resize.shorter_px < resize.crop_px:
        raise ModelError(
            f"--preprocess inside: no exported graph resizes to {resize.shorter_px} px by "
            f"{resize.interpolation} and crops {resize.crop_px} px; leave it out"
        )
    return resize
