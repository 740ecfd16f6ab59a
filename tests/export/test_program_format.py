"""Programs of torch.export against the networks in torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from scipy.special import softmax

from resnext.contract import Contract
from resnext.engine.program_engine import ProgramEngine
from resnext.engine.program_file import ProgramFile
from resnext.export import Source
from resnext.export.parity import TOLERANCE
from resnext.export.program_format import ProgramFormat
from resnext.parsing import parse_json


def test_a_program_computes_what_the_network_computes(any_source: Source, tmp_path: Path) -> None:
    network, path = any_source.network, tmp_path / "any.pt2"
    ProgramFormat().write(any_source, path)
    engine = ProgramEngine(ProgramFile.read(path))
    for batch in (1, 3, 8):
        pixels = torch.randn(batch, 3, 32, 32, generator=torch.Generator().manual_seed(batch))
        logits = network(pixels).detach().numpy()
        assert np.allclose(engine.probabilities(pixels), softmax(logits / 1.5, axis=1), atol=TOLERANCE)
        maps = engine.activation_maps(pixels)
        assert np.allclose(maps.mean((2, 3)) + network.fc.bias.detach(), logits, rtol=1e-4, atol=1e-4)


def test_torch_alone_reads_the_file(source: Source, tmp_path: Path) -> None:
    path = tmp_path / "x.pt2"
    ProgramFormat().write(source, path)
    assert [file.name for file in tmp_path.iterdir()] == ["x.pt2"]
    extra = {"resnext.json": ""}
    program = torch.export.load(str(path), extra_files=extra)
    contract = Contract.from_json(parse_json(extra["resnext.json"])["contract"])
    assert contract == source.contract
    pixels = torch.ones(3, 3, 32, 32)
    made = program.module()(pixels)
    assert list(made) == ["logits", "probabilities", "cam"]
    torch.testing.assert_close(made["logits"], source.network(pixels), atol=1e-5, rtol=1e-5)
    content = path.read_bytes()
    for place in (str(Path(torch.__file__).parent), str(Path(__file__).parents[2]), str(tmp_path)):
        assert place.encode() not in content
