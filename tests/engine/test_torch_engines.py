"""Folded and compiled networks answer as the plain one."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from resnext.contract import Contract
from resnext.engine import CompiledEngine, FoldedEngine, ModelError, TorchEngine
from resnext.models import Network


@pytest.mark.slow
def test_folded_and_compiled_networks_answer_as_the_plain_one(network: Network, contract: Contract) -> None:
    plain = TorchEngine(network, contract)
    others = (FoldedEngine(network, contract), CompiledEngine(network, contract))
    for batch in (3, 1):
        pixels = torch.randn(batch, 3, 16, 16, generator=torch.Generator().manual_seed(batch))
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        for other in others:
            for output in (TorchEngine.probabilities, TorchEngine.activation_maps):
                torch.testing.assert_close(output(other, pixels), output(plain, pixels), atol=1e-5, rtol=1e-5)


def test_a_compiler_that_fails_is_told_with_the_cure(
    network: Network, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise torch._dynamo.exc.BackendCompilerFailed(lambda: None, RuntimeError("no compiler"), None)  # type: ignore[no-untyped-call]

    engine = CompiledEngine(network, contract)
    engine.forward = broken  # type: ignore[assignment]
    with pytest.raises(ModelError, match=r"cannot be compiled here .*--engine folded"):
        engine.probabilities(torch.zeros(1, 3, 16, 16))


def test_a_network_is_compiled_for_batches_of_any_size(
    network: Network, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(torch, "compile", lambda net, **options: (asked.append(options), net)[1])
    CompiledEngine(network, contract)
    assert [options["dynamic"] for options in asked] == [True]
