"""Files of tensors that others wrote: nothing in them is run, and what is wrong with one is said."""

from __future__ import annotations

import argparse
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from resnext.weights import PretrainedWeights, WeightsError

TENSORS = {"fc.bias": torch.zeros(3)}


class Runs:
    """A pickle that would run a command."""

    def __reduce__(self) -> Any:
        return os.system, ("touch ran",)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"state_dict": TENSORS, "args": argparse.Namespace(lr=1)}, "holds an object of argparse.Namespace"),
        ({"state_dict": TENSORS, "x": Runs()}, "holds an object of posix.system"),
        ([1, 2], "holds a list, not tensors by name"),
        (torch.zeros(3), "holds a Tensor, not tensors by name"),
        ({"epoch": 3}, "holds no tensors by name"),
        ({}, "holds no tensors by name"),
    ],
)
def test_pickles_that_are_no_weights(
    value: Any, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(value, "a.pth")
    with pytest.raises(WeightsError, match=rf"^a\.pth: {says}"):
        PretrainedWeights.read(Path("a.pth"))
    assert not Path("ran").exists()


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_cut_files(old: bool, share: float, tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save({"fc.weight": torch.zeros(300, 300)}, path, _use_new_zipfile_serialization=not old)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(WeightsError, match=r"a\.pth: not a complete file of torch\.save"):
        PretrainedWeights.read(path)


def test_a_file_is_what_its_content_says(tmp_path: Path) -> None:
    """Renamed files are common: a safetensors file called .bin, a pickle called .safetensors."""
    save_file(TENSORS, tmp_path / "a.bin")
    torch.save(TENSORS, tmp_path / "a.safetensors")
    for name in ("a.bin", "a.safetensors"):
        found = PretrainedWeights.read(tmp_path / name, model="resnet18")
        assert list(found.tensors) == ["fc.bias"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04",
        pickle.dumps({"a": 1}),
        b"<html>404</html>",
        b"\x00" * 99,
        b"version https://git-lfs",
    ],
)
def test_what_is_no_file_of_tensors(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=r"a\.pth: "):
        PretrainedWeights.read(tmp_path / "a.pth")


def test_a_missing_file() -> None:
    with pytest.raises(WeightsError, match="there is no such file"):
        PretrainedWeights.read(Path("nope.pth"))
