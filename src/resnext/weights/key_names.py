"""Names of tensors: how others call, wrap and nest what is `layer1.0.conv1.weight` here.

The names here are those of torchvision and timm. A file is brought to them in three steps: the dict of
tensors is taken out of what it lies in, wrappers are peeled off the names, and the names of other libraries
are translated. What is left over afterwards is not guessed at: the match with a network is strict.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

#: Where training programs keep the weights, the averaged ones first: they are what is evaluated.
CONTAINERS = ("state_dict_ema", "model_ema", "ema", "teacher", "state_dict", "model", "net", "weights")
#: What wrappers put before each name.
WRAPPERS = ("module.", "_orig_mod.", "model.", "backbone.", "timm_model.", "encoder.", "features.", "net.")
#: Counters of wrappers, which are no weights: of torch's averaged models.
COUNTERS = ("n_averaged",)
#: Deepest nesting of containers that is looked into.
MAX_NESTING = 8


@dataclass(frozen=True)
class FoundTensors:
    """Tensors by our names, and how they were found, as notes for people."""

    tensors: dict[str, Tensor]
    notes: tuple[str, ...] = ()


def find_tensors(value: Mapping[str, Any]) -> FoundTensors:
    """The tensors in what a file holds, by our names.

    Args:
        value: Tensors by name, or a dict that contains such, as training programs save it.

    Raises:
        ValueError: Two tensors would have the same name.

    >>> import torch
    >>> found = find_tensors({"epoch": 90, "state_dict": {"module.fc.bias": torch.zeros(3)}})
    >>> list(found.tensors), found.notes
    (['fc.bias'], ('took state_dict', 'left out module. before the names'))
    """
    value, notes = _unpack(value)
    tensors = {name: tensor for name, tensor in value.items() if isinstance(tensor, Tensor)}
    return translate(tensors, notes)


def translate(tensors: Mapping[str, Tensor], notes: tuple[str, ...] = ()) -> FoundTensors:
    """The same tensors by our names; see the module. `notes` come first among those of the result.

    Raises:
        ValueError: Two of them would have the same name.
    """
    names = [name for name in tensors if name.rpartition(".")[2] not in COUNTERS]
    renamed = dict(zip(names, names, strict=True))  # our name of each, step by step
    while step := _peel(list(renamed.values())):
        renamed = {name: step.names[now] for name, now in renamed.items() if now in step.names}
        notes += (step.note,)
    for library in LIBRARIES:
        if any(library.mark.fullmatch(now) for now in renamed.values()):
            renamed = {name: library.rename(now) for name, now in renamed.items()}
            notes += (f"translated the names of {library.name}",)
    return FoundTensors(_by_our_names(tensors, renamed), notes)


def _by_our_names(tensors: Mapping[str, Tensor], renamed: Mapping[str, str]) -> dict[str, Tensor]:
    first: dict[str, str] = {}
    for name, now in renamed.items():
        if (other := first.setdefault(now, name)) != name:
            raise ValueError(f"{other} and {name} would both be {now}: it holds more than one network")
    return {now: tensors[name] for now, name in first.items()}


def _unpack(value: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    taken: list[str] = []
    while len(taken) < MAX_NESTING:
        key = next((key for key in CONTAINERS if isinstance(value.get(key), Mapping)), None)
        if key is None:
            break
        value = value[key]
        taken.append(key)
    return value, ((f"took {' / '.join(taken)}",) if taken else ())


@dataclass(frozen=True)
class _Step:
    """The names after one step, by those before it (those left out are missing), and what was done."""

    names: dict[str, str]
    note: str


def _peel(names: list[str]) -> _Step | None:
    """One layer peeled off the names; None if there is none."""
    for method in SELF_SUPERVISED:
        if step := method.peel(names):
            return step
    for wrapper in WRAPPERS:
        if names and any(n.startswith(wrapper) for n in names) and all(_fits(n, wrapper) for n in names):
            return _Step({n: n.removeprefix(wrapper) for n in names}, f"left out {wrapper} before the names")
    return None


def _fits(name: str, wrapper: str) -> bool:
    return name.startswith((wrapper, "head.fc.", "fc.", "last_linear.", "classifier.1."))


@dataclass(frozen=True)
class SelfSupervised:
    """A method of pre-training without labels, whose files hold more than the network.

    Names that begin with `mark` tell it. What begins with `kept` is the network, without its head: what was
    trained in the head's place, and everything else, is left out.
    """

    name: str
    mark: str
    kept: str
    head: tuple[str, ...]

    def peel(self, names: list[str]) -> _Step | None:
        if not any(name.startswith(self.mark) for name in names):
            return None
        short = {n: n.removeprefix(self.kept) for n in names if n.startswith(self.kept)}
        kept = {name: now for name, now in short.items() if not now.startswith(self.head)}
        return _Step(kept, f"took the network that {self.name} trained, which has no head") if kept else None


SELF_SUPERVISED = (
    SelfSupervised("MoCo", "encoder_k.", "encoder_q.", ("fc.",)),
    SelfSupervised("SimSiam", "predictor.", "encoder.", ("fc.",)),
    SelfSupervised("SwAV", "prototypes.", "", ("prototypes.", "projection_head.")),
    SelfSupervised("DINO", "head.last_layer.", "backbone.", ("fc.",)),
)


@dataclass(frozen=True)
class Library:
    """The names of another library.

    `mark` matches a name that only this library has; `rules` are tried in turn, and a name that none of them
    matches stays as it is.
    """

    name: str
    mark: re.Pattern[str]
    rules: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...]

    def rename(self, name: str) -> str:
        for pattern, ours in self.rules:
            if match := pattern.fullmatch(name):
                return ours(match)
        return name


#: The layers of a block in Torch7's nested numbers.
_NUMBERS_OF_BLOCK = {
    "0.0.0": "conv1", "0.0.1": "bn1", "0.0.3": "conv2", "0.0.4": "bn2", "0.1": "conv3", "0.2": "bn3",
    "1.0": "downsample.0", "1.1": "downsample.1",
}  # fmt: skip
_HUGGING_FACE_PARTS = {"convolution": "conv", "normalization": "bn"}
_DOWNSAMPLE = {"convolution": "downsample.0", "normalization": "downsample.1"}

LIBRARIES = (
    Library(
        "mmpretrain",
        re.compile(r"head\.fc\.weight"),
        ((re.compile(r"head\.(fc\.\w+)"), lambda m: m[1]),),
    ),
    Library(
        "pretrainedmodels",
        re.compile(r"last_linear\.weight"),
        ((re.compile(r"last_linear\.(\w+)"), lambda m: f"fc.{m[1]}"),),
    ),
    Library(
        "transformers",
        re.compile(r"(resnet\.)?embedder\.embedder\.convolution\.weight"),
        (
            (
                re.compile(r"(?:resnet\.)?embedder\.embedder\.(convolution|normalization)\.(\w+)"),
                lambda m: f"{_HUGGING_FACE_PARTS[m[1]]}1.{m[2]}",
            ),
            (
                re.compile(
                    r"(?:resnet\.)?(?:encoder\.)?stages\.(\d+)\.layers\.(\d+)\.layer\.(\d+)"
                    r"\.(convolution|normalization)\.(\w+)"
                ),
                lambda m: f"layer{int(m[1]) + 1}.{m[2]}.{_HUGGING_FACE_PARTS[m[4]]}{int(m[3]) + 1}.{m[5]}",
            ),
            (
                re.compile(
                    r"(?:resnet\.)?(?:encoder\.)?stages\.(\d+)\.layers\.(\d+)\.shortcut"
                    r"\.(convolution|normalization)\.(\w+)"
                ),
                lambda m: f"layer{int(m[1]) + 1}.{m[2]}.{_DOWNSAMPLE[m[3]]}.{m[4]}",
            ),
            (re.compile(r"classifier\.1\.(\w+)"), lambda m: f"fc.{m[1]}"),
        ),
    ),
    Library(
        "Torch7",
        re.compile(r"4\.0\.0\.0\.0\.0\.weight"),
        (
            (re.compile(r"0\.(\w+)"), lambda m: f"conv1.{m[1]}"),
            (re.compile(r"1\.(\w+)"), lambda m: f"bn1.{m[1]}"),
            (
                re.compile(rf"([4-7])\.(\d+)\.0\.({'|'.join(map(re.escape, _NUMBERS_OF_BLOCK))})\.(\w+)"),
                lambda m: f"layer{int(m[1]) - 3}.{m[2]}.{_NUMBERS_OF_BLOCK[m[3]]}.{m[4]}",
            ),
            (re.compile(r"10\.1\.(\w+)"), lambda m: f"fc.{m[1]}"),
        ),
    ),
)
