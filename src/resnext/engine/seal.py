"""`Seal`: the contract inside an exported model, and the digest that binds it to what is computed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from resnext.contract import Contract
from resnext.engine.engine import ModelError
from resnext.parsing import MAX_JSON_BYTES, build, parse_json, show

#: The key of the seal in the metadata of an ONNX or OpenVINO file, and its schema.
KEY, SCHEMA = "resnext", 1
_RESTORE = "take the file from where it came from, or export it again"


@dataclass(frozen=True)
class Seal:
    """What an exported model says about itself.

    Attributes:
        contract: Its classes, preprocessing and calibration.
        source: SHA-256 of the file of weights that it was exported from; empty if it came from no file.
    """

    contract: Contract
    source: str = ""

    def dumps(self, content: Iterable[bytes]) -> str:
        """The seal as a JSON text, in ASCII.

        Args:
            content: All of the file that decides what is computed, in pieces.
        """
        body = self._body()
        return json.dumps(body | {"sha256": _digest(body, content)})

    @classmethod
    def loads(cls, text: str, content: Iterable[bytes], source: str) -> Seal:
        """The seal that `dumps` turned into `text`.

        Args:
            text: The text.
            content: As for `dumps`, of the file as it is now.
            source: Name of the file, for errors.

        Raises:
            ModelError: It is none, or it belongs to another content.
            ContractError: Its contract cannot be used.
        """
        if len(text) > MAX_JSON_BYTES:
            raise ModelError(f"{source}: its metadata are larger than {MAX_JSON_BYTES:,} bytes; {_RESTORE}")
        try:
            stored = build(_Stored, parse_json(text), KEY)
        except ValueError as error:
            raise ModelError(f"{source}: its metadata cannot be read ({error}); {_RESTORE}") from None
        if stored.schema != SCHEMA:
            raise ModelError(
                f"{source}: has schema {show(stored.schema)} of an exported model; this version reads "
                f"schema {SCHEMA}"
            )
        body = {"schema": stored.schema, "contract": stored.contract, "source": stored.source}
        if stored.sha256 != _digest(body, content):
            raise ModelError(
                f"{source}: was changed after it was exported: its contract and its network do not belong "
                f"together; {_RESTORE}"
            )
        return cls(Contract.from_json(stored.contract), stored.source)

    def _body(self) -> dict[str, Any]:
        return {"schema": SCHEMA, "contract": self.contract.to_json(), "source": self.source}


@dataclass(frozen=True)
class _Stored:
    """The fields of a seal."""

    schema: int
    contract: dict[str, Any]
    source: str
    sha256: str


def _digest(body: dict[str, Any], content: Iterable[bytes]) -> str:
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode())
    for piece in content:
        digest.update(piece)
    return digest.hexdigest()
