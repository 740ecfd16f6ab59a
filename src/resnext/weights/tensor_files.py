"""Files of tensors by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from resnext.parsing import parse_json
from resnext.weights.errors import WeightsError


def read_tensors(path: Path) -> tuple[dict[str, Tensor], Any]:
    """The tensors by name of a safetensors file, and our metadata or None. Raises `WeightsError`."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            about = parse_json((file.metadata() or {}).get("resnext", "null"))
    except FileNotFoundError:
        raise WeightsError(f"{path}: there is no such file") from None
    except (OSError, SafetensorError, ValueError, AttributeError) as error:  # a type that torch has not
        pickled = ". Pickled weights: save their dict with safetensors.torch.save_file"
        hint = pickled if path.suffix in (".pth", ".pt", ".bin", ".ckpt") else ""
        raise WeightsError(f"{path}: not a complete safetensors file ({error}){hint}") from None
    return tensors, about
