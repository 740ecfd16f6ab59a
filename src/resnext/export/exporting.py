"""`export`: write, open, compare, and keep what agrees."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from resnext.contract import Contract
from resnext.engine import Classifier, ModelError, TorchEngine, open_model
from resnext.engine.exports import ParityRecord, add_parity
from resnext.export.format import Format
from resnext.export.graph import Source
from resnext.export.hub_format import HubFormat
from resnext.export.judges import Judges
from resnext.export.onnx_format import OnnxFormat
from resnext.export.openvino_format import OpenVinoFormat
from resnext.export.parity import Parity, check, compare
from resnext.export.program_format import ProgramFormat
from resnext.machine import cpu_name

#: The formats by name.
FORMATS: dict[str, Format] = {
    one.name: one for one in (OnnxFormat(), OpenVinoFormat(), ProgramFormat(), HubFormat())
}


@dataclass(frozen=True)
class Export:
    """An exported model that agrees with its original."""

    path: Path
    parity: Parity
    contract: Contract


def export(
    source: Source,
    format: Format,
    folder: Path,
    judges: Judges,
    progress: Callable[[int, int], None] | None = None,
) -> Export:
    """Export `source`, and keep it if it answers as the original does.

    Args:
        source: What is exported.
        format: What to.
        folder: Where it is kept, beside parity.json.
        judges: The images that both must agree on.
        progress: Called with the numbers of images done and in all.

    Raises:
        ParityError: It answers otherwise. Nothing is kept, and what was there before stays.
        EngineMissing: A library is not installed.
        ModelError: The folder cannot hold it.
    """
    check_folder(folder)
    if source.takes not in format.takes:
        raise ModelError(f"--to {format.name}: takes prepared pixels only; leave out --preprocess inside")
    name = f"{source.name}{'-images' if source.takes == 'images' else ''}{format.suffix}"
    kept = folder / name
    if kept.is_dir():  # a file is replaced by one rename, a folder is not
        raise ModelError(f"{kept}: exists already; remove it, or say another --out")
    draft = Path(tempfile.mkdtemp(prefix=f"{name}.", suffix=".partial", dir=folder))
    try:
        format.write(source, draft / name)
        exported = open_model(draft / name)
        original = Classifier(TorchEngine(source.network, source.contract))
        parity = compare(original, exported, judges.images, judges.has_labels, progress=progress)
        check(parity, name)
        for part, place in zip(format.files(draft / name), format.files(kept), strict=True):
            os.replace(part, place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    record = ParityRecord(
        format=format.name,
        engine=exported.engine.name,
        source=source.sha256,
        images_of=judges.name,
        images=parity.images,
        same_top1=parity.same_top1,
        largest_difference=parity.largest_difference,
        tolerance=parity.tolerance,
        ms=parity.ms,
        device=cpu_name(),
        correct=parity.correct,
        takes=source.takes,
        packing=dict(source.packing),
    )
    add_parity(folder, name, record)
    return Export(kept, parity, source.contract)


def check_folder(folder: Path) -> None:
    """Make `folder`. Raises `ModelError` if it is a link or something else."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise ModelError(f"{folder}: is a link or no folder, so nothing is written there; say another --out")
    folder.mkdir(parents=True, exist_ok=True)
