"""`--engine auto` takes the fastest, says why, and measures once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from resnext.contract import Contract
from resnext.engine import EngineMissing, ModelError, TorchEngine, open_model
from resnext.engine.choosing import CACHE_FILE, choose
from resnext.engine.engine import Engine, Output
from resnext.engine.openers import Opener
from resnext.models import Network

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RESNEXT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("resnext.engine.choosing.SECONDS", 0.01)
    return tmp_path / "cache"


class Sleeper(Engine):
    """Takes a known time for a batch."""

    name: ClassVar[str] = "sleeper"
    seconds = 0.0
    calls = 0

    def compute_all(self, pixels: Tensor, outputs: Sequence[Output]) -> list[Tensor]:
        self.calls += 1
        time.sleep(self.seconds)
        return [torch.zeros(len(pixels), 3)]


def sleeper(contract: Contract, seconds: float) -> Sleeper:
    engine = Sleeper("x", contract, frozenset({"logits"}))
    engine.seconds = seconds
    return engine


def fails(error: Exception) -> Callable[[], Engine]:
    def open_it() -> Engine:
        raise error

    return open_it


def test_the_fastest_is_taken_and_measured_once(contract: Contract, tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"1")
    slow, fast, endless = (sleeper(contract, seconds) for seconds in (0.05, 0.0, 9.0))
    openers = [
        Opener("slow", path, lambda: slow),
        Opener("fast", path, lambda: fast),
        Opener("endless", path, lambda: endless, is_slow_to_start=True),
        Opener("missing", path, fails(EngineMissing("x: needs the library y"))),
    ]
    choice = choose(openers, CPU)
    assert choice.engine is fast
    assert "engine fast: " in choice.why
    assert float(choice.why.partition("slow ")[2].split()[0]) >= 25  # 50 ms for a batch of two
    assert "(measured now); x: needs the library y" in choice.why
    calls = slow.calls
    again = choose(openers, CPU)
    assert (again.engine, slow.calls, endless.calls) == (fast, calls, 0)
    assert "(as measured before)" in again.why
    path.write_bytes(b"2")  # another network
    choose(openers, CPU)
    assert slow.calls > calls
    assert len(json.loads((cache / CACHE_FILE).read_text())["measured"]) == 2


@pytest.mark.parametrize("content", ["", "{", '{"schema": 2}', '{"measured": {"x": "y"}}', "[]"])
def test_a_damaged_cache_is_measured_again(
    content: str, contract: Contract, tmp_path: Path, cache: Path
) -> None:
    cache.mkdir()
    (cache / CACHE_FILE).write_text(content)
    path = tmp_path / "weights"
    path.write_bytes(b"1")
    engine = sleeper(contract, 0.0)
    assert choose([Opener("one", path, lambda: engine)], CPU).engine is engine
    assert len(json.loads((cache / CACHE_FILE).read_text())["measured"]) == 1


def test_where_nothing_can_be_opened_the_first_reason_is_told(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"1")
    with pytest.raises(ModelError, match="no such network"):
        choose([Opener("one", path, fails(ModelError("no such network")))], CPU)


def test_auto_gives_the_answers_of_any_engine(onnx_path: Path, network: Network, contract: Contract) -> None:
    pixels = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    chosen = open_model(onnx_path, engine="auto")
    assert chosen.note.startswith(f"engine {chosen.engine.name}: ")
    assert {"onnxruntime", "openvino"} <= {*chosen.note.replace(":", "").replace(",", "").split()}
    expected = TorchEngine(network, contract).probabilities(pixels)
    torch.testing.assert_close(chosen.engine.probabilities(pixels), expected, atol=1e-6, rtol=0)
