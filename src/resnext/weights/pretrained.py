"""Weights to start training from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from resnext.arch import Architecture
from resnext.contract import Contract
from resnext.models import Network, create
from resnext.weights.errors import WeightsError
from resnext.weights.hub_folder import read_model
from resnext.weights.matching import HEAD, blueprint, load_tensors, match_tensors
from resnext.weights.places import CONFIG_FILE, WEIGHTS_FILE, weights_file


@dataclass(frozen=True)
class PretrainedWeights:
    """Weights to start training from: the tensors of a file, and what the file says about them.

    `model` (the name of their network) and `contract` are None for a file that others wrote.
    """

    path: Path
    tensors: dict[str, Tensor]
    model: str | None
    contract: Contract | None

    @classmethod
    def read(cls, path: Path) -> PretrainedWeights:
        """The weights in a run folder, a hub folder or a safetensors file. Raises `WeightsError`."""
        file = weights_file(path)
        is_described = file.name == WEIGHTS_FILE and (file.parent / CONFIG_FILE).is_file()
        tensors, described = read_model(file.parent if is_described else file)
        if described is None:
            return cls(path, tensors, None, None)
        return cls(path, tensors, described.arch.name, described.contract)

    def build_network(
        self, arch: Architecture, classes: tuple[str, ...], seed: int, new_head: bool
    ) -> Network:
        """A network of `arch` with these weights.

        Args:
            arch: The network, with as many classes as `classes` names.
            classes: Names of the classes in the order of the logits. The rows of the head are reordered to
                match it.
            seed: Seed of a new head.
            new_head: Initialise the head instead of loading it.

        Raises:
            WeightsError: The tensors do not fit, or the head tells other classes apart.
        """
        match_tensors(blueprint(arch), self.tensors, str(self.path), new_head)
        tensors = self.tensors
        if not new_head and self.contract is not None:
            order = self._order_of(classes)
            tensors = tensors | {name: tensors[name][order] for name in HEAD}
        network = create(arch, seed)
        load_tensors(network, tensors, str(self.path), new_head)
        return network

    def _order_of(self, classes: tuple[str, ...]) -> list[int]:
        assert self.contract is not None
        known = self.contract.classes
        if other := sorted(set(known) ^ set(classes)):
            raise WeightsError(
                f"{self.path}: the head tells other classes apart: {', '.join(map(repr, other[:5]))} "
                "not in both. --new-head replaces it"
            )
        return [known.index(name) for name in classes]
