"""OpenVINO keeps to float32, and to itself."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from resnext.engine import TorchEngine, open_model
from resnext.engine.ir_file import IrFile
from resnext.engine.openvino_engine import OpenVinoBfloat16Engine, OpenVinoEngine
from resnext.export import Source
from resnext.export.openvino_format import OpenVinoFormat
from resnext.models import Network


def test_it_computes_onnx_files_too(onnx_path: Path, ir_path: Path) -> None:
    pixels = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    by_onnx, by_ir, own = (
        open_model(path, engine=engine).engine
        for path, engine in ((onnx_path, "openvino"), (ir_path, None), (onnx_path, None))
    )
    assert isinstance(by_onnx, OpenVinoEngine)
    assert isinstance(by_ir, OpenVinoEngine)
    assert not isinstance(own, OpenVinoEngine)
    for engine in (by_ir, own):
        torch.testing.assert_close(
            engine.probabilities(pixels), by_onnx.probabilities(pixels), atol=1e-6, rtol=0
        )


def test_it_computes_in_float32_whatever_the_processor_likes(ir_path: Path) -> None:
    classifier = open_model(ir_path)
    engine = classifier.engine
    assert isinstance(engine, OpenVinoEngine)
    pixels = torch.zeros(1, 3, 16, 16)
    engine.compute(pixels, "logits")
    compiled = engine._requests["logits",].get_compiled_model()
    assert compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"


def test_bfloat16_is_asked_for_by_an_engine_of_its_own(ir_path: Path) -> None:
    """A processor without it computes in float32 all the same."""
    engine = OpenVinoBfloat16Engine(IrFile.read(ir_path, None))
    pixels = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    close = 0.05 if OpenVinoBfloat16Engine.is_native(ir_path) else 1e-6
    expected = open_model(ir_path).engine.probabilities(pixels)
    torch.testing.assert_close(engine.probabilities(pixels), expected, atol=close, rtol=0)


def test_a_signal_does_not_end_a_process_in_which_openvino_was_used(ir_path: Path) -> None:
    """Of two of its plugins, the one that is freed last gives back the stack of the other, on which Python's
    handlers run (SIGSEGV). In a process of its own."""
    program = """
import gc, os, signal, sys, torch
from pathlib import Path
from resnext.engine import open_model
from resnext.engine.openvino_engine import OpenVinoBfloat16Engine
heard = []
signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))
OpenVinoBfloat16Engine.is_native(Path(sys.argv[1]))
engines = [open_model(sys.argv[1]).engine for _ in range(2)]
for engine in engines:
    engine.compute(torch.zeros(1, 3, 16, 16), "logits")
del engine
for _ in range(2):
    engines.pop(0)
    gc.collect()
    os.kill(os.getpid(), signal.SIGUSR1)
print(len(heard))
"""
    words = [sys.executable, "-X", "faulthandler", "-c", program, str(ir_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout) == (0, "2\n")


def test_nothing_is_sent_and_nothing_written_elsewhere(
    network: Network, contract: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, lambda *call: calls.append(call))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *call, **_: calls.append(call) or [])
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    OpenVinoFormat().write(Source("x", network, contract), tmp_path / "x.xml")
    engine = open_model(tmp_path / "x.xml").engine
    pixels = torch.ones(2, 3, 16, 16)
    expected = TorchEngine(network, contract).probabilities(pixels)
    torch.testing.assert_close(engine.probabilities(pixels), expected, atol=1e-6, rtol=0)
    assert calls == []
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["home", "x.bin", "x.xml"]
