"""`Engine`: what computes the probabilities of a batch, whoever computes them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor

from resnext.contract import Contract
from resnext.errors import ResnextError

#: What an engine can compute of a batch: `logits` and `probabilities` (B, classes), class activation maps
#: `cam` (B, classes, h, w).
Output = Literal["logits", "probabilities", "cam"]
#: What an engine takes: batches of `pixels` that are prepared as the contract says, or one of `images` at a
#: time, decoded and nothing more.
Takes = Literal["pixels", "images"]


class ModelError(ResnextError):
    """A model that cannot be opened, or that cannot do what it is asked for."""

    exit_code = 2


class EngineMissing(ResnextError):
    """A library that a model needs is not installed."""

    exit_code = 5


class Engine(ABC):
    """Computes a trained network under its contract.

    Attributes:
        name: What is typed for it.
        model: What it computes, for errors: the name of a network or a file.
        contract: Classes, pre-processing and calibration.
        outputs: What it computes.
        device: Where it takes its pixels.
        takes: Whether images are prepared before, or by the model itself.
    """

    name: ClassVar[str]

    def __init__(
        self,
        model: str,
        contract: Contract,
        outputs: frozenset[Output],
        device: torch.device | str = "cpu",
        takes: Takes = "pixels",
    ) -> None:
        self.model = model
        self.contract = contract
        self.outputs = outputs
        self.device = torch.device(device)
        self.takes: Takes = takes

    @abstractmethod
    def compute(self, pixels: Tensor, output: Output) -> Tensor:
        """One of `outputs` for a batch.

        Args:
            pixels: float32 (B, 3, H, W) on `device`, prepared as the contract says, in any memory order.
                Where the engine takes images: uint8 (1, H, W, 3), of any size.
            output: What is computed.

        Returns:
            float32, on any device.
        """

    def probabilities(self, pixels: Tensor) -> Tensor:
        """Calibrated probabilities, float32 (B, classes), for pixels as `compute` takes them."""
        if "probabilities" in self.outputs:
            return self.compute(pixels, "probabilities")
        return soften(self.compute(pixels, "logits"), self.contract)

    def activation_maps(self, pixels: Tensor) -> Tensor:
        """Class activation maps, float32 (B, classes, h, w), for pixels as `compute` takes them.

        Raises:
            ModelError: The file was exported without them.
        """
        if "cam" not in self.outputs:
            raise ModelError(f"{self.model}: has no class activation maps; export it again with --with cam")
        return self.compute(pixels, "cam")


def temperature(contract: Contract) -> float:
    """Temperature of the softmax; 1 where the contract has no calibration."""
    return 1.0 if contract.calibration is None else contract.calibration.temperature


def soften(logits: Tensor, contract: Contract) -> Tensor:
    """The softmax of `logits` (B, classes) at the contract's temperature."""
    return (logits.float() / temperature(contract)).softmax(1)
