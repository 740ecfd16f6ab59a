"""Programs of torch.export that ask for more than our networks need never reach torch."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from resnext.contract import Contract
from resnext.engine import ForeignContract, ModelError, Seal, TorchEngine
from resnext.engine.program_engine import ProgramEngine
from resnext.engine.program_file import ProgramFile, sealed_content
from resnext.models import Network

GRAPH, SEAL = "archive/models/model.json", "archive/extra/resnext.json"
TABLE, WEIGHT = "archive/data/weights/model_weights_config.json", "archive/data/weights/weight_0"
EXAMPLE = "archive/data/sample_inputs/model.pt"
Parts = dict[str, bytes]


@pytest.fixture(scope="module")
def program_path(tmp_path_factory: pytest.TempPathFactory, network: Network, contract: Contract) -> Path:
    from resnext.export import Source
    from resnext.export.program_format import ProgramFormat

    path: Path = tmp_path_factory.mktemp("program") / "small.pt2"
    ProgramFormat().write(Source("small", network, contract, "5" * 64), path)
    return path


def unzip(path: Path) -> Parts:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(path: Path, parts: Parts, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def resealed(parts: Parts, contract: Contract) -> Parts:
    """`parts` with the digest that belongs to them, as an attacker would write it."""
    taken = {
        name.partition("/")[2]: content
        for name, content in parts.items()
        if name in (GRAPH, TABLE) or "/weight_" in name
    }
    return {**parts, SEAL: Seal(contract, "5" * 64).dumps(sealed_content(taken)).encode()}


def test_a_file_of_ours_carries_all(program_path: Path, network: Network, contract: Contract) -> None:
    file = ProgramFile.read(program_path)
    assert (file.contract, file.source, dict(file.outputs)) == (contract, "5" * 64, {"logits": "logits"})
    pixels = torch.randn(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    expected = TorchEngine(network, contract).probabilities(pixels)
    torch.testing.assert_close(ProgramEngine(file).probabilities(pixels), expected, atol=1e-6, rtol=0)
    with pytest.raises(ModelError, match="leave out --mean"):
        ProgramFile.read(program_path, ForeignContract(mean=(0.5,) * 3))


class Payload:
    """What runs when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (self.mark,)


def graph(change: Callable[[Any], object]) -> Callable[[Parts, Path], object]:
    """A changed graph; `MARK` in it becomes a file that is there if it was evaluated."""

    def edit(parts: Parts, mark: Path) -> None:
        value = json.loads(parts[GRAPH])
        change(value)
        parts[GRAPH] = json.dumps(value).replace("MARK", str(mark)).encode()

    return edit


def nodes(value: Any) -> Any:
    return value["graph_module"]["graph"]["nodes"]


def first_size(value: Any, text: str) -> None:
    """`text` in the place of the first dynamic size."""
    sizes = (
        size for one in value["graph_module"]["graph"]["tensor_values"].values() for size in one["sizes"]
    )
    next(size for size in sizes if "as_expr" in size)["as_expr"]["expr_str"] = text


def pickled_weight(parts: Parts, mark: Path) -> None:
    table = json.loads(parts[TABLE])
    next(iter(table["config"].values()))["use_pickle"] = True
    parts[TABLE] = json.dumps(table).encode()
    buffer = io.BytesIO()
    torch.save(Payload(mark), buffer)
    parts[WEIGHT] = buffer.getvalue()


EVIL = "__import__('pathlib').Path('MARK').touch()"
ASKING: dict[str, Callable[[Parts, Path], object]] = {
    "Python for a size": graph(lambda value: first_size(value, EVIL)),
    "a size that calls": graph(
        lambda value: first_size(value, "Symbol('s1', positive=True, integer=True).x()")
    ),
    "another operator": graph(
        lambda value: nodes(value)[0].update(target="torch.ops.aten.from_file.default")
    ),
    "a function of Python": graph(lambda value: nodes(value)[0].update(target="os.system")),
    "guards": graph(lambda value: value.update(guards_code=[EVIL])),
    "metadata": graph(lambda value: nodes(value)[0]["metadata"].update(nn_module_stack=EVIL)),
    "a custom object": graph(lambda value: nodes(value)[0]["inputs"].append({"arg": {"as_custom_obj": {}}})),
    "another structure": graph(
        lambda value: value["graph_module"]["module_call_graph"][0]["signature"].update(
            in_spec='[1, {"type": "os.system", "context": "null", "children_spec": []}]'
        )
    ),
    "a pickled weight": pickled_weight,
}


@pytest.mark.parametrize("name", ASKING)
def test_what_asks_for_more_is_refused_though_its_digest_is_right(
    name: str, program_path: Path, contract: Contract, tmp_path: Path
) -> None:
    parts = unzip(program_path)
    ASKING[name](parts, tmp_path / "mark")
    path = zipped(tmp_path / "x.pt2", resealed(parts, contract))
    with pytest.raises(ModelError, match="asks for what no network of ours needs"):
        ProgramFile.read(path)
    assert not (tmp_path / "mark").exists()


def test_examples_and_other_parts_are_not_taken_from_a_file(program_path: Path, tmp_path: Path) -> None:
    parts, mark = unzip(program_path), tmp_path / "mark"
    buffer = io.BytesIO()
    torch.save(Payload(mark), buffer)
    parts[EXAMPLE] = buffer.getvalue()
    example = zipped(tmp_path / "example.pt2", parts)
    parts["archive/data/constants/model_constants_config.json"] = (
        b'{"config": {"x": {"path_name": "opaque"}}}'
    )
    parts["archive/data/constants/opaque_obj_0"] = pickle.dumps(Payload(mark))
    parts["archive/data/aotinductor/model/x.so"] = b"\x7fELF"
    for path in (example, zipped(tmp_path / "more.pt2", parts)):
        engine = ProgramEngine(ProgramFile.read(path))
        assert engine.probabilities(torch.zeros(1, 3, 16, 16)).shape == (1, 3)
    assert not mark.exists()
    with contextlib.suppress(Exception):  # what torch alone does with it
        torch.export.load(str(example))
    assert mark.exists()


def test_a_file_that_was_edited_is_refused(program_path: Path, tmp_path: Path) -> None:
    whole = unzip(program_path)

    def refused(says: str, **changes: Any) -> None:
        parts = {name: changes.get(name.rpartition("/")[2].partition(".")[0], c) for name, c in whole.items()}
        path = zipped(tmp_path / "x.pt2", {n: c for n, c in parts.items() if c is not None})
        with pytest.raises(ModelError, match=says):
            ProgramFile.read(path)

    weight = whole[WEIGHT]
    refused("was changed after", weight_0=bytes([weight[0] ^ 1]) + weight[1:])
    refused("was changed after", weight_0=None)
    refused("carries no contract", resnext=None)
    refused("metadata cannot be read", resnext=b"{")
    content = program_path.read_bytes()
    for share in (0.0, 0.1, 0.5, 0.9, 0.999):
        (tmp_path / "x.pt2").write_bytes(content[: int(share * len(content))])
        with pytest.raises(ModelError, match=r"no (complete )?file of torch\.export"):
            ProgramFile.read(tmp_path / "x.pt2")
    with pytest.raises(ModelError, match="is compressed or stands twice"):
        ProgramFile.read(zipped(tmp_path / "x.pt2", whole, zipfile.ZIP_DEFLATED))


def test_parts_that_do_not_fit_together_are_told(
    program_path: Path, contract: Contract, tmp_path: Path
) -> None:
    parts = unzip(program_path)
    parts[WEIGHT] = parts[WEIGHT][:-4]
    file = ProgramFile.read(zipped(tmp_path / "x.pt2", resealed(parts, contract)))
    with pytest.raises(ModelError, match=r"x\.pt2: torch .* cannot read it"):
        ProgramEngine(file)
