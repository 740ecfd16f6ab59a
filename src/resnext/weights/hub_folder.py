"""Networks to files and back.

A network is shipped as a folder in the layout of model hubs (`config.json`, `model.safetensors`,
`README.md`), which timm and transformers read too. Its `model.safetensors` alone carries the contract as
well.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from resnext.arch import STEMS, TIMM_NAMES, Architecture, ArchitectureError
from resnext.contract import Contract, ContractError, first_difference
from resnext.models import Network, create
from resnext.parsing import read_json, show
from resnext.weights.errors import WeightsError
from resnext.weights.matching import blueprint, load_tensors, match_tensors
from resnext.weights.places import CONFIG_FILE, WEIGHTS_FILE
from resnext.weights.tensor_files import read_tensors

SCHEMA = 1


def write_hub_folder(folder: Path, network: Network, contract: Contract, card: str) -> None:
    """Write `network` as a hub folder, with `card` as its README.md; `folder` must not exist."""
    folder.mkdir(parents=True)
    about = {"schema": SCHEMA, "architecture": network.arch.to_json(), "contract": contract.to_json()}
    state = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    # Not `save_file`: only the owner may read its files.
    data = save(state, metadata={"format": "pt", "resnext": json.dumps(about)})
    (folder / WEIGHTS_FILE).write_bytes(data)
    config = _timm_config(network.arch, contract) | {"resnext": about}
    text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    (folder / CONFIG_FILE).write_text(text, encoding="utf-8")
    (folder / "README.md").write_text(card, encoding="utf-8")


def load_network(path: Path) -> tuple[Network, Contract]:
    """The network, in evaluation mode, and the contract in a hub folder or in its safetensors file.

    Raises:
        WeightsError: The file cannot be read, carries no contract, or does not fit its own network.
    """
    tensors, described = read_model(path)
    if described is None:
        raise WeightsError(f"{path}: carries no contract, so its classes and pre-processing are unknown")
    match_tensors(blueprint(described.arch), tensors, str(path))  # before memory is taken for the network
    network = create(described.arch)
    load_tensors(network, tensors, str(path))
    return network.eval(), described.contract


@dataclass(frozen=True)
class Described:
    """The network and the contract that a file describes."""

    arch: Architecture
    contract: Contract

    @classmethod
    def parse(cls, about: Any, source: Path) -> Described | None:
        """What `about`, our part of the file `source`, says; None if there is none. Raises `WeightsError`."""
        if about is None:
            return None
        if not isinstance(about, dict):
            raise WeightsError(f"{source}: resnext: must be an object, not {show(about)}")
        if "contract" not in about:
            raise WeightsError(
                f"{source}: is a training checkpoint, which names no classes; give the folder of the run"
            )
        if about.get("schema") != SCHEMA:
            raise WeightsError(
                f"{source}: schema {show(about.get('schema'))} of a hub folder; this version reads "
                f"schema {SCHEMA}"
            )
        try:
            arch = Architecture.from_json(about.get("architecture"))
            described = cls(arch, Contract.from_json(about["contract"]))
        except (ArchitectureError, ContractError) as error:
            raise WeightsError(f"{source}: its contract cannot be read ({error})") from None
        described._check(source)
        return described

    def _check(self, source: Path) -> None:
        arch, contract = self.arch, self.contract
        for what, named, own in (
            ("classes", len(contract.classes), arch.classes),
            ("channels", contract.input.channels, arch.in_channels),
        ):
            if named != own:
                raise WeightsError(f"{source}: the contract names {named} {what}, the network has {own}")


def read_model(path: Path) -> tuple[dict[str, Tensor], Described | None]:
    """The tensors in a hub folder or a safetensors file, and what is said about them there.

    Raises `WeightsError`, also if the two files of a hub folder say different things.
    """
    outside = Described.parse(_read_config(path), path) if path.is_dir() else None
    file = path / WEIGHTS_FILE if path.is_dir() else path
    tensors, about = read_tensors(file)
    inside = Described.parse(about, file)
    if outside and inside and (field := first_difference(outside, inside)):
        raise WeightsError(
            f"{path}: {CONFIG_FILE} and {WEIGHTS_FILE} have different values of {field}: one of them was "
            "changed. Take both from where the model came from"
        )
    return tensors, outside or inside


def read_contract(folder: Path) -> Contract | None:
    """The contract in the config.json of a hub folder; None if that is of others. Raises `WeightsError`."""
    described = Described.parse(_read_config(folder), folder)
    return None if described is None else described.contract


def _read_config(folder: Path) -> Any:
    """Our part of config.json; None if that is of others. Raises `WeightsError`."""
    try:
        config = read_json(folder / CONFIG_FILE)
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder / CONFIG_FILE}: cannot be read ({error})") from None
    if not isinstance(config, dict):
        raise WeightsError(f"{folder / CONFIG_FILE}: must be an object, not {show(config)}")
    return config.get("resnext")


def _timm_config(arch: Architecture, contract: Contract) -> dict[str, Any]:
    """What timm and transformers look for (timm's `push_to_hf_hub` layout).

    The architecture has timm's name where timm has the network; timm refuses our names of the others.
    """
    size, resize = contract.input, contract.resize
    shape = (size.channels, size.height_px, size.width_px)
    return {
        "architecture": TIMM_NAMES.get(arch.name, arch.name),
        "num_classes": arch.classes,
        "num_features": arch.features,
        "global_pool": "avg",
        "label_names": list(contract.classes),
        "pretrained_cfg": {
            "input_size": shape,
            "interpolation": resize.interpolation,
            "crop_pct": resize.crop_px / resize.shorter_px,
            "crop_mode": "center",
            "mean": contract.mean,
            "std": contract.std,
            "num_classes": arch.classes,
            "first_conv": "conv1.0" if len(STEMS[arch.stem].convolutions) > 1 else "conv1",
            "classifier": "fc",
            "license": contract.provenance.weights_licence,
        },
    }
