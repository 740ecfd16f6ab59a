"""What is done with networks: create, open, list, convert."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, overload

from resnext import models
from resnext.arch import KNOWN_NAMES, STEMS, Architecture
from resnext.cost import Cost, count_cost
from resnext.engine import ModelError, open_network
from resnext.errors import UsageError
from resnext.weights import HubNetwork, convert_network, create_network, write_hub_folder


@overload
def create(
    name: str,
    classes: int = ...,
    in_channels: int = ...,
    seed: int = ...,
    weights: str | Path | None = ...,
    new_head: bool = ...,
    *,
    features_only: Literal[False] = ...,
) -> HubNetwork: ...


@overload
def create(
    name: str,
    classes: int = ...,
    in_channels: int = ...,
    seed: int = ...,
    weights: str | Path | None = ...,
    new_head: bool = ...,
    *,
    features_only: Literal[True],
    out_indices: int | Sequence[int] | None = ...,
) -> models.FeaturePyramid: ...


def create(
    name: str,
    classes: int = 1000,
    in_channels: int = 3,
    seed: int = 0,
    weights: str | Path | None = None,
    new_head: bool = False,
    *,
    features_only: bool = False,
    out_indices: int | Sequence[int] | None = None,
) -> HubNetwork | models.FeaturePyramid:
    """A network with fresh weights, or with given ones.

    Args:
        name: Name of the network; `list_models` lists some.
        classes: Number of classes.
        in_channels: Channels of the images. The first convolution of weights for three is adapted to others.
        seed: Seed of the fresh weights.
        weights: A run folder, hub folder or file of weights, or a name of public ones (`resnext weights`).
        new_head: A fresh head in place of that of `weights`, for other classes.
        features_only: Return the feature maps of stem and stages, without the head, whatever the classes are.
        out_indices: Which of them: 0 is the stem's, before its last pooling, 1 to 4 those of the stages;
            negative ones count from the last. A number means so many of the last, None all.

    Returns:
        A `torch.nn.Module` with torchvision's tensor names: (B, in_channels, H, W) -> logits (B, classes). It
        can be saved as a hub folder (`save_pretrained`). With `features_only`, a `FeaturePyramid`: the maps
        as a list.

    Raises:
        ArchitectureError: There is no such network; the message has the nearest names.
        UsageError: There are no such feature maps.
        WeightsError: `weights` cannot be read, or do not fit the network.
        UnknownWeights: There are no such weights.
        FetchError: They are not here, and cannot be fetched.

    >>> import torch, resnext
    >>> network = resnext.create("resnext29_8x4d+template=16", classes=10)
    >>> network(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    >>> pyramid = resnext.create("resnext50_4x4d+template=8", features_only=True, out_indices=(1, 2, 3, 4))
    >>> pyramid.feature_info.channels(), pyramid.feature_info.reduction()
    ([32, 64, 128, 256], [4, 8, 16, 32])
    >>> [tuple(one.shape) for one in pyramid(torch.zeros(1, 3, 64, 64))]
    [(1, 32, 16, 16), (1, 64, 8, 8), (1, 128, 4, 4), (1, 256, 2, 2)]
    """
    if features_only:
        network = create_network(name, classes, in_channels, seed, weights, new_head=True)
        return models.FeaturePyramid(network, out_indices)
    if out_indices is not None:
        raise UsageError(f"out_indices {out_indices!r}: needs features_only=True")
    return create_network(name, classes, in_channels, seed, weights, new_head)


def from_pretrained(model: str | Path) -> HubNetwork:
    """The network in a file or folder of weights, or of public ones, in evaluation mode.

    `load` gives a classifier, which takes images.

    Args:
        model: A run folder, hub folder or file of weights, or a name of public ones (`resnext weights`),
            hf-hub:owner/name among them.

    Returns:
        The network: (B, in_channels, H, W) -> logits (B, classes). Its `contract` has the names of the
        classes, and how images are prepared.

    Raises:
        WeightsError: They cannot be read, do not fit their network, or have no classifier.
        UnknownWeights: There are no such weights.
        FetchError: They are not here, and cannot be fetched.

    >>> import resnext
    >>> network = resnext.from_pretrained("runs/pets")
    >>> network.contract.classes
    ('cat', 'dog')
    >>> print(network.save_pretrained("shared"))
    shared
    """
    return HubNetwork.from_pretrained(model)


@dataclass(frozen=True)
class ListedModel:
    """A network by name, and its cost at the size and for the classes that its stem is made for."""

    name: str
    cost: Cost
    size_px: int
    classes: int


def list_models(like: str = "") -> list[ListedModel]:
    """Networks by name with their cost at the size and for the number of classes that their stem is made for.

    Args:
        like: Only names that contain this; a full name that is not on the list is counted too.

    Raises:
        ArchitectureError: `like` is neither part of a known name nor a name.

    >>> import resnext
    >>> [(found.name, found.size_px, found.classes) for found in resnext.list_models("resnext29_8x64d")]
    [('resnext29_8x64d', 32, 10)]
    """
    names = [name for name in KNOWN_NAMES if like.lower() in name]
    return [_listed(Architecture.from_name(name)) for name in names or [like]]


def _listed(arch: Architecture) -> ListedModel:
    stem = STEMS[arch.stem]
    cost = count_cost(replace(arch, classes=stem.classes), stem.size_px)
    return ListedModel(arch.name, cost, stem.size_px, stem.classes)


def convert(model: str | Path, to: str, out: str | Path) -> Path:
    """Write a trained network in another of the paper's three forms, as a hub folder. No value changes.

    Args:
        model: Path of the model.
        to: Name of the same network in another form (`+transform=` grouped, concatenated or branches).
        out: The folder to write.

    Returns:
        `out`.

    Raises:
        WeightsError: The two names are not the same function.
        ModelError: There is no such model, or `out` exists.

    >>> import resnext
    >>> print(resnext.convert("runs/pets", "resnext11_4x4d+template=16+transform=branches", "paths"))
    paths
    """
    out = Path(out)
    if out.exists():
        raise ModelError(f"{out}: exists already; say another --out")
    original, contract = open_network(model)
    network = convert_network(original, to)
    provenance = replace(contract.provenance, architecture=network.arch.name)
    contract = replace(contract, provenance=provenance)
    card = f"# {network.arch.name}\n\nConverted from {original.arch.name}: the same function.\n"
    write_hub_folder(out, network, contract, card)
    return out
