"""`ExportedFile`: what all kinds of exported files have, and how their bytes are read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from resnext.contract import Contract
from resnext.engine.engine import ModelError, Output, Takes
from resnext.files import ordinary

#: Names of the input of our files, and what each takes.
PIXELS, IMAGE = "pixel_values", "image"
INPUTS: dict[str, Takes] = {PIXELS: "pixels", IMAGE: "images"}
#: Outputs that our files may have.
OUTPUTS: tuple[Output, ...] = ("logits", "probabilities", "cam", "familiarity")


@dataclass(frozen=True)
class ExportedFile:
    """A network in a file that another library computes.

    Attributes:
        path: The file.
        contract: Its classes, preprocessing and calibration.
        source: SHA-256 of the weights that it was exported from; empty if nobody says.
        input: Name of its input.
        outputs: Its own names of what it computes.
        one_by_one: Whether it takes a single image at a time.
        takes: What goes in.
    """

    path: Path
    contract: Contract
    source: str
    input: str
    outputs: Mapping[Output, str]
    one_by_one: bool = False
    takes: Takes = "pixels"

    def pieces(self, pixels: Tensor) -> list[NDArray[Any]]:
        """The arrays that the library computes at once, in its order of values.

        NumPy puts them in order, in this thread: torch would do it with threads that still spin on the cores
        when the library begins, which took half as long again for one image.
        """
        values = np.ascontiguousarray(pixels.numpy())
        return [values[place : place + 1] for place in range(len(values))] if self.one_by_one else [values]

    def check(self, inputs: Mapping[str, object], outputs: Mapping[str, object]) -> None:
        """Raise `ModelError` unless a batch of images of the contract's size goes in, and scores of as many
        classes as the contract names come out.

        Args:
            inputs: Shape of each input by its name, as a list; what is dynamic is anything.
            outputs: Those of each output.
        """
        size, classes = self.contract.input, len(self.contract.classes)
        wanted = [size.channels, size.height_px, size.width_px]
        shape = inputs.get(self.input)
        is_batch = isinstance(shape, list) and shape[1:] == wanted
        if len(inputs) != 1 or not (is_batch if self.takes == "pixels" else _is_image(shape)):
            raise ModelError(f"{self.path}: its inputs {dict(inputs)} are not one batch of images {wanted}")
        scores = self.outputs.keys() - {"cam", "familiarity"}
        if not scores:
            raise ModelError(f"{self.path}: has neither an output logits nor probabilities; export it again")
        for output in scores:
            name = self.outputs[output]
            shape = outputs.get(name)
            if not isinstance(shape, list) or len(shape) != 2 or shape[1] != classes:
                raise ModelError(
                    f"{self.path}: its output {name} has the shape {shape}; for {classes} classes it must be "
                    f"(B, {classes})"
                )

    def check_count(self, values: Tensor, images: int) -> Tensor:
        """`values`. Raises `ModelError` if they are not of so many images."""
        if len(values) != images:
            raise ModelError(
                f"{self.path}: gives values of {len(values)} images for a batch of {images}; export it for "
                "batches of any size, or of 1"
            )
        return values


def _is_image(shape: object) -> bool:
    """Whether `shape` is that of one image of any size, (1, H, W, 3)."""
    return isinstance(shape, list) and len(shape) == 4 and (shape[0], shape[3]) == (1, 3)


def read_whole(path: Path, max_bytes: int) -> bytes:
    """All bytes of a model file. Raises `ModelError` if it is no file, or larger than `max_bytes`."""
    try:
        with open(path, "rb", opener=ordinary) as file:
            if os.fstat(file.fileno()).st_size > max_bytes:
                raise ModelError(f"{path}: is larger than {max_bytes:,} bytes, too large for a model")
            return file.read()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror or error})") from None
