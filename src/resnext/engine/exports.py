"""Exported models in a folder, and `parity.json` beside them: how each agreed with its original."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

from resnext.catalogue import EXPORTS
from resnext.engine.engine import ModelError
from resnext.files import write_whole
from resnext.machine import cpu_name
from resnext.parsing import MAX_INTEGER, Extensible, Range, build, read_json
from resnext.weights import weights_digest

#: The file beside exported models, and its schema.
PARITY_FILE, SCHEMA = "parity.json", 1

Count = Annotated[int, Range(0, MAX_INTEGER)]
Milliseconds = Annotated[float, Range(0, 1e9)]
Probability = Annotated[float, Range(0, 1)]


@dataclass(frozen=True)
class ParityRecord(Extensible):
    """How one exported model agreed with its original.

    Attributes:
        format: Name of its format.
        engine: What computed it.
        source: SHA-256 of the weights of the original; empty if it came from no file.
        images_of: Where the images came from: `val`, or what was given.
        images: Number of images.
        same_top1: Images of the same most probable class.
        largest_difference: The largest difference of a probability.
        tolerance: The largest that passes.
        ms: Median milliseconds for an image of the original and of the exported model.
        device: The machine that this was measured on.
        correct: Images that the two get right; None if the images have no labels.
        takes: What goes into it: prepared `pixels`, or `images` that it prepares itself.
        precision: What it computes in: `float32` or `int8`.
        packing: How many times as wide the groups of convolutions were made, by their names, as was fastest
            on `device`.
    """

    format: str
    engine: str
    source: str
    images_of: str
    images: Count
    same_top1: Count
    largest_difference: Probability
    tolerance: Probability
    ms: tuple[Milliseconds, Milliseconds]
    device: str
    correct: tuple[Count, Count] | None = None
    takes: str = "pixels"
    precision: str = "float32"
    packing: dict[str, Annotated[int, Range(1, MAX_INTEGER)]] = field(default_factory=dict)


@dataclass(frozen=True)
class _ParityDocument(Extensible):
    """The whole file: a record by the name of each file or folder beside it."""

    schema: int = SCHEMA
    models: dict[str, ParityRecord] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema {self.schema}; this version reads schema {SCHEMA}")


def read_parity(folder: Path) -> dict[str, ParityRecord]:
    """The records of the models in `folder` by the names of their files, without those that are gone.

    Empty if there is no parity.json, or the folder is a link. Raises `ModelError` if it cannot be read.
    """
    path = folder / PARITY_FILE
    if folder.is_symlink() or not path.exists():
        return {}
    try:
        document = build(_ParityDocument, read_json(path), "parity")
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); remove it, and export again") from None
    return {
        name: record
        for name, record in document.models.items()
        if Path(name).name == name and (folder / name).exists()
    }


def exports_of(run: Path) -> tuple[dict[str, ParityRecord], dict[str, ParityRecord]]:
    """The records of what was exported of a run, by the names of the files.

    Args:
        run: A run folder.

    Returns:
        Those of its model as it is now, and those from before it was changed, as by `resnext calibrate`.
        Both are empty if it has no model.

    Raises:
        ModelError: Its parity.json cannot be read.
    """
    records = read_parity(run / EXPORTS)
    if not records or not (run / "model").is_dir():
        return {}, {}
    digest = weights_digest(run)
    present = {name: record for name, record in records.items() if record.source == digest}
    return present, {name: record for name, record in records.items() if name not in present}


def chosen_elsewhere(path: Path) -> str:
    """Where the width of groups in the exported file at `path` was chosen, for people; empty if here, or if
    nothing was chosen or nobody says."""
    try:
        record = read_parity(path.parent).get(path.name)
    except ModelError:  # which whoever needs it reports
        return ""
    if record is None or not record.packing or record.device == cpu_name():
        return ""
    return (
        f"{path}: its grouped convolutions have the form that is fastest on {record.device}; "
        "resnext optimize chooses for this machine"
    )


def add_parity(folder: Path, name: str, record: ParityRecord) -> None:
    """Write the record of the model `name` in `folder`, in the place of an earlier one."""
    document = _ParityDocument(models=read_parity(folder) | {name: record})
    text = json.dumps(asdict(document), indent=2, ensure_ascii=False) + "\n"
    write_whole(folder / PARITY_FILE, text)
