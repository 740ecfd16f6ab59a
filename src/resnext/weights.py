"""Networks to files and back, strictly: every tensor fits, or a table says which do not.

A network is shipped as a folder in the hub layout (`config.json`, `model.safetensors`, `README.md`)
that timm and transformers read too, or as its `model.safetensors` alone, which carries the contract.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from resnext.arch import FORMS, Architecture, ArchitectureError
from resnext.contract import Contract, ContractError
from resnext.models import Network, convert_form, create

SCHEMA = 1
WEIGHTS_FILE = "model.safetensors"
#: The part of a state dict that `new_head` leaves fresh.
HEAD = ("fc.weight", "fc.bias")


class WeightsError(Exception):
    """Weights that do not fit, or that cannot be read."""


@dataclass(frozen=True)
class Fit:
    """How a file's tensors meet a network's."""

    loaded: tuple[str, ...]
    replaced: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        return not (self.missing or self.unexpected or self.misshapen)

    def table(self) -> str:
        """One row for each kind of tensor, the first names of each."""
        rows = [
            ("loaded", self.loaded),
            ("replaced by a new head", self.replaced),
            ("missing in the file", self.missing),
            ("unexpected in the file", self.unexpected),
            ("of another shape", self.misshapen),
        ]
        lines = []
        for what, names in rows:
            shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
            lines.append(f"  {what:<24}{len(names):>5}  {shown if what != 'loaded' else ''}".rstrip())
        return "\n".join(lines)


def fill(network: nn.Module, tensors: dict[str, Tensor], where: str, new_head: bool = False) -> Fit:
    """Load `tensors` into `network`; `new_head` leaves the head as it is.

    Raises `WeightsError` with a table, and changes nothing, unless everything else fits.
    """
    own = network.state_dict()
    kept = set(HEAD) if new_head else set()
    counters = {name for name in own if name.endswith("num_batches_tracked")}  # absent in old files
    shared = [name for name in own if name in tensors and name not in kept]
    misshapen = [name for name in shared if own[name].shape != tensors[name].shape]
    fit = Fit(
        loaded=tuple(name for name in shared if name not in misshapen),
        replaced=tuple(name for name in own if name in kept),
        missing=tuple(n for n in own if n not in tensors and n not in kept and n not in counters),
        unexpected=tuple(name for name in tensors if name not in own),
        misshapen=tuple(f"{name} {_shape(tensors[name])}, here {_shape(own[name])}" for name in misshapen),
    )
    if not fit.is_whole:
        hint = ""
        if all(name in HEAD for name in (*misshapen, *fit.missing)) and not fit.unexpected:
            hint = "\nOnly the head differs (another number of classes): --new-head replaces it"
        raise WeightsError(f"{where}: the weights do not fit the network\n{fit.table()}{hint}")
    network.load_state_dict({name: tensors[name] for name in fit.loaded}, strict=False)
    return fit


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def write_hub_folder(folder: Path, network: Network, contract: Contract, card: str) -> None:
    """Write `network` as a hub folder; `folder` must not exist."""
    folder.mkdir(parents=True)
    about = {"schema": SCHEMA, "architecture": network.arch.to_json(), "contract": contract.to_json()}
    state = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    # Not `save_file`, whose files nobody but their owner may read.
    data = save(state, metadata={"format": "pt", "resnext": json.dumps(about)})
    (folder / WEIGHTS_FILE).write_bytes(data)
    config = _timm_config(network.arch, contract) | {"resnext": about}
    (folder / "config.json").write_text(
        json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (folder / "README.md").write_text(card, encoding="utf-8")


def read_weights(path: Path) -> tuple[Network, Contract]:
    """The network in a hub folder or in a `.safetensors` file of ours, in evaluation mode.

    Raises `WeightsError`.
    """
    if path.is_dir():
        try:
            about = json.loads((path / "config.json").read_text(encoding="utf-8")).get("resnext")
        except (OSError, ValueError, AttributeError) as error:
            raise WeightsError(f"{path / 'config.json'}: cannot be read ({error})") from None
        path = path / WEIGHTS_FILE
        tensors, _ = read_tensors(path)
    else:
        tensors, about = read_tensors(path)
    if not isinstance(about, dict):
        raise WeightsError(f"{path}: carries no contract, so its classes and pre-processing are unknown")
    if "contract" not in about:
        raise WeightsError(f"{path}: is a checkpoint, which says no classes; give the run's folder")
    if about.get("schema") != SCHEMA:
        raise WeightsError(
            f"{path}: schema {about.get('schema')!r} of a hub folder; this version reads schema {SCHEMA}"
        )
    try:
        arch = Architecture.from_json(about["architecture"])
        contract = Contract.from_json(about["contract"])
    except (ArchitectureError, ContractError, KeyError, TypeError) as error:
        raise WeightsError(f"{path}: {error}") from None
    if len(contract.classes) != arch.classes:
        raise WeightsError(
            f"{path}: the contract names {len(contract.classes)} classes, the network has {arch.classes}"
        )
    network = create(arch)
    fill(network, tensors, str(path))
    return network.eval(), contract


def read_tensors(path: Path) -> tuple[dict[str, Tensor], Any]:
    """(tensors by name, our metadata or None) of a safetensors file. Raises `WeightsError`."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            about = json.loads((file.metadata() or {}).get("resnext", "null"))
    except FileNotFoundError:
        raise WeightsError(f"{path}: there is no such file") from None
    except (OSError, SafetensorError, ValueError) as error:
        pickled = ". Pickled weights: save their dict with safetensors.torch.save_file"
        hint = pickled if path.suffix in (".pth", ".pt", ".bin", ".ckpt") else ""
        raise WeightsError(f"{path}: not a whole safetensors file ({error}){hint}") from None
    return tensors, about


def convert(network: Network, name: str) -> Network:
    """`network` as the network called `name`: the same function in another of the paper's forms.

    Raises `WeightsError` where the two are not the same function.
    """
    arch = network.arch
    target = Architecture.from_name(name, arch.classes, arch.in_channels)
    for one in (arch, target):
        if one.transform not in FORMS:
            raise WeightsError(
                f"{one.name}: the transformation {one.transform} has no other form. Equal are "
                f"{', '.join(FORMS)}, where the paths are summed"
            )
    if replace(target, transform=arch.transform) != arch:
        others = [replace(arch, transform=form).name for form in FORMS if form != arch.transform]
        raise WeightsError(
            f"{name}: another network than {arch.name}, not another form of it. Its other forms are "
            f"{', '.join(others)}"
        )
    converted = create(target).train(network.training)
    converted.load_state_dict(convert_form(network.state_dict(), arch.cardinality, target.transform))
    return converted.to(next(network.parameters()))


def start_from(
    arch: Architecture, classes: tuple[str, ...], path: Path, seed: int, new_head: bool
) -> Network:
    """A network of `arch` that starts from the weights at `path`, its head fresh if `new_head`.

    Rows of a head whose classes are known are brought into the order of `classes`. Raises `WeightsError`.
    """
    tensors, about = read_tensors(weights_file(path))
    network = create(arch, seed)
    contract = _contract_in(about, path)
    if not new_head and contract is not None and len(classes) == len(tensors.get(HEAD[0], ())):
        had = contract.classes
        if set(had) != set(classes):
            other = sorted(set(had) ^ set(classes))
            raise WeightsError(
                f"{path}: the head tells other classes apart: {', '.join(map(repr, other[:5]))} "
                "not in both. --new-head replaces it"
            )
        order = [had.index(name) for name in classes]
        tensors |= {name: tensors[name][order] for name in HEAD if name in tensors}
    fill(network, tensors, str(path), new_head)
    return network


def weights_contract(path: Path) -> Contract | None:
    """How the weights at `path` want their pictures, where they say. Raises `WeightsError`."""
    return _contract_in(read_tensors(weights_file(path))[1], path)


def _contract_in(about: Any, path: Path) -> Contract | None:
    """That of our own weights; None of others, which have no metadata of ours."""
    if about is None:
        return None
    if isinstance(about, dict) and "contract" not in about:
        raise WeightsError(f"{path}: is a checkpoint, which says no classes; give the run's folder")
    try:
        return Contract.from_json(about["contract"])
    except (ContractError, KeyError, TypeError) as error:
        raise WeightsError(f"{path}: its contract cannot be read ({error})") from None


def network_name(path: Path) -> str | None:
    """Name of the network that the weights at `path` belong to, where they say. Raises `WeightsError`."""
    _, about = read_tensors(weights_file(path))
    try:
        return str(about["architecture"]["name"])
    except (KeyError, TypeError):
        return None


def weights_digest(path: Path) -> str:
    """SHA-256 of the weights at `path`. Raises `WeightsError`."""
    try:
        with open(weights_file(path), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path}: the weights cannot be read ({error.strerror})") from None


def weights_file(path: Path) -> Path:
    """The file in a run folder or a hub folder, or `path` itself. Raises `WeightsError` for a run that has
    not finished."""
    if hint := tell_unfinished(path):
        raise WeightsError(hint)
    for folder in (path / "model", path):
        if folder.is_dir():
            return folder / WEIGHTS_FILE
    return path


def tell_unfinished(path: Path) -> str:
    """What to do about a run folder that has no model yet; empty where `path` is something else."""
    if (path / "model").is_dir() or not (path / "metrics.jsonl").exists():
        return ""
    return (
        f"{path}: this run has not finished; `resnext train DATA --runs {path.parent} --name {path.name} "
        "--resume must` goes on"
    )


def _timm_config(arch: Architecture, contract: Contract) -> dict[str, Any]:
    """What timm and transformers look for (timm's `push_to_hf_hub` layout).

    timm knows plain networks by the same names; for the others it will say that it does not.
    """
    size, resize = contract.input, contract.resize
    shape = (size.channels, size.height_px, size.width_px)
    return {
        "architecture": arch.name,
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
            "first_conv": "conv1.0" if arch.stem == "deep" else "conv1",
            "classifier": "fc",
            "license": contract.provenance.weights_licence,
        },
    }
