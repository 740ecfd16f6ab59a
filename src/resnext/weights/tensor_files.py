"""Files of tensors by name: safetensors, and torch's pickles without the code that they may ask for."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from resnext.files import check_ordinary, ordinary
from resnext.names import printable
from resnext.parsing import parse_json
from resnext.weights.errors import WeightsError
from resnext.weights.key_names import find_tensors, translate

#: First bytes of what `torch.save` writes: a zip archive, or before torch 1.6 a pickle.
PICKLE_MARKS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04")
#: What to do about a file that is none of weights.
MODEL_KINDS = "; give a run folder, a hub folder or a file of weights"
#: What a pickle asks for, in the message of `torch.load`.
_ASKED_FOR = re.compile(r"GLOBAL ([\w.]+)")


def is_pickle(path: Path) -> bool:
    """Whether the file at `path` is one of `torch.save`, by its first bytes; not if it cannot be read."""
    try:
        with open(path, "rb", opener=ordinary) as file:
            return file.read(4).startswith(PICKLE_MARKS)
    except OSError:
        return False


@dataclass(frozen=True)
class WeightsFile:
    """The tensors of a file by our names, our metadata in it or None, and how the tensors were found."""

    tensors: dict[str, Tensor]
    about: Any
    notes: tuple[str, ...] = ()


def read_weights(path: Path) -> WeightsFile:
    """The tensors of a file of safetensors or torch.save, whoever wrote it. Raises `WeightsError`."""
    pickled = read_pickle(path) if is_pickle(path) else None
    tensors, about = read_tensors(path) if pickled is None else ({}, None)
    if about is not None:
        return WeightsFile(tensors, about)
    try:
        found = translate(tensors) if pickled is None else find_tensors(pickled)
    except ValueError as error:
        raise WeightsError(f"{path}: {error}") from None
    return WeightsFile(found.tensors, None, found.notes)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], Any]:
    """The tensors by name of a safetensors file, and our metadata or None. Raises `WeightsError`."""
    try:
        check_ordinary(path)
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            about = parse_json((file.metadata() or {}).get("resnext", "null"))
    except FileNotFoundError:
        raise WeightsError(f"{path}: there is no such file{MODEL_KINDS}") from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror or error}){MODEL_KINDS}") from None
    except (SafetensorError, ValueError, AttributeError) as error:
        # AttributeError: a type that torch lacks.
        raise WeightsError(f"{path}: not a complete safetensors file ({error}){MODEL_KINDS}") from None
    return tensors, about


def read_pickle(path: Path) -> Mapping[str, Any]:
    """What `torch.save` wrote: tensors by name, or objects that contain such.

    Nothing in the file is run: it may hold tensors, numbers, texts, lists and dicts, no other objects.

    Raises:
        WeightsError: The file is cut or damaged, holds other objects, or is not a dict.
    """
    try:
        file = open(path, "rb", opener=ordinary)  # noqa: SIM115
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror or error})") from None
    with file:  # given a path, torch goes by its suffix
        value = _load(file, path)
    if not isinstance(value, Mapping):
        hint = "give a file with its state dict: torch.save(model.state_dict(), ...)"
        raise WeightsError(f"{path}: holds a {type(value).__name__}, not tensors by name; {hint}")
    return value


def _load(file: BinaryIO, path: Path) -> object:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(f"{path}: {_explain(path, str(error))}") from None
    except Exception as error:  # a damaged pickle can make torch raise nearly anything
        raise WeightsError(f"{path}: not a complete file of torch.save ({printable(str(error))})") from None


def _explain(path: Path, message: str) -> str:
    asked = _ASKED_FOR.search(message)
    if asked is None:
        return "not a complete file of torch.save"
    return (
        f"holds an object of {asked[1]}, which runs code when it is read; only plain tensors are read. If "
        f'you trust its origin: python -c \'import torch; torch.save(torch.load("{path.name}", '
        'weights_only=False)["state_dict"], "weights.pth")\''
    )
