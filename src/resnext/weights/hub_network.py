"""`HubNetwork`: a network that is saved as a hub folder, pushed to the hub, and read back."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from resnext.arch import TIMM_NAMES, Architecture
from resnext.catalogue import locate
from resnext.contract import Contract, Input, Provenance, Resize
from resnext.models import Network, create
from resnext.names import markdown
from resnext.weights.errors import WeightsError
from resnext.weights.hub_folder import write_hub_folder
from resnext.weights.pretrained import PretrainedWeights
from resnext.weights.sending import send_folder

#: How images are prepared where nobody says it: as timm does then.
MEAN, STD, CROP, FILTER = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 0.875, "bicubic"
#: The same for images that are not of three colours.
GREY_MEAN, GREY_STD = 0.5, 0.5


class HubNetwork(Network):
    """A network with its contract, in the layout that model hubs, timm and transformers read.

    It shares the modules of `network`, and is one otherwise.

    Args:
        network: The network.
        contract: Its classes and how its images are prepared; see `default_contract` if None.

    >>> import tempfile
    >>> network = HubNetwork(create(Architecture.from_name("resnext11_4x4d+template=16", classes=2)))
    >>> folder = network.save_pretrained(f"{tempfile.mkdtemp()}/pets", classes=["cat", "dog"])
    >>> HubNetwork.from_pretrained(folder).contract.classes
    ('cat', 'dog')
    """

    def __init__(self, network: Network, contract: Contract | None = None) -> None:
        with torch.device("meta"):  # modules without memory, which those of `network` replace
            super().__init__(network.arch)
        for name, module in network.named_children():
            self.add_module(name, module)
        self.training = network.training
        self.contract = contract or default_contract(network.arch)

    @classmethod
    def from_pretrained(cls, model: str | Path) -> HubNetwork:
        """The network in a file or folder of weights, or of public ones, in evaluation mode.

        Args:
            model: A run folder, hub folder or file of weights, or a name of public ones.

        Raises:
            WeightsError: They cannot be read, do not fit their network, or have no classifier.
            UnknownWeights: There are no such weights.
            FetchError: They are not here, and cannot be fetched.
        """
        located = locate(model)
        given = PretrainedWeights.read(located.path)
        arch = given.own_architecture()
        contract = located.entry.contract if located.entry else given.contract
        names = given.contract.classes if given.contract else ()
        return cls(given.build_network(arch, names, 0, new_head=False), contract).eval()

    def reset_classifier(self, num_classes: int) -> None:
        super().reset_classifier(num_classes)
        if num_classes:
            self.contract = _name_classes(self.contract, _numbers(num_classes))

    def save_pretrained(self, folder: str | Path, classes: Sequence[str] | None = None) -> Path:
        """Write a hub folder: `config.json`, `model.safetensors` and `README.md`.

        `from_pretrained`, `resnext.load` and `--weights` read it, and `timm.create_model("local-dir:FOLDER",
        pretrained=True)` where timm has the network.

        Args:
            folder: The folder, which must not exist.
            classes: Names of the classes in the order of the logits; those of the contract if None.

        Returns:
            `folder`.

        Raises:
            WeightsError: The folder exists, or the names are not as many as the classes.
            ContractError: A name is empty, twice there or too long.
        """
        folder = Path(folder)
        if folder.exists():
            raise WeightsError(f"{folder}: exists already; say another folder, or remove it")
        contract = self._described(classes)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as draft:  # the folder appears as a whole
            write_hub_folder(Path(draft) / "model", self, contract, _card(contract))
            (Path(draft) / "model").rename(folder)
        return folder

    def push_to_hub(
        self, repository: str, classes: Sequence[str] | None = None, private: bool = False
    ) -> str:
        """Send what `save_pretrained` writes to a repository of the hub, which is made if it is not there.

        Args:
            repository: Its name, `owner/name`.
            classes: Names of the classes in the order of the logits; those of the contract if None.
            private: Whether only its owner may read a new repository.

        Returns:
            The address of what was sent.

        Raises:
            WeightsError: The names are not as many as the classes.
            UnknownWeights: `repository` is no name.
            SendError: The hub cannot be reached or refuses, or the extra `hub` is not installed.
        """
        with tempfile.TemporaryDirectory() as draft:
            return send_folder(self.save_pretrained(Path(draft) / "model", classes), repository, private)

    def _described(self, classes: Sequence[str] | None) -> Contract:
        """The contract with the names `classes`, if they are given. Raises `WeightsError`."""
        contract = self.contract if classes is None else _name_classes(self.contract, tuple(classes))
        if len(contract.classes) != self.num_classes:
            cure = f"name all: classes=[...] with {self.num_classes} names"
            if self.num_classes == 0:
                cure = "reset_classifier(N) gives it one of N classes"
            raise WeightsError(
                f"{self.arch.name}: {len(contract.classes)} names for {self.num_classes} classes; {cure}"
            )
        origin = replace(contract.provenance, architecture=self.arch.name)
        return replace(contract, provenance=origin)


def create_network(
    name: str,
    classes: int = 1000,
    in_channels: int = 3,
    seed: int = 0,
    weights: str | Path | None = None,
    new_head: bool = False,
) -> HubNetwork:
    """A network with fresh weights, or with given ones; `resnext.create` tells more."""
    arch = Architecture.from_name(name, classes, in_channels)
    if weights is None:
        return HubNetwork(create(arch, seed))
    located = locate(weights)
    given = PretrainedWeights.read(located.path, name)
    contract = located.entry.contract if located.entry else given.contract
    names = given.contract.classes if given.contract else _numbers(classes)
    network = given.build_network(arch, names, seed, new_head)
    if contract is None or contract.input.channels != in_channels:
        return HubNetwork(network)
    return HubNetwork(network, _name_classes(contract, _numbers(classes)) if new_head else _alone(contract))


def default_contract(arch: Architecture) -> Contract:
    """What is known of a network that nobody has described: classes called by their numbers, and images
    prepared as timm does then (side of the stem's images, of which 87.5 % of the shorter side are seen)."""
    side = arch.size_px
    colours = arch.in_channels == 3
    return Contract(
        classes=_numbers(arch.classes),
        input=Input(arch.in_channels, side, side),
        resize=Resize(int(side / CROP), side, FILTER),
        mean=MEAN if colours else (GREY_MEAN,) * arch.in_channels,
        std=STD if colours else (GREY_STD,) * arch.in_channels,
        provenance=Provenance(arch.name),
    )


def _name_classes(contract: Contract, classes: tuple[str, ...]) -> Contract:
    """`contract` for other classes: descriptions and calibration were those of the old ones."""
    if classes == contract.classes:
        return contract
    return replace(contract, classes=classes, descriptions=(), calibration=None)


def _alone(contract: Contract) -> Contract:
    """`contract` without a rejection by features of known images, which are not taken along."""
    calibration = contract.calibration
    if calibration is None or calibration.rejection is None or calibration.rejection.neighbour is None:
        return contract
    return replace(contract, calibration=replace(calibration, rejection=None))


def _numbers(count: int) -> tuple[str, ...]:
    return tuple(map(str, range(count)))


def _card(contract: Contract) -> str:
    """A model card with the front matter that model hubs read."""
    name, licence, resize = (
        contract.provenance.architecture,
        contract.provenance.weights_licence,
        contract.resize,
    )
    return f"""---
library_name: {"timm" if name in TIMM_NAMES else "resnext"}
{f"license: {json.dumps(licence)}" + chr(10) if licence else ""}pipeline_tag: image-classification
tags:
- image-classification
- resnext
---
# {markdown(name)}

An image classifier with {len(contract.classes)} classes.

Pre-processing: EXIF orientation applied, RGB, shorter side to {resize.shorter_px} px
({resize.interpolation}, antialiased), centre {resize.crop_px} px, mean {contract.mean}, std {contract.std}.

```python
import resnext

classifier = resnext.load("FOLDER")
network = resnext.from_pretrained("FOLDER")
```
"""
