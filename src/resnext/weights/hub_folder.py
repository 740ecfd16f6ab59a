"""Networks to files and back.

A network is shipped as a folder in the layout of model hubs (`config.json`, `model.safetensors`,
`README.md`), which timm and transformers read too. Its `model.safetensors` alone carries the contract as
well.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from resnext.arch import Architecture, ArchitectureError
from resnext.contract import Contract, ContractError, first_difference
from resnext.files import naming
from resnext.models import Network, check_bank, create
from resnext.names import printable_lines
from resnext.parsing import read_json, show
from resnext.weights.errors import WeightsError
from resnext.weights.matching import blueprint, load_tensors, match_tensors
from resnext.weights.places import CONFIG_FILE, WEIGHTS_FILE, file_in
from resnext.weights.tensor_files import read_tensors, read_weights
from resnext.weights.timm_config import is_timm_config, parse_timm_config, timm_config

SCHEMA = 1
#: The features of known images that a rejection compares with: their file, and their name in it.
BANK_FILE, BANK = "bank.safetensors", "bank"


def write_hub_folder(folder: Path, network: Network, contract: Contract, card: str) -> None:
    """Write `network` as a hub folder, with `card` as its README.md; `folder` must not exist."""
    folder.mkdir(parents=True)
    about = {"schema": SCHEMA, "architecture": network.arch.to_json(), "contract": contract.to_json()}
    _check_rejection(network, contract, folder)
    state = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    # Not `save_file`: only the owner may read its files.
    data = save(state, metadata={"format": "pt", "resnext": json.dumps(about)})
    config = timm_config(network.arch, contract) | {"resnext": about}
    text = printable_lines(json.dumps(config, indent=2, ensure_ascii=False)) + "\n"
    with naming(folder):
        (folder / WEIGHTS_FILE).write_bytes(data)
        (folder / CONFIG_FILE).write_text(text, encoding="utf-8")
        if _compares(contract) and network.bank is not None:
            (folder / BANK_FILE).write_bytes(save({BANK: network.bank.half().cpu().contiguous()}))
        (folder / "README.md").write_text(card, encoding="utf-8")


def replace_contract(folder: Path, contract: Contract, bank: Tensor | None = None) -> None:
    """Give the network in the hub folder `folder` another contract. Its other files stay, and where nothing
    would change all do: what was exported is known by the digest of the weights' file.

    Args:
        folder: The hub folder.
        contract: The contract.
        bank: Features of known images that its rejection compares with.

    Raises:
        WeightsError: There is no such network, or it is not one of ours.
    """
    network, present = load_network(folder)
    banks = [one for one in (network.bank, bank) if one is not None]
    if contract == present and (not banks or (len(banks) == 2 and torch.equal(*banks))):
        return
    network.bank = bank
    draft = folder.with_name(folder.name + ".part")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        write_hub_folder(draft, network, contract, card="")
        if _compares(contract):
            os.replace(draft / BANK_FILE, folder / BANK_FILE)
        for name in (WEIGHTS_FILE, CONFIG_FILE):  # between the two, readers are told that the files differ
            os.replace(draft / name, folder / name)
        if not _compares(contract):
            (folder / BANK_FILE).unlink(missing_ok=True)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def load_network(path: Path) -> tuple[Network, Contract]:
    """The network, in evaluation mode, and the contract in a hub folder or in its safetensors file.

    Raises:
        WeightsError: The file cannot be read, carries no contract, or does not fit its own network.
    """
    model = read_model(path)
    if model.described is None or model.described.contract is None:
        raise WeightsError(
            f"{path}: carries no contract, so its classes and pre-processing are unknown. Give the run "
            "folder or hub folder that it came from, or train from it: --weights"
        )
    arch, tensors = model.described.arch, model.tensors
    match_tensors(blueprint(arch), tensors, str(path))  # before memory is taken for the network
    network = create(arch)
    load_tensors(network, tensors, str(path))
    if _compares(model.described.contract):
        network.bank = _read_bank(path if path.is_dir() else path.parent)
        _check_rejection(network, model.described.contract, path)
    return network.eval(), model.described.contract


def _compares(contract: Contract) -> bool:
    """Whether its rejection compares with features of known images."""
    rejection = None if contract.calibration is None else contract.calibration.rejection
    return rejection is not None and rejection.score == "neighbours"


def _read_bank(folder: Path) -> Tensor:
    """The features of known images in a hub folder. Raises `WeightsError`."""
    if not (folder / BANK_FILE).exists():
        raise WeightsError(
            f"{folder / BANK_FILE}: there is no such file, and 'none of these' of this model compares images "
            "with what is in it; copy it from where the weights came from"
        )
    tensors, _ = read_tensors(folder / BANK_FILE)
    bank = tensors.get(BANK)
    if bank is None or bank.ndim != 2 or not bank.float().isfinite().all():
        raise WeightsError(f"{folder / BANK_FILE}: holds no table of features called {BANK}")
    return bank.float()


def _check_rejection(network: Network, contract: Contract, path: Path) -> None:
    """Raise `WeightsError` if the network lacks what the contract compares with."""
    rejection = None if contract.calibration is None else contract.calibration.rejection
    if rejection is not None:
        try:
            check_bank(network, rejection)
        except ValueError as error:
            raise WeightsError(f"{path}: {error}; take the folder from where the model came from") from None


@dataclass(frozen=True)
class Described:
    """The network that a file describes, and the contract, if it has one."""

    arch: Architecture
    contract: Contract | None

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
            contract = Contract.from_json(about["contract"])
        except (ArchitectureError, ContractError) as error:
            raise WeightsError(f"{source}: its contract cannot be read ({error})") from None
        cls._check(arch, contract, source)
        return cls(arch, contract)

    @staticmethod
    def _check(arch: Architecture, contract: Contract, source: Path) -> None:
        for what, named, own in (
            ("classes", len(contract.classes), arch.classes),
            ("channels", contract.input.channels, arch.in_channels),
        ):
            if named != own:
                raise WeightsError(
                    f"{source}: the contract names {named} {what}, the network has {own}: one of them was "
                    "changed. Take the model from where it came from"
                )


@dataclass(frozen=True)
class ModelFile:
    """The tensors of a file or hub folder, by our names; what is said about them there; and how they were
    found, as notes for people."""

    tensors: dict[str, Tensor]
    described: Described | None
    notes: tuple[str, ...] = ()


def read_model(path: Path) -> ModelFile:
    """What is in a hub folder, ours or timm's, or in a file of weights.

    Raises `WeightsError`, also if both files of a hub folder have our part and say different things.
    """
    config = _read_config(path) if path.is_dir() else {}
    outside = Described.parse(config.get("resnext"), path)
    file = file_in(path) if path.is_dir() else path
    weights = read_weights(file)
    inside = Described.parse(weights.about, file)
    if outside and inside and (field := first_difference(outside, inside)):
        raise WeightsError(
            f"{path}: {CONFIG_FILE} and {file.name} have different values of {field}: one of them was "
            "changed. Take both from where the model came from"
        )
    described = outside or inside or _describe_by_timm(config, path)
    return ModelFile(weights.tensors, described, weights.notes)


def read_contract(folder: Path) -> Contract | None:
    """The contract in the config.json of a hub folder; None if it has none. Raises `WeightsError`."""
    config = _read_config(folder)
    described = Described.parse(config.get("resnext"), folder) or _describe_by_timm(config, folder)
    return None if described is None else described.contract


def _describe_by_timm(config: dict[str, Any], folder: Path) -> Described | None:
    """What timm's part of a config.json says; None if it has none. Raises `WeightsError`."""
    if not is_timm_config(config):
        return None
    return Described(*parse_timm_config(config, folder / CONFIG_FILE))


def _read_config(folder: Path) -> dict[str, Any]:
    """The content of config.json. Raises `WeightsError`."""
    path = folder / CONFIG_FILE
    try:
        config = read_json(path)
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: cannot be read ({error})") from None
    if not isinstance(config, dict):
        raise WeightsError(f"{path}: must be an object, not {show(config)}")
    return config
