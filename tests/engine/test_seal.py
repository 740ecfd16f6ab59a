"""The seal: whatever is damaged in a file, the answer is the right one or none."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from resnext.contract import Contract
from resnext.engine import Seal, open_model
from resnext.engine.engine import ModelError
from resnext.errors import ResnextError
from resnext.export import FORMATS, Source
from resnext.models import Network


@pytest.mark.parametrize(("format", "suffix"), [("onnx", ".onnx"), ("openvino", ".xml"), ("pt2", ".pt2")])
def test_after_a_flipped_bit_the_answer_is_right_or_there_is_none(
    format: str, suffix: str, network: Network, contract: Contract, tmp_path: Path
) -> None:
    path = tmp_path / f"x{suffix}"
    FORMATS[format].write(Source("x", network, contract), path)
    pixels = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    expected = open_model(path).engine.probabilities(pixels)
    whole, generator, answers = path.read_bytes(), random.Random(0), 0
    # Metadata stand at the end of these files, and many flips there.
    places = [generator.randrange(len(whole)) for _ in range(60)]
    places += [len(whole) - 1 - generator.randrange(min(4000, len(whole))) for _ in range(60)]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << generator.randrange(8)
        path.write_bytes(damaged)
        try:
            classifier = open_model(path)
        except ResnextError:
            continue
        answers += 1
        assert classifier.contract == contract
        torch.testing.assert_close(classifier.engine.probabilities(pixels), expected, atol=1e-6, rtol=0)
    assert answers < len(places)


def test_a_seal_is_of_one_content_and_one_contract(contract: Contract) -> None:
    text = Seal(contract, "5" * 64).dumps([b"network", b"weights"])
    assert text.isascii()
    read: Callable[[list[bytes]], Seal] = lambda content: Seal.loads(text, content, "x.onnx")  # noqa: E731
    assert read([b"network", b"weights"]) == Seal(contract, "5" * 64)
    for other in ([b"network"], [b"weights", b"network"], []):
        with pytest.raises(ModelError, match="was changed after it was exported"):
            read(other)


def test_metadata_of_any_size_are_bounded(contract: Contract, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resnext.engine.seal.MAX_JSON_BYTES", 10)
    with pytest.raises(ModelError, match="its metadata are larger than 10 bytes"):
        Seal.loads(Seal(contract).dumps([]), [], "x.onnx")
