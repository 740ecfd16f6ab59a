"""Export as a program of torch.export, which torch computes without this package."""

from __future__ import annotations

import io
from pathlib import Path
from typing import ClassVar

import torch

from resnext.engine import Seal
from resnext.engine.program_file import pack, seal_parts, unpack
from resnext.export.format import Format
from resnext.export.graph import Source, trace


class ProgramFormat(Format):
    """A program of torch.export, in one file; its result is a dictionary."""

    name: ClassVar[str] = "pt2"
    suffix: ClassVar[str] = ".pt2"

    def write(self, source: Source, path: Path) -> None:
        program, archive = trace(source), io.BytesIO()
        torch.export.save(program, archive)
        parts = seal_parts(unpack(path, archive.getvalue()), Seal(source.contract, source.sha256))
        (pixels,), _ = program.example_inputs
        path.write_bytes(pack(parts, pixels))
