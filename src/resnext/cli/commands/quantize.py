"""`resnext quantize`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from tyro.conf import Positional, arg

import resnext
from resnext.cli.command import Command
from resnext.cli.formats import each_format
from resnext.cli.image_progress import ImageProgress
from resnext.cli.option_checks import check_data, check_finite, check_model, check_positive
from resnext.cli.screen import say
from resnext.cli.tuning import choose_packing
from resnext.errors import UsageError

if TYPE_CHECKING:
    from resnext.export import Quantized

QuantizedFormat = Literal["openvino", "onnx"]


@dataclass(frozen=True)
class QuantizeCommand(Command):
    """Write MODEL in int8; what is not faster here, or costs too much accuracy, is not kept."""

    name: ClassVar[str] = "quantize"

    model: Annotated[Positional[str], arg(metavar="MODEL")]
    """A run folder, a hub folder, or a weights file with its contract."""
    to: tuple[QuantizedFormat, ...] = ("openvino",)
    """Formats, any of them."""
    data: str | None = None
    """As for train; the data of the run, if left out. Images of train calibrate, those of val judge."""
    target: Literal["any", "vnni"] = "any"
    """Processors that the file must be right on: any, or only those with VNNI, where weights may take all 8
    bits."""
    max_drop: float = 0.3
    """Most points of accuracy that int8 may cost."""
    min_speed: float = 1.0
    """How many times as fast as float32 it must be on this machine; 0 for a file that is made for another."""
    outputs: Annotated[tuple[Literal["probabilities", "cam"], ...], arg(name="with")] = ("probabilities",)
    """What is computed beside the logits: calibrated probabilities, class activation maps."""
    optimize: int | None = None
    """Images of a batch for which grouped convolutions get the form that is fastest on this machine;
    as they are, if left out. See `resnext optimize`."""
    out: Path | None = None
    """Folder to write into; exports/ in the run's folder, or here for other models, if left out."""

    def run(self) -> None:
        if not self.to:
            raise UsageError("--to needs formats, as in --to openvino")
        check_positive(self, "optimize")
        check_finite(self, "max_drop", "min_speed")
        check_model(self.model)
        if self.data is not None:
            check_data(self.data)
        warnings = dict.fromkeys(
            made.contract.provenance.licence_warning for made in each_format(self.to, self._quantize)
        )
        for warning in filter(None, warnings):
            say(f"note: {warning}", file=sys.stderr)

    def _quantize(self, to: QuantizedFormat) -> Quantized:
        packing = choose_packing(self.model, to, "int8", self.optimize) if self.optimize else {}
        with ImageProgress(f"judging {to}") as progress:
            made = resnext.quantize(
                self.model,
                to,
                data=self.data,
                target=self.target,
                max_drop=self.max_drop,
                min_speed=self.min_speed,
                out=self.out,
                outputs=self.outputs,
                packing=packing,
                progress=progress.show,
            )
        say(f"{made.path}: {made}")
        return made
