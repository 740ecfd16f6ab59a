"""A model by path or name, opened as a classifier."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import torch

from resnext.engine.choosing import choose
from resnext.engine.classifier import Classifier
from resnext.engine.engine import ModelError
from resnext.engine.exports import chosen_elsewhere
from resnext.engine.foreign import ForeignContract
from resnext.engine.openers import Opener, find_openers
from resnext.recipe.options import EngineName


def open_model(
    model: str | Path,
    device: torch.device | str = "cpu",
    engine: EngineName | None = None,
    foreign: ForeignContract | None = None,
) -> Classifier:
    """The classifier in a run folder, a hub folder, a weights file with its contract, or an exported file, or
    that of a name.

    Args:
        model: Path of the folder or file, or a name of public weights (see `resnext.catalogue.locate`).
        device: Where the classifier computes; exported files do on the CPU.
        engine: What computes it; the usual one for such a model if None, the fastest for `auto`.
        foreign: What the user says about an exported file that carries no contract.

    Raises:
        ModelError: If there is no model at that path, or the engine cannot take it.
        EngineMissing: If the engine's library is not installed.
        WeightsError: If the weights do not fit the network.
    """
    if engine is not None and engine not in get_args(EngineName):
        raise ModelError(f"--engine {engine}: must be one of {', '.join(get_args(EngineName))}")
    place = torch.device(device)
    openers = find_openers(model, place, foreign)
    if engine == "auto":
        fastest = choose(list(openers), place)
        return Classifier(fastest.engine, fastest.why)
    taken = next(openers) if engine is None else _by_name(list(openers), engine, model)
    return Classifier(taken.open(), chosen_elsewhere(taken.path))


def _by_name(openers: list[Opener], engine: str, model: str | Path) -> Opener:
    for one in openers:
        if one.name == engine:
            return one
    known = ", ".join(one.name for one in openers)
    raise ModelError(
        f"{model}: is computed by {known}, not by --engine {engine}. Exports in the folder of a run are "
        f"found too, if they were made of its present weights: resnext export {model}"
    )
