"""`ProgramFile`: a program of torch.export, checked before torch sees it.

Torch's reader does what such a file asks for: it unpickles, and evaluates sizes as Python. So only the graph
and the raw weights are taken from the file, and torch gets an archive that is made here. The texts of the
graph must be of known kinds, and its operators among those of our networks.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from resnext.engine.engine import ModelError, Output
from resnext.engine.exported_file import OUTPUTS, PIXELS, ExportedFile, read_whole
from resnext.engine.foreign import ForeignContract, no_contract, refuse_foreign
from resnext.engine.seal import KEY, Seal
from resnext.parsing import parse_json, show

#: Largest file.
MAX_BYTES = 2**31 - 1
#: Operators of our networks.
OPERATORS = frozenset(
    f"torch.ops.aten.{name}"
    for name in (
        "adaptive_avg_pool2d.default add.Tensor amin.default avg_pool2d.default batch_norm.default "
        "cat.default chunk.default clamp.default conv2d.default div.Tensor flatten.using_ints linear.default "
        "logsumexp.default max_pool2d.default mean.dim mul.Tensor pad.default relu.default relu_.default "
        "rsqrt.default sigmoid.default slice.Tensor softmax.int stack.default sum.dim_IntList topk.default "
        "unsqueeze.default zeros.default"
    ).split()
)
#: Kinds of arguments, as their fields are called.
ARGUMENTS = frozenset(
    f"as_{kind}" for kind in "bool device expr float floats int ints none scalar_type tensor tensors".split()
)
#: The only dynamic size and its multiples, as torch writes them, and what any other text may be.
_BATCH = r"Symbol\('s\d{1,6}', positive=True, integer=True\)"
_SIZE = re.compile(rf"{_BATCH}|Mul\(Integer\(\d{{1,18}}\), {_BATCH}\)")
_NAME = re.compile(r"[\w.+-]*")
#: Fields that hold nothing in our programs, and could hold anything.
_EMPTY = ("guards_code", "metadata", "custom_obj_values", "treespec_namedtuple_fields")
#: Parts of the archive that are taken from a file, and the values of others.
_GRAPH, _TABLE, _SEAL = "models/model.json", "data/weights/model_weights_config.json", f"extra/{KEY}.json"
_WEIGHT = re.compile(r"data/weights/weight_\d{1,6}")
_FIXED = {
    "data/constants/model_constants_config.json": b'{"config": {}}',
    "archive_format": b"pt2",
    "archive_version": b"0",
    "byteorder": b"little",
    ".data/version": b"6\n",
}


@dataclass(frozen=True)
class ProgramFile(ExportedFile):
    """A program of torch.export: `parts` are what is taken from its archive, by their names in it.

    `outputs` are keys of its result.
    """

    parts: Mapping[str, bytes] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, foreign: ForeignContract | None = None) -> ProgramFile:
        """The program in the file at `path`.

        Args:
            path: The file.
            foreign: What the user says about it; it carries its own contract.

        Raises:
            ModelError: It is none that was exported here, or was changed after its export.
        """
        refuse_foreign(path, foreign)
        parts = unpack(path, read_whole(path, MAX_BYTES))
        if _SEAL not in parts:
            raise no_contract(path)
        text = parts.pop(_SEAL).decode("ascii", "replace")
        seal = Seal.loads(text, sealed_content(parts), str(path))
        try:
            names = _check(parts)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise ModelError(
                f"{path}: asks for what no network of ours needs ({error}), or was made by another version "
                f"of torch than {torch.__version__}; export it again"
            ) from None
        outputs: dict[Output, str] = {name: name for name in OUTPUTS if name in names}
        return cls(path, seal.contract, seal.source, PIXELS, outputs, parts=parts)

    def archive(self) -> bytes:
        """What torch reads."""
        size = self.contract.input
        return pack(self.parts, torch.zeros(2, size.channels, size.height_px, size.width_px))


def unpack(path: Path, content: bytes) -> dict[str, bytes]:
    """The parts of an archive that are used. Raises `ModelError` if it is none."""
    parts: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry in archive.infolist():
                name = entry.filename.partition("/")[2]  # the first word is the name of the file
                if name not in (_GRAPH, _TABLE, _SEAL) and not _WEIGHT.fullmatch(name):
                    continue
                if entry.compress_type != zipfile.ZIP_STORED or name in parts:
                    raise ModelError(f"{path}: {name} is compressed or stands twice; export it again")
                parts[name] = archive.read(entry)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise ModelError(f"{path}: is no complete file of torch.export ({error})") from None
    if not {_GRAPH, _TABLE} <= parts.keys():
        raise ModelError(f"{path}: is no file of torch.export, or of another version of torch")
    return parts


def pack(parts: Mapping[str, bytes], pixels: torch.Tensor) -> bytes:
    """An archive of `parts` as torch reads it; `pixels` are an example of the input."""
    example, archive = io.BytesIO(), io.BytesIO()
    torch.save(((pixels,), {}), example)
    whole = {**_FIXED, **parts, "data/sample_inputs/model.pt": example.getvalue()}
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for name, content in whole.items():
            file.writestr(zipfile.ZipInfo(f"archive/{name}"), content)
    return archive.getvalue()


def seal_parts(parts: Mapping[str, bytes], seal: Seal) -> dict[str, bytes]:
    """`parts` with the seal among them."""
    return {**parts, _SEAL: seal.dumps(sealed_content(parts)).encode()}


def sealed_content(parts: Mapping[str, bytes]) -> Iterator[bytes]:
    """What decides what a program computes."""
    for name in sorted(parts):
        yield f"\n{name} {len(parts[name])}\n".encode()
        yield parts[name]


def _check(parts: Mapping[str, bytes]) -> list[str]:
    """The names of the outputs of a program. Raises `ValueError` for what no network of ours needs."""
    graph, table = parse_json(parts[_GRAPH]), parse_json(parts[_TABLE])
    _check_value(graph, "graph")
    _check_value(table, "weights")
    for name, weight in table["config"].items():
        if weight["use_pickle"] is not False or f"data/weights/{weight['path_name']}" not in parts:
            raise ValueError(f"weights.{name}: is no plain array in the file")
    whole = next(call for call in graph["graph_module"]["module_call_graph"] if call["fqn"] == "")
    _, result = parse_json(whole["signature"]["out_spec"])
    names = parse_json(result["context"])
    if result["type"] != "builtins.dict" or len(names) != len(graph["graph_module"]["graph"]["outputs"]):
        raise ValueError("graph: its result is no dictionary")
    return [str(name) for name in names]


def _check_value(value: Any, where: str) -> None:
    """Raise `ValueError` for a text or field of a kind that our programs have not."""
    if isinstance(value, list):
        for item in value:
            _check_value(item, where)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in _EMPTY and item:
                raise ValueError(f"{where}: {key} is not empty")
            if key.startswith("as_") and key not in ARGUMENTS:
                raise ValueError(f"{where}: {key} is no argument of ours")
            _check_value(key, "graph")
            _check_value(item, key)
    elif isinstance(value, str):
        _TEXTS.get(where, _check_name)(value)


def _check_name(text: str) -> None:
    if not _NAME.fullmatch(text):
        raise ValueError(f"{show(text)} is no name")


def _check_size(text: str) -> None:
    if not _SIZE.fullmatch(text):
        raise ValueError(f"{show(text)} is no size")


def _check_operator(text: str) -> None:
    if text not in OPERATORS:
        raise ValueError(f"{show(text)} is no operator of ours")


def _check_structure(text: str) -> None:
    version, node = parse_json(text)
    if version != 1:
        raise ValueError(f"structure of version {show(version)}")
    _check_node(node)


def _check_node(node: Any) -> None:
    if node["type"] not in (None, "builtins.tuple", "builtins.list", "builtins.dict"):
        raise ValueError(f"{show(node['type'])} is no structure of ours")
    keys = parse_json(node["context"]) if node["context"] is not None else None
    _check_value(keys, "keys")
    for child in node["children_spec"]:
        _check_node(child)


#: What texts must be, by the name of their field.
_TEXTS: dict[str, Callable[[str], None]] = {
    "expr_str": _check_size,
    "target": _check_operator,
    "in_spec": _check_structure,
    "out_spec": _check_structure,
}
