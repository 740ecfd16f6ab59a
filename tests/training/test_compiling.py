"""A network is compiled or left as it is; either way nothing of it changes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from resnext.training.compiling import compile_network


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 2))


@pytest.mark.parametrize("how", ["on", "graphs"])
def test_the_trial_leaves_nothing_behind(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, bool]] = []

    def without_a_compiler(module: nn.Module, options: dict[str, bool]) -> nn.Module:
        asked.append(options)
        return nn.Sequential(module)

    monkeypatch.setattr(torch, "compile", without_a_compiler)
    net, twin = network().train(), network()
    compiled, why = compile_network(net, torch.randn(8, 3, 5, 5), how, torch.float32)
    assert why is None
    assert compiled is not net
    assert asked == [
        {"force_layout_optimization": True} | ({"triton.cudagraphs": True} if how == "graphs" else {})
    ]
    assert all(p.grad is None for p in net.parameters())
    for name, tensor in twin.state_dict().items():
        assert net.state_dict()[name].equal(tensor)


def test_what_does_not_compile_runs_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(module: nn.Module, **options: Any) -> nn.Module:
        class Broken(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                module(x)  # moves the running statistics
                raise RuntimeError("no compiler here\nand many lines more")

        return Broken()

    monkeypatch.setattr(torch, "compile", failing)
    net, twin = network().train(), network()
    compiled, why = compile_network(net, torch.randn(8, 3, 5, 5), "on", torch.float32)
    assert compiled is net
    assert why == "RuntimeError: no compiler here"
    for name, tensor in twin.state_dict().items():
        assert net.state_dict()[name].equal(tensor)


#: Standard modules that whatever the compiler starts imports sooner or later.
IMPORTED = ("ctypes", "argparse", "base64", "pickle", "logging", "subprocess", "threading")
COMPILE = """
import sys, torch
from torch import nn
from resnext.training.compiling import compile_network
print(compile_network(nn.Linear(64, 64), torch.randn(8, 64), "on", torch.float32)[1])
"""


@pytest.mark.skipif(shutil.which("g++") is None, reason="compiles")
@pytest.mark.slow
def test_no_process_of_the_compiler_runs_code_of_the_current_folder(tmp_path: Path) -> None:
    folder = tmp_path / "of strangers"
    folder.mkdir()
    for name in IMPORTED:
        (folder / f"{name}.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'a').write({name!r})")
    environment = os.environ | {
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache"),
        "TORCHINDUCTOR_COMPILE_THREADS": "2",
    }
    environment.pop("PYTHONSAFEPATH", None)
    done = subprocess.run(
        [sys.executable, "-P", "-c", COMPILE],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "None\n", done.stderr
    assert not (tmp_path / "executed").exists(), (tmp_path / "executed").read_text()
