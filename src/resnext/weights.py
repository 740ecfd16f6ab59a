"""Networks to files and back, strictly: every tensor fits, or an error lists those that do not.

A network is shipped as a folder in the layout of model hubs (`config.json`, `model.safetensors`,
`README.md`), which timm and transformers read too. Its `model.safetensors` alone carries the contract as
well.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from resnext.arch import FORMS, STEMS, TIMM_NAMES, Architecture, ArchitectureError
from resnext.contract import Contract, ContractError, first_difference
from resnext.errors import ResnextError
from resnext.models import Network, convert_form, create
from resnext.parsing import parse_json, read_json, show

SCHEMA = 1
WEIGHTS_FILE, CONFIG_FILE = "model.safetensors", "config.json"
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
    mistyped: tuple[str, ...]

    @property
    def is_complete(self) -> bool:
        """Whether every tensor of either side has its partner."""
        return not (self.missing or self.unexpected or self.misshapen or self.mistyped)

    def table(self) -> list[str]:
        """A line for each kind of match, with its number of tensors and the first names."""
        rows = [
            ("loaded", self.loaded),
            ("replaced by a new head", self.replaced),
            ("missing in the file", self.missing),
            ("unexpected in the file", self.unexpected),
            ("of another shape", self.misshapen),
            ("of another type", self.mistyped),
        ]
        lines = []
        for what, names in rows:
            shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
            lines.append(f"  {what:<24}{len(names):>5}  {shown if what != 'loaded' else ''}".rstrip())
        return lines


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
        WeightsError: A tensor is missing, unexpected, of another shape or type, or not finite.
    """
    match = match_tensors(network.state_dict(), tensors, source, new_head)
    for name in match.loaded:
        if not _is_finite(tensors[name]):
            raise WeightsError(f"{source}: the tensor {name} holds NaN or infinity; the file is damaged")
    network.load_state_dict({name: tensors[name] for name in match.loaded}, strict=False)
    return match


def match_tensors(
    own: Mapping[str, Tensor], tensors: Mapping[str, Tensor], source: str, new_head: bool = False
) -> WeightsMatch:
    """How `tensors` match those of a network, its `own`, which may be on the meta device.

    Raises:
        WeightsError: They do not; the message has a table.
    """
    kept = set(HEAD) if new_head else set()
    counters = {name for name in own if name.endswith("num_batches_tracked")}  # old files lack them
    shared = [name for name in own if name in tensors and name not in kept]
    misshapen = [name for name in shared if own[name].shape != tensors[name].shape]
    mistyped = [name for name in shared if _kind(own[name]) != _kind(tensors[name])]
    match = WeightsMatch(
        loaded=tuple(name for name in shared if name not in (*misshapen, *mistyped)),
        replaced=tuple(name for name in own if name in kept),
        missing=tuple(n for n in own if n not in tensors and n not in kept and n not in counters),
        unexpected=tuple(name for name in tensors if name not in own),
        misshapen=tuple(f"{name} {_shape(tensors[name])}, here {_shape(own[name])}" for name in misshapen),
        mistyped=tuple(f"{name} {tensors[name].dtype}, here {own[name].dtype}" for name in mistyped),
    )
    if not match.is_complete:
        hint = []
        rest = (*match.unexpected, *match.mistyped)
        if all(name in HEAD for name in (*misshapen, *match.missing)) and not rest:
            hint = ["Only the head differs (another number of classes): --new-head replaces it"]
        raise WeightsError(f"{source}: the weights do not fit the network", *match.table(), *hint)
    return match


def _kind(tensor: Tensor) -> tuple[bool, bool]:
    return tensor.is_floating_point(), tensor.is_complex()


def _is_finite(tensor: Tensor) -> bool:
    if not tensor.is_floating_point():
        return True
    values = tensor.float()  # the smallest types know no `isfinite`
    # A sum takes a tenth of the time. It is finite only if every value is; of huge values it overflows.
    return bool(values.sum().isfinite() or values.isfinite().all())


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
    text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    (folder / CONFIG_FILE).write_text(text, encoding="utf-8")
    (folder / "README.md").write_text(card, encoding="utf-8")


def load_network(path: Path) -> tuple[Network, Contract]:
    """The network, in evaluation mode, and the contract in a hub folder or in its safetensors file.

    Raises:
        WeightsError: The file cannot be read, carries no contract, or does not fit its own network.
    """
    tensors, described = _read_model(path)
    if described is None:
        raise WeightsError(
            f"{path}: carries no contract, so its classes and pre-processing are unknown. Give the run "
            "folder or hub folder that it came from, or train from it: --weights, with --model"
        )
    match_tensors(_blueprint(described.arch), tensors, str(path))  # before memory is taken for the network
    network = create(described.arch)
    load_tensors(network, tensors, str(path))
    return network.eval(), described.contract


def _blueprint(arch: Architecture) -> dict[str, Tensor]:
    """The tensors of a network, without their memory."""
    with torch.device("meta"):
        return Network(arch).state_dict()


@dataclass(frozen=True)
class _Described:
    """The network and the contract that a file describes."""

    arch: Architecture
    contract: Contract

    @classmethod
    def parse(cls, about: Any, source: Path) -> _Described | None:
        """What `about`, our part of the file `source`, says; None if there is none. Raises `WeightsError`."""
        if about is None:
            return None
        if not isinstance(about, dict):
            raise WeightsError(f"{source}: resnext: must be an object, not {show(about)}")
        if "contract" not in about:
            raise WeightsError(_is_a_checkpoint(source))
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
                raise WeightsError(
                    f"{source}: the contract names {named} {what}, the network has {own}: one of them was "
                    "changed. Take the model from where it came from"
                )


def _read_model(path: Path) -> tuple[dict[str, Tensor], _Described | None]:
    """The tensors in a hub folder or a safetensors file, and what is said about them there.

    Raises `WeightsError`, also if the two files of a hub folder say different things.
    """
    outside = _Described.parse(_read_config(path), path) if path.is_dir() else None
    file = path / WEIGHTS_FILE if path.is_dir() else path
    tensors, about = read_tensors(file)
    inside = _Described.parse(about, file)
    if outside and inside and (field := first_difference(outside, inside)):
        raise WeightsError(
            f"{path}: {CONFIG_FILE} and {WEIGHTS_FILE} have different values of {field}: one of them was "
            "changed. Take both from where the model came from"
        )
    return tensors, outside or inside


def read_contract(folder: Path) -> Contract | None:
    """The contract in the config.json of a hub folder; None if others wrote it. Raises `WeightsError`."""
    described = _Described.parse(_read_config(folder), folder)
    return None if described is None else described.contract


def _read_config(folder: Path) -> Any:
    """Our part of config.json; None if others wrote it. Raises `WeightsError`."""
    try:
        config = read_json(folder / CONFIG_FILE)
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder / CONFIG_FILE}: cannot be read ({error})") from None
    if not isinstance(config, dict):
        raise WeightsError(f"{folder / CONFIG_FILE}: must be an object, not {show(config)}")
    return config.get("resnext")


_MODEL_KINDS = "; give a run folder, a hub folder or a .safetensors file"


def read_tensors(path: Path) -> tuple[dict[str, Tensor], Any]:
    """The tensors by name of a safetensors file, and our metadata or None. Raises `WeightsError`."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            about = parse_json((file.metadata() or {}).get("resnext", "null"))
    except FileNotFoundError:
        raise WeightsError(f"{path}: there is no such file{_MODEL_KINDS}") from None
    except (OSError, SafetensorError, ValueError, AttributeError) as error:
        # AttributeError: a type that torch lacks.
        pickled = ". Pickled weights: save their dict with safetensors.torch.save_file"
        hint = pickled if path.suffix in (".pth", ".pt", ".bin", ".ckpt") else _MODEL_KINDS
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
        file = weights_file(path)
        is_described = file.name == WEIGHTS_FILE and (file.parent / CONFIG_FILE).is_file()
        tensors, described = _read_model(file.parent if is_described else file)
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
        match_tensors(_blueprint(arch), self.tensors, str(self.path), new_head)
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
