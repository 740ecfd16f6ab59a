"""`Engine`: what computes the probabilities of a batch, whoever computes them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor

from resnext.contract import Contract, Rejection
from resnext.errors import ResnextError

#: What an engine can compute of a batch: `logits` and `probabilities` (B, classes), class activation maps
#: `cam` (B, classes, h, w), how familiar images look `familiarity` (B,).
Output = Literal["logits", "probabilities", "cam", "familiarity"]
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
    def compute_all(self, pixels: Tensor, outputs: Sequence[Output]) -> list[Tensor]:
        """Some of its outputs for a batch, in one pass.

        Args:
            pixels: float32 (B, 3, H, W) on `device`, prepared as the contract says, in any memory order.
                Where the engine takes images: uint8 (1, H, W, 3), of any size.
            outputs: What is computed.

        Returns:
            Each of `outputs`, float32, on any device.
        """

    def compute(self, pixels: Tensor, output: Output) -> Tensor:
        """One of its outputs, as `compute_all`."""
        [made] = self.compute_all(pixels, [output])
        return made

    def probabilities(self, pixels: Tensor) -> Tensor:
        """Calibrated probabilities, float32 (B, classes), for pixels as `compute` takes them."""
        if "probabilities" in self.outputs:
            return self.compute(pixels, "probabilities")
        return soften(self.compute(pixels, "logits"), self.contract)

    def answer(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities as above, and how familiar each image looks by the score of the contract's rejection,
        float32 (B,), for pixels as `compute` takes them."""
        score = rejection_of(self.contract).score
        if score == "probability":
            probabilities = self.probabilities(pixels)
            return probabilities, probabilities.amax(1)
        if score == "energy":
            logits = self.compute(pixels, "logits")
            return soften(logits, self.contract), logits.logsumexp(1)
        if "familiarity" not in self.outputs:
            raise ModelError(f"{self.model}: lacks what its contract rejects images by; export it again")
        logits, familiarity = self.compute_all(pixels, ["logits", "familiarity"])
        return soften(logits, self.contract), familiarity

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


def rejection_of(contract: Contract) -> Rejection:
    """The contract's rejection; one by `probability` that rejects nothing where it has none."""
    rejection = None if contract.calibration is None else contract.calibration.rejection
    return rejection or Rejection("probability", 0.0)


def soften(logits: Tensor, contract: Contract) -> Tensor:
    """The softmax of `logits` (B, classes) at the contract's temperature."""
    return (logits.float() / temperature(contract)).softmax(1)
