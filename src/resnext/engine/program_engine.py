"""`ProgramEngine`: a program of torch.export, computed by torch on the CPU."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from resnext.engine.engine import Engine, ModelError, Output
from resnext.engine.program_file import ProgramFile


class ProgramEngine(Engine):
    """A program of torch.export, computed by torch on the CPU, without the code of its network.

    Raises:
        ModelError: Torch cannot read the program, or its outputs do not fit the contract.
    """

    name: ClassVar[str] = "pt2"

    def __init__(self, file: ProgramFile) -> None:
        super().__init__(str(file.path), file.contract, frozenset(file.outputs))
        self._file = file
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch warns about its own use of itself
                self._module: Any = torch.export.load(io.BytesIO(file.archive())).module()
            size = self.contract.input
            pixels = torch.zeros(2, size.channels, size.height_px, size.width_px)
            scores = self._run(pixels)
        except Exception as error:  # of any class, where parts do not fit together
            reason = str(error).strip().splitlines()[:1]
            raise ModelError(
                f"{file.path}: torch {torch.__version__} cannot read it ({''.join(reason)[:300]}); export it "
                "again"
            ) from None
        shapes: dict[str, object] = {name: list(scores[name].shape) for name in file.outputs}
        file.check({file.input: list(pixels.shape)}, shapes)

    def compute_all(self, pixels: Tensor, outputs: Sequence[Output]) -> list[Tensor]:
        made = self._run(pixels)
        return [made[self._file.outputs[output]].float() for output in outputs]

    @torch.inference_mode()
    def _run(self, pixels: Tensor) -> Any:
        return self._module(pixels)
