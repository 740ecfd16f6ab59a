"""`resnext optimize`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from tyro.conf import Positional, arg

from resnext.cli.command import Command
from resnext.cli.commands.export import ExportCommand
from resnext.cli.commands.quantize import QuantizeCommand
from resnext.cli.option_checks import check_positive
from resnext.errors import UsageError


@dataclass(frozen=True)
class OptimizeCommand(Command):
    """Write MODEL for an engine, with each grouped convolution in the form that is fastest there on this
    machine: as it is, or packed into wider groups, which computes the same."""

    name: ClassVar[str] = "optimize"

    model: Annotated[Positional[str], arg(metavar="MODEL")]
    """A run folder, a hub folder, or a weights file with its contract."""
    to: Annotated[Literal["onnx", "openvino", "torch"], arg(name="for")] = "onnx"
    """What computes it: onnxruntime (a file of onnx), openvino, or torch (a file of pt2; in float32 only)."""
    precision: Literal["float32", "int8"] = "float32"
    """What it computes in: float32, as by `export`, or int8, as by `quantize`."""
    batch: int = 1
    """Images of a batch."""
    outputs: Annotated[tuple[Literal["probabilities", "cam"], ...], arg(name="with")] = ("probabilities",)
    """What is computed beside the logits: calibrated probabilities, class activation maps."""
    images: tuple[str, ...] = ()
    """In float32: files, folders and globs of images that both must agree on; those of val if left out."""
    data: str | None = None
    """In int8: as for train; the data of the run, if left out."""
    out: Path | None = None
    """Folder to write into; exports/ in the run's folder, or here for other models, if left out."""

    def run(self) -> None:
        check_positive(self, "batch")
        other = {"float32": ("data", self.data), "int8": ("images", self.images)}[self.precision]
        if other[1]:
            raise UsageError(f"--{other[0]}: has no effect with --precision {self.precision}; leave it out")
        self._command().run()

    def _command(self) -> Command:
        """The command that does the work."""
        outputs, out, batch = self.outputs, self.out, self.batch
        if self.precision == "float32":
            format: Literal["onnx", "openvino", "pt2"] = "pt2" if self.to == "torch" else self.to
            return ExportCommand(self.model, (format,), outputs, images=self.images, out=out, optimize=batch)
        if self.to == "torch":
            raise UsageError("--precision int8: torch computes no int8 here; say --for openvino or onnx")
        return QuantizeCommand(self.model, (self.to,), self.data, outputs=outputs, out=out, optimize=batch)
