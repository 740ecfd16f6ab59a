"""A network in torch: as it is, with batch norms folded, compiled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from resnext.contract import Contract
from resnext.engine.engine import Engine, ModelError, Output, rejection_of
from resnext.models import Network, check_bank, familiarity, fold_batch_norms
from resnext.training.compiling import LAYOUT, first_line


class TorchEngine(Engine):
    """The network, layer by layer, channels last.

    It computes in float32; GPUs may round the inputs of convolutions to TensorFloat-32.

    Args:
        network: The network; it is moved to `device` and put in evaluation mode.
        contract: Its classes, preprocessing and calibration.
        device: Where it computes.

    Raises:
        ModelError: If the contract is not that of such a network, or is not about colour images.
    """

    name: ClassVar[str] = "torch"

    def __init__(self, network: Network, contract: Contract, device: torch.device | str = "cpu") -> None:
        arch = network.arch
        channels, classes = contract.input.channels, len(contract.classes)
        if (channels, classes) != (arch.in_channels, arch.classes) or channels != 3:
            own = f"{arch.in_channels} channels and {arch.classes} classes"
            raise ModelError(f"{arch.name}: has {own}, its contract {channels} and {classes}; images have 3")
        outputs: frozenset[Output] = frozenset({"logits", "cam", "familiarity"})
        super().__init__(arch.name, contract, outputs, device)
        network = network.to(self.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.network: Network = network
        self.forward: nn.Module = network  # gives the logits
        try:
            check_bank(network, rejection_of(contract))
        except ValueError as error:
            raise ModelError(f"{arch.name}: {error}; give the hub folder that it came from") from None

    @torch.inference_mode()
    def compute_all(self, pixels: Tensor, outputs: Sequence[Output]) -> list[Tensor]:
        if list(outputs) == ["logits"]:
            return [self.forward(pixels).float()]
        maps = self.network.forward_features(pixels)
        pooled = self.network.forward_head(maps, pre_logits=True)
        logits = self.network.fc(pooled)
        made: dict[Output, Callable[[], Tensor]] = {
            "logits": lambda: logits,
            "cam": lambda: self.network.activation_maps(maps),
            "familiarity": lambda: familiarity(self.network, rejection_of(self.contract), pooled, logits),
        }
        return [made[output]().float() for output in outputs]


class FoldedEngine(TorchEngine):
    """The network with batch norms folded into its convolutions: fewer passes over memory."""

    name: ClassVar[str] = "folded"

    def __init__(self, network: Network, contract: Contract, device: torch.device | str = "cpu") -> None:
        super().__init__(fold_batch_norms(network), contract, device)


class CompiledEngine(FoldedEngine):
    """The folded network, compiled by torch when it sees its first batch, which takes a minute.

    Raises:
        ModelError: From `compute_all`, if the network cannot be compiled on this machine.
    """

    name: ClassVar[str] = "compiled"

    def __init__(self, network: Network, contract: Contract, device: torch.device | str = "cpu") -> None:
        super().__init__(network, contract, device)
        self.forward = torch.compile(self.network, options={**LAYOUT}, dynamic=True)  # type: ignore[assignment]

    def compute_all(self, pixels: Tensor, outputs: Sequence[Output]) -> list[Tensor]:
        try:
            return super().compute_all(pixels, outputs)
        except Exception as error:  # compilers and backends raise errors of any class
            if not _is_of_compiler(error):
                raise
            raise ModelError(
                f"{self.model}: cannot be compiled here ({first_line(error)}); take --engine folded"
            ) from None


def _is_of_compiler(error: Exception) -> bool:
    module = type(error).__module__
    return module.startswith(("torch._dynamo", "torch._inductor"))
