"""Networks to files and back, strictly: every tensor fits, or an error lists those that do not.

A network is shipped as a folder in the layout of model hubs (`config.json`, `model.safetensors`,
`README.md`), which timm and transformers read too. Its `model.safetensors` alone carries the contract as
well.
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

from resnext.arch import FORMS, STEMS, TIMM_NAMES, Architecture, ArchitectureError
from resnext.contract import Contract, ContractError
from resnext.errors import ResnextError
from resnext.models import Network, convert_form, create

SCHEMA = 1
WEIGHTS_FILE = "model.safetensors"
#: Tensors of the head, which `new_head` leaves as they are initialised.
HEAD = ("fc.weight", "fc.bias")


class WeightsError(ResnextError):
    """Weights that cannot be read, or that do not fit the network."""

    exit_code = 4


@dataclass(frozen=True)
class WeightsMatch:
    """How the tensors of a file match those of a network, as lists of names."""

    loaded: tuple[str, ...]
    replaced: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: tuple[str, ...]

    @property
    def is_complete(self) -> bool:
        """Whether every tensor of either side has its partner."""
        return not (self.missing or self.unexpected or self.misshapen)

    def table(self) -> str:
        """A row for each kind of match, with its number of tensors and the first names."""
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


def load_tensors(
    network: nn.Module, tensors: dict[str, Tensor], source: str, new_head: bool = False
) -> WeightsMatch:
    """Load `tensors` into `network`.

    Args:
        network: Changed in place, unless an error is raised.
        tensors: Tensors by their names in the network's state dict.
        source: Name of the file, for errors.
        new_head: Keep the head of `network`.

    Raises:
        WeightsError: A tensor is missing, unexpected or of another shape; the message has a table.
    """
    own = network.state_dict()
    kept = set(HEAD) if new_head else set()
    counters = {name for name in own if name.endswith("num_batches_tracked")}  # old files lack them
    shared = [name for name in own if name in tensors and name not in kept]
    misshapen = [name for name in shared if own[name].shape != tensors[name].shape]
    match = WeightsMatch(
        loaded=tuple(name for name in shared if name not in misshapen),
        replaced=tuple(name for name in own if name in kept),
        missing=tuple(n for n in own if n not in tensors and n not in kept and n not in counters),
        unexpected=tuple(name for name in tensors if name not in own),
        misshapen=tuple(f"{name} {_shape(tensors[name])}, here {_shape(own[name])}" for name in misshapen),
    )
    if not match.is_complete:
        hint = ""
        if all(name in HEAD for name in (*misshapen, *match.missing)) and not match.unexpected:
            hint = "\nOnly the head differs (another number of classes): --new-head replaces it"
        raise WeightsError(f"{source}: the weights do not fit the network\n{match.table()}{hint}")
    network.load_state_dict({name: tensors[name] for name in match.loaded}, strict=False)
    return match


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def write_hub_folder(folder: Path, network: Network, contract: Contract, card: str) -> None:
    """Write `network` as a hub folder, with `card` as its README.md; `folder` must not exist."""
    folder.mkdir(parents=True)
    about = {"schema": SCHEMA, "architecture": network.arch.to_json(), "contract": contract.to_json()}
    state = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    # Not `save_file`: only the owner may read its files.
    data = save(state, metadata={"format": "pt", "resnext": json.dumps(about)})
    (folder / WEIGHTS_FILE).write_bytes(data)
    config = _timm_config(network.arch, contract) | {"resnext": about}
    (folder / "config.json").write_text(
        json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (folder / "README.md").write_text(card, encoding="utf-8")


def load_network(path: Path) -> tuple[Network, Contract]:
    """The network, in evaluation mode, and the contract in a hub folder or in its safetensors file.

    Raises:
        WeightsError: The file cannot be read, carries no contract, or does not fit its own network.
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
        raise WeightsError(_is_a_checkpoint(path))
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
    load_tensors(network, tensors, str(path))
    return network.eval(), contract


def read_tensors(path: Path) -> tuple[dict[str, Tensor], Any]:
    """The tensors by name of a safetensors file, and our metadata or None. Raises `WeightsError`."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            about = json.loads((file.metadata() or {}).get("resnext", "null"))
    except FileNotFoundError:
        raise WeightsError(f"{path}: there is no such file") from None
    except (OSError, SafetensorError, ValueError) as error:
        pickled = ". Pickled weights: save their dict with safetensors.torch.save_file"
        hint = pickled if path.suffix in (".pth", ".pt", ".bin", ".ckpt") else ""
        raise WeightsError(f"{path}: not a complete safetensors file ({error}){hint}") from None
    return tensors, about


def convert_network(network: Network, name: str) -> Network:
    """`network` as the network called `name`, which is the same function in another of the paper's three
    forms.

    Raises:
        WeightsError: The two are not the same function.

    >>> grouped = create(Architecture.from_name("resnext11_2x4d+template=8", 3))
    >>> convert_network(grouped, "resnext11_2x4d+template=8+transform=branches").arch.transform
    'branches'
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
        tensors, about = read_tensors(weights_file(path))
        return cls(path, tensors, _model_in(about), _contract_in(about, path))

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
        network, tensors = create(arch, seed), self.tensors
        if not new_head and self.contract is not None and len(classes) == len(tensors.get(HEAD[0], ())):
            order = self._order_of(classes)
            tensors = tensors | {name: tensors[name][order] for name in HEAD if name in tensors}
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


def _model_in(about: Any) -> str | None:
    try:
        return str(about["architecture"]["name"])
    except (KeyError, TypeError):
        return None


def _contract_in(about: Any, path: Path) -> Contract | None:
    if about is None:
        return None
    if isinstance(about, dict) and "contract" not in about:
        raise WeightsError(_is_a_checkpoint(path))
    try:
        return Contract.from_json(about["contract"])
    except (ContractError, KeyError, TypeError) as error:
        raise WeightsError(f"{path}: its contract cannot be read ({error})") from None


def _is_a_checkpoint(path: Path) -> str:
    return f"{path}: is a training checkpoint, which names no classes; give the folder of the run"


def weights_digest(path: Path) -> str:
    """SHA-256 of the weights at `path`. Raises `WeightsError`."""
    try:
        with open(weights_file(path), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path}: the weights cannot be read ({error.strerror})") from None


def weights_file(path: Path) -> Path:
    """The safetensors file in a run folder or a hub folder, or `path` itself. Raises `WeightsError` for a run
    that has not finished."""
    if hint := explain_unfinished(path):
        raise WeightsError(hint)
    for folder in (path / "model", path):
        if folder.is_dir():
            return folder / WEIGHTS_FILE
    return path


def explain_unfinished(path: Path) -> str:
    """What to do about a run folder that has no model yet; empty if `path` is something else."""
    if (path / "model").is_dir() or not (path / "metrics.jsonl").exists():
        return ""
    return (
        f"{path}: this run has not finished; `resnext train DATA --runs {path.parent} --name {path.name} "
        "--resume must` resumes it"
    )


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
