"""Weights that were fetched by hand, put where their name finds them."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from resnext.arch import Architecture
from resnext.catalogue import CatalogueEntry, entry_of_file, find_entry, unknown_name
from resnext.catalogue.references import added_folder, added_record
from resnext.catalogue.trust import file_digest, record_digest
from resnext.models import create
from resnext.weights.errors import WeightsError
from resnext.weights.hub_folder import write_hub_folder
from resnext.weights.matching import load_tensors
from resnext.weights.places import WEIGHTS_FILE
from resnext.weights.tensor_files import read_weights


def add_weights(file: Path, name: str | None = None) -> tuple[CatalogueEntry, Path]:
    """Read the weights in `file`, check them, and keep a copy where their name in the catalogue finds it.

    Args:
        file: A file of safetensors or torch.save, as it was published.
        name: What it is in the catalogue. If None, told from the name of the file.

    Returns:
        The entry and the folder of the copy, a hub folder with the contract of the entry.

    Raises:
        UnknownWeights: `name` is not in the catalogue.
        WeightsError: The file is not that of the entry, by its SHA-256 or by its tensors.
    """
    entry = entry_of_file(file.name) if name is None else find_entry(name)
    if entry is None and name is not None:
        raise unknown_name(name)
    if entry is None:
        raise WeightsError(
            f"{file}: no weights of the catalogue are published under this file name; say which they are "
            "with --of NAME, or use the file where it is: --weights FILE"
        )
    _check_digest(file, entry)
    network = create(Architecture.from_name(entry.network))
    load_tensors(network, read_weights(file).tensors, str(file))
    folder = added_folder(entry)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as draft:
        write_hub_folder(Path(draft) / "model", network, entry.contract, _card(entry, file))
        shutil.rmtree(folder, ignore_errors=True)
        (Path(draft) / "model").rename(folder)
    record_digest(added_record(entry), folder / WEIGHTS_FILE)
    return entry, folder


def _check_digest(file: Path, entry: CatalogueEntry) -> None:
    """Raises `WeightsError` if `file` has the name of the published file and another SHA-256."""
    try:
        digest = file_digest(file)
    except OSError as error:
        raise WeightsError(f"{file}: cannot be read ({error.strerror})") from None
    start = entry.digest_start
    if file.name == entry.file and start is not None and not digest.startswith(start):
        raise WeightsError(
            f"{file}: is damaged or another file: its SHA-256 begins with {digest[:8]}, that of the "
            f"published file with {start}; get it again"
        )


def _card(entry: CatalogueEntry, file: Path) -> str:
    return f"""---
library_name: timm
pipeline_tag: image-classification
license: "{entry.licence}"
---
# {entry.name}

Weights of ImageNet-1K from {entry.origin or entry.hub}, added from the file {file.name}.
"""
