"""`Origin`: the model that embeddings are of, as their file carries it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import nn

from resnext.contract import Contract, ContractError, first_difference
from resnext.data.decode import DataError
from resnext.engine.classifier import MAX_BATCH_PIXELS, Classifier
from resnext.engine.engine import ModelError
from resnext.parsing import Extensible, Range, build, parse_json, show
from resnext.version import __version__

SCHEMA = 1
#: Name of our metadata in a file of embeddings.
METADATA_KEY = b"resnext"
#: Images that go through the network together.
BATCH = 64


@dataclass(frozen=True)
class Origin:
    """The model that embeddings are of.

    Attributes:
        architecture: Name of the network.
        weights_sha256: Digest of its tensors.
        features: Numbers in an embedding.
        batch: Images that went through it together.
        contract: How images were prepared.
        images: Digest of the images, in a finished file; see `ImagesToEmbed.digest`.
    """

    architecture: str
    weights_sha256: str
    features: int
    batch: int
    contract: Contract
    images: str | None = None

    @classmethod
    def of(cls, classifier: Classifier) -> Origin:
        """The origin of embeddings that `classifier` makes."""
        network, contract = classifier.network, classifier.contract
        return cls(
            architecture=network.arch.name,
            weights_sha256=tensors_digest(network),
            features=network.num_features,
            batch=max(1, min(BATCH, MAX_BATCH_PIXELS // contract.resize.crop_px**2)),
            contract=contract,
        )

    def check_is(self, other: Origin, where: Path) -> None:
        """Raise `ModelError` if `other`, the model at hand, is another one than that of the file `where`."""
        cure = "give the model that it was begun with, or remove the file to begin again"
        if (self.architecture, self.features) != (other.architecture, other.features):
            what = f"{self.architecture}, not {other.architecture}"
        elif self.weights_sha256 != other.weights_sha256:
            what = f"{self.architecture} with other weights (SHA-256 {self.weights_sha256[:16]}...)"
        elif field := first_difference(self.contract, other.contract, "contract"):
            what = f"the same weights with another contract: {field} differs"
        else:
            return
        raise ModelError(f"{where}: holds embeddings of {what}; {cure}")

    def dumps(self) -> bytes:
        """The origin as JSON, the metadata of a file."""
        value = vars(self) | {"contract": self.contract.to_json()}
        return json.dumps({"schema": SCHEMA, "written_by": f"resnext {__version__}"} | value).encode()

    @classmethod
    def loads(cls, metadata: dict[bytes, bytes] | None, where: Path) -> Origin:
        """The origin in the metadata of the file `where`. Raises `DataError`."""
        text = (metadata or {}).get(METADATA_KEY)
        if text is None:
            raise DataError(f"{where}: is no file of embeddings of `resnext embed`; say another name")
        try:
            value = parse_json(text)
            given = build(_Written, value, "metadata")
            if given.schema != SCHEMA:
                raise ValueError(f"schema {show(given.schema)}; this version reads schema {SCHEMA}")
            contract = Contract.from_json(value["contract"])
        except (ValueError, ContractError) as error:
            raise DataError(f"{where}: what it says of its model cannot be read ({error})") from None
        return cls(
            given.architecture, given.weights_sha256, given.features, given.batch, contract, given.images
        )


@dataclass(frozen=True)
class _Written(Extensible):
    """The metadata of a file of embeddings."""

    schema: int
    architecture: str
    weights_sha256: str
    features: Annotated[int, Range(1, 2**30)]
    batch: Annotated[int, Range(1, 2**20)]
    contract: dict[str, Any]
    images: str | None = None


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
