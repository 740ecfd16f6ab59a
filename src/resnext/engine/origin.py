"""`Origin`: the model that a table of images was computed with, as its file carries it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from torch import nn

from resnext.catalogue import file_digest
from resnext.contract import Contract, ContractError, first_difference
from resnext.data.decode import DataError
from resnext.engine.classifier import Classifier
from resnext.engine.engine import Engine, ModelError
from resnext.engine.torch_engines import TorchEngine
from resnext.parsing import Extensible, Range, build, parse_json, show
from resnext.version import __version__

SCHEMA = 1
#: Name of our metadata in a file of embeddings.
METADATA_KEY = b"resnext"
#: Images that go through the network together.
BATCH = 64


#: What the rows of a table are.
Content = Literal["embeddings", "predictions"]


@dataclass(frozen=True)
class Origin:
    """The model that rows are computed with.

    Attributes:
        architecture: Name of the network.
        weights_sha256: Digest of its tensors, or of an exported file.
        features: Numbers in an embedding, or classes.
        batch: Images that went through it together.
        contract: How images were prepared.
        images: Digest of the images, in a finished file; see `ImageList.digest`.
        content: What the rows are.
        settings: What else they depend on, as it is typed, such as `--views flip`, by what it is about.
    """

    architecture: str
    weights_sha256: str
    features: int
    batch: int
    contract: Contract
    images: str | None = None
    content: Content = "embeddings"
    settings: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_embeddings(cls, classifier: Classifier) -> Origin:
        """The origin of embeddings that `classifier` makes."""
        network = classifier.network
        return cls(
            architecture=network.arch.name,
            weights_sha256=tensors_digest(network),
            features=network.num_features,
            batch=classifier.batch(BATCH),
            contract=classifier.contract,
        )

    @classmethod
    def of_predictions(cls, classifier: Classifier, batch: int, settings: Mapping[str, str]) -> Origin:
        """The origin of predictions that `classifier` makes of `batch` images at a time."""
        contract = classifier.contract
        return cls(
            architecture=contract.provenance.architecture,
            weights_sha256=model_digest(classifier.engine),
            features=len(contract.classes),
            batch=batch,
            contract=contract,
            content="predictions",
            settings={"engine": f"--engine {classifier.engine.name}", **settings},
        )

    def check_is(self, other: Origin, where: Path) -> None:
        """Raise `ModelError` if `other`, what is at hand, is another one than that of the file `where`."""
        cure = "give the model that it was begun with, or remove the file to begin again"
        if self.content != other.content:
            raise ModelError(f"{where}: holds {self.content}, not {other.content}; say another --out")
        for name in self.settings.keys() | other.settings.keys():
            then, now = self.settings.get(name), other.settings.get(name)
            if then != now:
                raise ModelError(f"{where}: was begun with {then}, not with {now}; type {then}")
        if (self.architecture, self.features) != (other.architecture, other.features):
            what = f"{self.architecture}, not {other.architecture}"
        elif self.weights_sha256 != other.weights_sha256:
            what = f"{self.architecture} with other weights (SHA-256 {self.weights_sha256[:16]}...)"
        elif changed := first_difference(self.contract, other.contract, "contract"):
            what = f"the same weights with another contract: {changed} differs"
        else:
            return
        raise ModelError(f"{where}: holds {self.content} of {what}; {cure}")

    def dumps(self) -> bytes:
        """The origin as JSON, the metadata of a file."""
        value = vars(self) | {"contract": self.contract.to_json(), "settings": dict(self.settings)}
        return json.dumps({"schema": SCHEMA, "written_by": f"resnext {__version__}"} | value).encode()

    @classmethod
    def loads(cls, metadata: dict[bytes, bytes] | None, where: Path) -> Origin:
        """The origin in the metadata of the file `where`. Raises `DataError`."""
        text = (metadata or {}).get(METADATA_KEY)
        if text is None:
            raise DataError(f"{where}: is no file of embeddings or predictions of resnext; say another name")
        try:
            value = parse_json(text)
            given = build(_Written, value, "metadata")
            if given.schema != SCHEMA:
                raise ValueError(f"schema {show(given.schema)}; this version reads schema {SCHEMA}")
            contract = Contract.from_json(value["contract"])
        except (ValueError, ContractError) as error:
            raise DataError(f"{where}: what it says of its model cannot be read ({error})") from None
        return cls(
            given.architecture,
            given.weights_sha256,
            given.features,
            given.batch,
            contract,
            given.images,
            given.content,  # type: ignore[arg-type]
            given.settings,
        )


@dataclass(frozen=True)
class _Written(Extensible):
    """The metadata of a file."""

    schema: int
    architecture: str
    weights_sha256: str
    features: Annotated[int, Range(1, 2**30)]
    batch: Annotated[int, Range(1, 2**20)]
    contract: dict[str, Any]
    images: str | None = None
    content: str = "embeddings"
    settings: dict[str, str] = field(default_factory=dict)


def model_digest(engine: Engine) -> str:
    """SHA-256 of the tensors of a network, or of an exported file and what lies beside it."""
    if isinstance(engine, TorchEngine):
        return tensors_digest(engine.network)
    path = Path(engine.model)
    digests = [file_digest(file) for file in (path, path.with_suffix(".bin")) if file.is_file()]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def tensors_digest(network: nn.Module) -> str:
    """SHA-256 of the names, types, shapes and values of all tensors.

    >>> from torch import nn
    >>> one, other = nn.Linear(2, 1), nn.Linear(2, 1)
    >>> tensors_digest(one) == tensors_digest(other)
    False
    >>> _ = other.load_state_dict(one.state_dict())
    >>> tensors_digest(one) == tensors_digest(other)
    True
    """
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
