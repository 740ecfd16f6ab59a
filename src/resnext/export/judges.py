"""`Judges`: the images that an export must agree on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resnext.contract import Contract
from resnext.data.decode import DataError
from resnext.data.image_files import find_image_files
from resnext.data.images import ImageDataset
from resnext.data.sources import read_split
from resnext.engine import ModelError
from resnext.run import RunFolder
from resnext.run.documents import EnvironmentDocument
from resnext.run.evaluation import read_data_document

#: Most images of val that are compared.
MAX_JUDGES = 2000
_HINT = "say images to compare on: --images new/"


@dataclass(frozen=True)
class Judges:
    """The images that an export must agree on.

    Attributes:
        images: The images.
        name: Where they come from, for people.
        has_labels: Whether their labels index the classes of the model.
    """

    images: ImageDataset
    name: str
    has_labels: bool

    @classmethod
    def given(cls, sources: Sequence[str | Path]) -> Judges:
        """Those that files, folders and globs name. Raises `DataError`."""
        return cls(find_image_files(sources).dataset(), "images that were given", False)

    @classmethod
    def of_run(cls, path: Path, contract: Contract) -> Judges:
        """Those of val of the run in the folder `path`, spread evenly if there are more than `MAX_JUDGES`.

        Raises `ModelError` if it is no run, or its data are not where they were.
        """
        if not (path / "model").is_dir():
            raise ModelError(f"{path}: is no run, so its val images are not known; {_HINT}")
        fingerprint = read_data_document(RunFolder(path), len(contract.classes)).fingerprint
        try:
            return cls.of_data(data_of_run(path), contract, fingerprint)
        except DataError as error:
            raise ModelError(f"{path}: its val images are not where they were ({error}); {_HINT}") from None

    @classmethod
    def of_data(cls, data: str, contract: Contract, fingerprint: str | None) -> Judges:
        """Those of val of a data set, spread evenly if there are more than `MAX_JUDGES`. Raises `DataError`.

        Args:
            data: The data set.
            contract: Its classes are those of the model.
            fingerprint: That of the data that the model was trained on, if it is known.
        """
        _, val = read_split(data, contract.classes, "val", fingerprint)
        places = np.linspace(0, len(val) - 1, min(MAX_JUDGES, len(val)))
        return cls(val.select(places.astype(np.int64)), "val", True)


def data_of_run(path: Path) -> str:
    """Where the run in the folder `path` found its data. Raises `RunError`."""
    return RunFolder(path).read_document("environment.json", EnvironmentDocument).data
