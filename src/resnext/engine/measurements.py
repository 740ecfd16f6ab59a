"""`Measurements`: times of this machine that are kept in the cache folder, so that they are measured once."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Generic, Protocol, TypeVar

import torch

from resnext.catalogue import cache_folder
from resnext.files import write_whole
from resnext.machine import cpu_name
from resnext.parsing import build, read_json

#: Most measurements that a file keeps, where nobody says; the newest ones.
MAX_KEPT = 200
Times = TypeVar("Times")


class Document(Protocol):
    """What a file of measurements holds."""

    @property
    def schema(self) -> int: ...

    @property
    def measured(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Measurements(Generic[Times]):
    """A file of measurements.

    Attributes:
        file: Its name in the cache folder.
        kind: The dataclass of its content, with the fields `schema` and `measured`.
        most: Most measurements that it keeps, the newest ones.
    """

    file: str
    kind: type[Any]
    most: int = MAX_KEPT

    def read(self) -> dict[str, Times]:
        """What was measured before, by the digest of what was measured; nothing if it cannot be read."""
        try:
            kept: Document = build(self.kind, read_json(cache_folder() / self.file), "measurements")
        except (OSError, ValueError):
            return {}
        return {key: times for key, times in kept.measured.items() if times and kept.schema == 1}

    def keep(self, measured: Mapping[str, Times]) -> None:
        """Keep the newest of `measured`, if the folder can be written."""
        newest = dict(list(measured.items())[-self.most :])
        text = json.dumps(asdict(self.kind(measured=newest)), indent=1) + "\n"
        try:
            cache_folder().mkdir(parents=True, exist_ok=True)
            write_whole(cache_folder() / self.file, text)
        except OSError:
            return


def measured_here(what: object, device: torch.device, libraries: Sequence[str]) -> str:
    """Digest of all that times depend on.

    Args:
        what: What is measured, as JSON can hold it.
        device: Where it is computed.
        libraries: Names of the libraries whose versions matter.
    """
    machine = [cpu_name(), str(device), torch.get_num_threads(), *map(_version, libraries)]
    return hashlib.sha256(json.dumps([what, machine]).encode()).hexdigest()


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return ""
