"""Mistakes that are found before torch is imported, which takes seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

MISTAKES = {
    "report none": (2, "give the folder of a finished run"),
    "report a.png": (2, "a.png: is a file"),
    "report folder --out folder": (2, "--out folder: is a folder"),
    "compare none none": (2, "give the folder of a finished run"),
    "train none": (3, "there is no such folder or file"),
    "train folder/none.csv --dry-run": (3, "there is no such folder or file"),
    "evaluate folder none": (3, "there is no such folder or file"),
    "evaluate none digits": (2, "there is no such model"),
    "evaluate folder digits --workers -1": (2, "--workers -1: must be at least 0"),
    "evaluate folder digits --json folder": (2, "--json folder: is a folder"),
    "predict none a.png": (2, "there is no such model"),
    "predict folder none.png": (3, "there is no image here"),
    "predict folder folder": (3, "there is no image here"),
    "predict folder -- -": (2, "write them to a file"),
    "predict folder https://example.org/a.png": (2, "download it first"),
    "predict folder a.png --out a.xml": (2, "must end in .csv, .jsonl, .parquet"),
    "predict folder a.png --out none/a.csv": (2, "there is no folder none"),
    "predict folder a.png --workers -1": (2, "--workers -1: must be at least 0"),
    "predict folder a.png --top 0": (2, "--top 0: must be at least 1"),
    "predict a.png folder": (2, "the model comes first, as in runs/NAME a.png"),
    "describe resnet50 --figure none/x.svg": (2, "--figure none/x.svg: there is no folder none"),
    "describe resnet50 --figure x.png": (2, "--figure x.png: must end in .svg, as in x.svg"),
    "describe resnet50 --figure folder": (2, "--figure folder: must end in .svg"),
}
PROGRAM = """
import contextlib, io, json, sys
from resnext.cli import main
answers = {}
for line in json.loads(sys.argv[1]):
    with contextlib.redirect_stderr(io.StringIO()) as err:
        code = main(line.split())
    answers[line] = code, err.getvalue(), "torch" in sys.modules
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, bool]]:
    """Exit code, message, and whether torch was imported, for each of `MISTAKES`."""
    place: Path = tmp_path_factory.mktemp("place")
    (place / "folder").mkdir()
    (place / "a.png").touch()
    words = [sys.executable, "-c", PROGRAM, json.dumps(list(MISTAKES))]
    done = subprocess.run(words, cwd=place, capture_output=True, text=True, check=True, timeout=120)
    found: dict[str, tuple[int, str, bool]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_named_before_torch_is_imported(
    line: str, answers: dict[str, tuple[int, str, bool]]
) -> None:
    code, says = MISTAKES[line]
    found, message, has_torch = answers[line]
    assert says in message
    assert (found, has_torch, message.count("\n")) == (code, False, 1)
