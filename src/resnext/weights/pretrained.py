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
from resnext.weights.matching import (
    HEAD,
    adapt_channels,
    blueprint,
    input_channels,
    load_tensors,
    match_tensors,
)
from resnext.weights.places import CONFIG_FILE, WEIGHTS_FILES, weights_file
from resnext.weights.recognition import recognise


@dataclass(frozen=True)
class PretrainedWeights:
    """Weights to start training from: the tensors of a file, and what the file says about them.

    Args:
        path: The file or folder.
        tensors: The tensors by our names.
        model: Name of their network.
        contract: None if the file has none, as those that others write.
        notes: How the tensors were found and the network was told, for people.
        train_px: Side of the crops that they were trained on; None if nobody says it.
    """

    path: Path
    tensors: dict[str, Tensor]
    model: str
    contract: Contract | None
    notes: tuple[str, ...] = ()
    train_px: int | None = None

    @classmethod
    def read(cls, path: Path, model: str | None = None) -> PretrainedWeights:
        """The weights in a run folder, a hub folder, or a file of safetensors or torch.save.

        Args:
            path: The folder or file.
            model: Name of the network, for a file that does not say it. If None, it is told from the shapes
                of the tensors.

        Raises:
            WeightsError: The file cannot be read, or it says no network and none is recognised.
        """
        file = weights_file(path)
        is_described = file.name in WEIGHTS_FILES and (file.parent / CONFIG_FILE).is_file()
        found = read_model(file.parent if is_described else file)
        if found.described is not None:
            return cls(path, found.tensors, found.described.arch.name, found.described.contract, found.notes)
        if model is not None:
            return cls(path, found.tensors, model, None, found.notes)
        model = recognise(found.tensors, str(path)).name
        return cls(path, found.tensors, model, None, (*found.notes, f"its shapes are those of {model}"))

    def own_architecture(self) -> Architecture:
        """Their network, with the classes and channels of their tensors. Raises `WeightsError` for weights
        without a classifier."""
        head = self.tensors.get(HEAD[0])
        if head is None:
            raise WeightsError(
                f"{self.path}: has no classifier ({HEAD[0]}); for a network with a fresh one say "
                f"resnext.create({self.model!r}, classes=N, weights=..., new_head=True)"
            )
        return Architecture.from_name(self.model, len(head), input_channels(self.tensors))

    def other_head(self, classes: tuple[str, ...]) -> str:
        """Why their head cannot tell `classes` apart; empty if it can.

        A head whose classes have no names is taken for that of `classes` if it has as many.
        """
        head = self.tensors.get(HEAD[0])
        if head is None:
            return "the weights have no head"
        if self.contract is None:
            return "" if len(head) == len(classes) else f"the weights tell {len(head)} classes apart"
        own = set(self.contract.classes)
        if own == set(classes):
            return ""
        known = sum(name in own for name in classes)
        return f"the weights tell {len(own)} classes apart, among them {known or 'none'} of these"

    def summary(self, new_head: bool) -> tuple[str, ...]:
        """How they were found, and what is loaded of them, for people."""
        loaded = sum(name not in HEAD for name in self.tensors) if new_head else len(self.tensors)
        head = ", and the head is new" if new_head else ""
        return (*self.notes, f"{loaded} tensors are loaded{head}")

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
        tensors = adapt_channels(self.tensors, arch.in_channels)
        if new_head:  # it may have any shape, or be missing
            tensors = {name: tensor for name, tensor in tensors.items() if name not in HEAD}
        match_tensors(blueprint(arch), tensors, str(self.path), new_head)
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
