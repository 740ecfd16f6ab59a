"""Which form of grouped convolutions is taken, measured and told before a network is exported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import resnext
from resnext.cli.screen import say

if TYPE_CHECKING:
    from resnext.export import Precision


def choose_packing(model: str, to: str, precision: Precision, batch: int) -> dict[str, int]:
    """How many times as wide the groups of convolutions of `model` become, by their names; prints what was
    measured.

    Args:
        model: Path of the model, or the name of public weights.
        to: The format.
        precision: `float32` or `int8`.
        batch: Images of a batch.
    """
    from resnext.display.progress_bar import ProgressBar

    with ProgressBar("timing grouped convolutions") as bar:
        tuning = resnext.tune(model, to, precision=precision, batch=batch, progress=bar.update)
    if not tuning.layers:
        say(f"{model}: has no grouped convolutions, so there is nothing to choose")
        return {}
    say(f"{to} in {precision}, batch of {batch}, {tuning.device}; each with the 1x1 convolutions around it:")
    for layer in tuning.layers:
        say(f"  {layer}")
    return tuning.packing
