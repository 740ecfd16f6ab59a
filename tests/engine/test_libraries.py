"""The libraries of exported networks send no reports about their use."""

from __future__ import annotations

import subprocess
import sys

import pytest

from resnext.engine import EngineMissing
from resnext.engine.libraries import EXTRAS, import_library

PROGRAM = """
import os, sys
asked = []
sys.addaudithook(lambda event, words: asked.append(event) if event.startswith("socket.") else None)
from resnext.engine.libraries import EXTRAS, import_library

for name in EXTRAS:
    import_library(name, "x")
assert not [name for name in sys.modules if name.startswith("openvino_telemetry")]
assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
import openvino.tools.ovc as ovc
assert ovc.telemetry.__class__.__module__ == "openvino.tools.ovc.telemetry_stub", ovc.telemetry
from nncf.telemetry import wrapper
assert type(wrapper.telemetry) is not wrapper.NNCFTelemetry
import openvino_telemetry  # it is there for those who ask for it
print(asked)
"""


def test_nothing_is_reported_on_import() -> None:
    """In a process of its own: in one of pytest, NNCF reports nothing anyway."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", EXTRAS)
def test_what_is_missing_is_named_with_its_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(EngineMissing, match=rf"^net: needs the library {name}; pip install 'resnext\["):
        import_library(name, "net")
