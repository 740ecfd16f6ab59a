"""The programs of docs/examples run, each within a minute, and say what is so."""

from __future__ import annotations

import re
import runpy
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import resnext
from resnext.arch import TRANSFORMS, Architecture
from resnext.cost import count_cost
from resnext.design import LatencyMeter
from resnext.models.blocks import BLOCKS
from tests.catalogue.conftest import caches, hub  # noqa: F401  # fixtures

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_reports")]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """`start(name, *words)` runs an example in an empty folder, and gives the lines that it prints."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, *words: object) -> list[str]:
        monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out.splitlines()

    return run


def test_fine_tuning_by_name(start: Any, hub: Any, make_folder: Any, tmp_path: Path) -> None:  # noqa: F811
    network = resnext.create("resnext11_4x4d+template=16", classes=7)
    saved = network.save_pretrained(tmp_path / "saved")
    files = {path.name.replace(".", "_"): path.read_bytes() for path in saved.iterdir() if path.is_file()}
    hub.add("me/network", **files)
    data = make_folder(tmp_path / "pets", {"cat": 20, "dog": 20})
    said = start("fine_tune", data, "hf-hub:me/network", "--epochs", "2")
    assert any("/me/network/" in asked for asked in hub.asked)
    assert re.fullmatch(r"runs/\S+: \d+\.\d % of \d+ held-out images are wrong", said[-1])
    [run] = (tmp_path / "runs").iterdir()
    assert resnext.load(run).contract.classes == ("cat", "dog")


def test_a_block_of_ones_own(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for table in (TRANSFORMS, BLOCKS):  # both are put back afterwards
        monkeypatch.setitem(table, "two_reaches", None)  # type: ignore[arg-type]
    plain, own = start("own_block")
    assert own.startswith("resnext11_4x4d+template=16+transform=two_reaches: ")
    assert plain.partition(" parameters")[0].endswith(own.partition(" parameters")[0].rpartition(" ")[2])


def test_a_network_for_a_latency(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine whose times follow the multiply-adds, which is never busy."""

    def measure(_: LatencyMeter, archs: Mapping[int, Architecture]) -> dict[int, float]:
        return {key: 0.05 + 1e-6 * count_cost(arch, 8).macs for key, arch in archs.items()}

    monkeypatch.setattr(LatencyMeter, "measure", measure)
    monkeypatch.setattr(LatencyMeter, "adopt", lambda *_: None)
    found, trained = start("for_a_latency")
    base_ms, found_ms = map(float, re.findall(r"(\d+\.\d+) ms", found))
    assert found_ms == pytest.approx(base_ms / 2, rel=0.12)  # 10 %, and two decimals
    assert trained.endswith("% of the test images wrong")


def test_onnx_alone(start: Any) -> None:
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    said = start("onnx_alone")
    assert len(said) == 5
    assert all(line.endswith("; this package says the same") for line in said)


def test_another_question(start: Any, tmp_path: Path) -> None:
    first = start("another_question")
    assert first[0] == "4 runs are missing"
    assert len(first) == 6
    again = start("another_question")
    assert again == ["0 runs are missing", first[-1]]
