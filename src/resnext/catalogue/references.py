"""From what a user types to a folder or file of weights."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from resnext.catalogue.entries import CatalogueEntry, find_entry, unknown_name
from resnext.catalogue.errors import UnknownWeights
from resnext.catalogue.hub import HUB_WEIGHTS_FILES, Repository
from resnext.catalogue.trust import cache_folder, check_trusted

HUB, FOLDER = "hf-hub:", "local-dir:"
#: Endings of files of weights.
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".tar", ".ckpt")
#: Folder of a run that its exports lie in.
EXPORTS = "exports"


@dataclass(frozen=True)
class Located:
    """Where weights are, and their entry in the catalogue, if they were asked for by a name in it."""

    path: Path
    entry: CatalogueEntry | None = None


def is_path(reference: str | Path) -> bool:
    """Whether `reference` means a file or folder, which may be missing, and no name.

    >>> is_path("runs/pets"), is_path("resnext50_32x4d"), is_path("hf-hub:timm/resnet50.a1_in1k")
    (True, False, False)
    """
    text = os.fspath(reference)
    if isinstance(reference, Path) and reference.is_absolute():
        return True
    if text.startswith((HUB, FOLDER)):
        return False
    return os.path.exists(text) or os.sep in text or text.endswith(SUFFIXES)


def added_folder(entry: CatalogueEntry) -> Path:
    """Where `resnext weights add` puts the weights of `entry`."""
    return cache_folder() / "weights" / entry.name


def added_record(entry: CatalogueEntry) -> str:
    """What the record of the added weights of `entry` is called."""
    return f"added/{entry.name}/{HUB_WEIGHTS_FILES[0]}"


def find_local(entry: CatalogueEntry) -> Path | None:
    """The folder of the weights of `entry` on this machine; None if they are not here."""
    added = added_folder(entry)
    return added if added.is_dir() else Repository(entry.hub).cached()


def verify_local(entry: CatalogueEntry) -> Path | None:
    """As `find_local`, after their digest was compared. Raises `DamagedWeights`."""
    folder = find_local(entry)
    if folder == added_folder(entry):
        check_trusted(added_record(entry), folder / HUB_WEIGHTS_FILES[0])
    elif folder is not None:
        Repository(entry.hub).verify(folder)
    return folder


def locate(reference: str | Path) -> Located:
    """The folder or file of weights that `reference` means; those of the hub are fetched if they must be.

    Args:
        reference: A path, `local-dir:PATH`, `hf-hub:owner/name[@revision]`, a name in the catalogue, or the
            name of a network, which means its best permissive weights.

    Raises:
        UnknownWeights: There are no such weights.
        FetchError: They are not here, and cannot be fetched.
        DamagedWeights: What is here is not what was published, or what was here before.

    >>> locate("local-dir:/").path.as_posix()
    '/'
    """
    text = os.fspath(reference)
    if is_path(reference):
        return Located(Path(text))
    if text.startswith(FOLDER):
        folder = Path(text.removeprefix(FOLDER))
        if not folder.is_dir():
            raise UnknownWeights(f"{text}: there is no such folder")
        return Located(folder)
    if text.startswith(HUB):
        return Located(Repository.parse(text.removeprefix(HUB)).fetch())
    entry = find_entry(text)
    if entry is None:
        raise unknown_name(text)
    return Located(verify_local(entry) or Repository(entry.hub).fetch(), entry)


def check_reference(reference: str) -> None:
    """Raise `UnknownWeights` if `reference` can mean no weights; nothing is fetched."""
    if is_path(reference):
        if not os.path.exists(reference):
            raise UnknownWeights(
                f"{reference}: there is no such model; give a run folder, a hub folder or a weights file"
            )
    elif reference.startswith(HUB):
        Repository.parse(reference.removeprefix(HUB))
    elif not reference.startswith(FOLDER) and find_entry(reference) is None:
        raise unknown_name(reference)


def run_of(path: Path) -> Path | None:
    """The folder of the run that the exported file or folder at `path` lies in; None if it lies elsewhere.

    >>> print(run_of(Path("runs/pets/exports/pets.onnx")))
    None
    """
    run = path.parent.parent
    return run if path.parent.name == EXPORTS and (run / "model").is_dir() else None
