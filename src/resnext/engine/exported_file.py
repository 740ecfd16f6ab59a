"""`ExportedFile`: what all kinds of exported files have, and how their bytes are read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from resnext.contract import Contract
from resnext.engine.engine import ModelError, Output
from resnext.files import ordinary

#: Name of the input of our files, and the outputs that they may have.
PIXELS = "pixel_values"
OUTPUTS: tuple[Output, ...] = ("logits", "probabilities", "cam")


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
    """

    path: Path
    contract: Contract
    source: str
    input: str
    outputs: Mapping[Output, str]
    one_by_one: bool = False

    def check_outputs(self, shapes: Mapping[str, object]) -> None:
        """Raise `ModelError` unless the scores are of as many classes as the contract names.

        Args:
            shapes: Shape of each output by its name, as a list; what is dynamic is anything.
        """
        classes = len(self.contract.classes)
        for output in self.outputs.keys() - {"cam"}:
            name = self.outputs[output]
            shape = shapes.get(name)
            if not isinstance(shape, list) or len(shape) != 2 or shape[1] != classes:
                raise ModelError(
                    f"{self.path}: its output {name} has the shape {shape}; for {classes} classes it must be "
                    f"(B, {classes})"
                )


def read_whole(path: Path, max_bytes: int) -> bytes:
    """All bytes of a model file. Raises `ModelError` if it is no file, or larger than `max_bytes`."""
    try:
        with open(path, "rb", opener=ordinary) as file:
            if os.fstat(file.fileno()).st_size > max_bytes:
                raise ModelError(f"{path}: is larger than {max_bytes:,} bytes, too large for a model")
            return file.read()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror or error})") from None
