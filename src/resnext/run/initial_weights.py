"""The weights that a run starts from: read, matched with its network and classes, and remembered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from resnext.arch import Architecture
from resnext.catalogue import find_entry, locate
from resnext.contract import Contract
from resnext.data.images import Scan
from resnext.models import Network, create
from resnext.recipe import Recipe
from resnext.recipe.options import TrainOptions
from resnext.run.autoconfig import CACHE_UP_TO_PX, Choice, median_shorter_px
from resnext.run.documents import WeightsOrigin
from resnext.weights import PretrainedWeights, WeightsError, weights_digest

#: Weights that are named where none were given.
USUAL_WEIGHTS = "resnext50_32x4d"


def read_weights(reference: Path, model: str | None) -> PretrainedWeights:
    """The weights that `reference` means, fetched if they must be; `model` is the network, if it is given."""
    located = locate(reference)
    weights = PretrainedWeights.read(located.path, model)
    if located.entry is None:
        return weights
    entry = located.entry
    notes = (str(entry), *weights.notes)
    return replace(weights, contract=entry.contract, notes=notes, train_px=entry.train_px)


def why_new_head(
    weights: PretrainedWeights | None, recipe: Recipe, options: TrainOptions, classes: tuple[str, ...]
) -> str:
    """Why a run does not take the head of its weights; empty if it does, or has none."""
    if weights is None:
        return ""
    if recipe.training.fits == "head":
        return "it is what is fitted"
    return "--new-head" if options.new_head else weights.other_head(classes)


def weights_choices(weights: PretrainedWeights, options: TrainOptions, why: str) -> Iterator[Choice]:
    """What is loaded of the weights, and why their head is not, if it is not."""
    yield Choice("weights", str(options.weights), "; ".join(weights.summary(new_head=bool(why))))
    if why:
        yield Choice("head", "new", why)
    else:
        yield Choice("head", "that of the weights", "it tells these classes apart")


def hint_at_weights(data: str, model: str | None, scan: Scan) -> str:
    """What to tell before photographs are learned from scratch; empty for small images.

    Args:
        data: DATA, as on the command line.
        model: The network that was asked for, if one was.
        scan: What a scan of the training images found.
    """
    if median_shorter_px(scan) <= CACHE_UP_TO_PX:
        return ""
    name = USUAL_WEIGHTS if model is None or find_entry(model) is None else model
    return f"photographs are learned better and sooner from weights: resnext train {data} --weights {name}"


def origin_of(weights: PretrainedWeights | None, new_head: bool) -> WeightsOrigin | None:
    """What a run folder keeps of the weights that the run starts from; None without any."""
    if weights is None:
        return None
    path = weights.path.resolve()
    return WeightsOrigin(str(path), weights_digest(path), new_head)


def check_weights(
    weights: PretrainedWeights | None, recipe: Recipe, classes: tuple[str, ...], new_head: bool
) -> None:
    """Raises `WeightsError` if `weights` do not fit the network and the classes."""
    if weights is not None:
        arch = Architecture.from_name(recipe.model or "", len(classes))
        weights.build_network(arch, classes, recipe.seed, new_head)


def build_initial_network(recipe: Recipe, contract: Contract, origin: WeightsOrigin | None) -> Network:
    """The network before its first step, from the seed or from the weights that `origin` names.

    Raises `WeightsError` if the weights are not the file any more that the run was started from.
    """
    arch = Architecture.from_name(recipe.model or "", len(contract.classes), contract.input.channels)
    if origin is None:
        network = create(arch, recipe.seed)
        if recipe.training.zero_init:
            network.zero_last_scales()
        return network
    path = Path(origin.path)
    if weights_digest(path) != origin.sha256:
        raise WeightsError(
            f"{path}: is not the file any more that this run was started from. Put that file back, or start "
            "another run: give another --name"
        )
    weights = PretrainedWeights.read(path, recipe.model)
    return weights.build_network(arch, contract.classes, recipe.seed, origin.new_head)
