"""`resnext export`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from tyro.conf import Positional, arg

import resnext
from resnext.cli.command import Command
from resnext.cli.formats import each_format
from resnext.cli.option_checks import check_model, check_positive
from resnext.cli.screen import say
from resnext.cli.tuning import choose_packing
from resnext.errors import UsageError

if TYPE_CHECKING:
    from resnext.export import Export

ExportedFormat = Literal["onnx", "openvino", "pt2", "hub"]


@dataclass(frozen=True)
class ExportCommand(Command):
    """Write MODEL in the formats of other programs; what does not answer as MODEL does is not kept."""

    name: ClassVar[str] = "export"

    model: Annotated[Positional[str], arg(metavar="MODEL")]
    """A run folder, a hub folder, or a weights file with its contract."""
    to: tuple[ExportedFormat, ...] = ("onnx",)
    """Formats, any of them."""
    outputs: Annotated[tuple[Literal["probabilities", "cam"], ...], arg(name="with")] = ("probabilities",)
    """What is computed beside the logits: calibrated probabilities, class activation maps."""
    preprocess: Literal["outside", "inside"] = "outside"
    """Whether the file takes prepared pixels, or decoded images of any size, one at a time, which it resizes,
    crops and normalises itself (onnx and openvino)."""
    images: tuple[str, ...] = ()
    """Files, folders and globs of the images that both must agree on; those of val, if left out."""
    optimize: int | None = None
    """Images of a batch for which grouped convolutions get the form that is fastest on this machine; as
    they are, if left out. Not for hub. See `resnext optimize`."""
    out: Path | None = None
    """Folder to write into; exports/ in the run's folder, or here for other models, if left out."""

    def run(self) -> None:
        if not self.to:
            raise UsageError("--to needs formats, as in --to onnx")
        check_positive(self, "optimize")
        if self.optimize is not None and (others := {*self.to} & {"hub"}):
            raise UsageError(
                f"--optimize: has no effect with --to {' '.join(sorted(others))}; export that apart"
            )
        check_model(self.model)
        warnings = dict.fromkeys(
            one.contract.provenance.licence_warning for one in each_format(self.to, self._export)
        )
        for warning in filter(None, warnings):
            say(f"note: {warning}", file=sys.stderr)

    def _export(self, to: ExportedFormat) -> Export:
        from resnext.display.progress_bar import ProgressBar

        packing = choose_packing(self.model, to, "float32", self.optimize) if self.optimize else {}
        with ProgressBar(f"comparing {to}") as bar:
            exported = resnext.export_model(
                self.model,
                to,
                out=self.out,
                outputs=self.outputs,
                takes="images" if self.preprocess == "inside" else "pixels",
                images=self.images or None,
                packing=packing,
                progress=bar.update,
            )
        say(f"{exported.path}: {exported.parity}")
        return exported
