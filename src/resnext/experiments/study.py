"""`Experiment`: a claim of the paper or its review, and what is trained or timed for it at each scale."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from resnext.bench import BenchSettings
from resnext.errors import ResnextError
from resnext.experiments.claims import Claim
from resnext.experiments.findings import ERROR, STEP_RATIO, Verdict
from resnext.recipe import Recipe, dotted_names, get_field

Scale = Literal["paper", "gpu", "laptop", "miniature"]
#: Error against cardinality, training and validation curves, bars, error against cost and against time.
PlotName = Literal["cardinality", "curves", "bars", "cost", "time"]
SCALES: tuple[Scale, ...] = ("paper", "gpu", "laptop", "miniature")


class ExperimentError(ResnextError, ValueError):
    """A name that no experiment has; the message has the nearest names."""

    exit_code = 2


@dataclass(frozen=True)
class Arm:
    """One arm of an experiment: a recipe, whose seed is set for each run, on the data set `data`.

    `published` are the figures of its counterpart in the paper, by metric.
    """

    name: str
    recipe: Recipe
    data: str
    published: Mapping[str, float] = field(default_factory=dict)

    @property
    def model(self) -> str:
        """The network's name."""
        assert self.recipe.model is not None, "the recipe of an arm names its network"
        return self.recipe.model

    @property
    def unlike_others(self) -> Recipe:
        """What may differ from arms of other networks: the recipe without its network."""
        return replace(self.recipe, model=None)


def arms(
    recipe: Callable[[str], Recipe],
    data: str,
    models: Mapping[str, str],
    errors: Mapping[str, float] | None = None,
    **more: Mapping[str, float],
) -> tuple[Arm, ...]:
    """Arms that differ in their network only.

    Args:
        recipe: Makes the recipe of a network.
        data: Name of the data set.
        models: Networks by the name of their arm.
        errors: Published test errors of their counterparts, by arm.
        more: Other published figures, by metric and arm.
    """
    published = {ERROR: errors or {}} | more
    return tuple(
        Arm(name, recipe(model), data, {m: of[name] for m, of in published.items() if name in of})
        for name, model in models.items()
    )


@dataclass(frozen=True)
class Study:
    """An experiment at one scale: its arms, what is claimed of them, and a `note` on what that can show.

    `seeds` runs of each arm are planned, fixed before the first of them. Claims about errors need training,
    claims about times need `timing`, which says how training steps are timed in turns. `controls` names, by
    the text of a claim, another one and its verdict that makes the first void.
    """

    arms: tuple[Arm, ...]
    claims: tuple[Claim, ...]
    seeds: int
    timing: BenchSettings | None = None
    note: str = ""
    controls: Mapping[str, tuple[str, Verdict]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        assert len(set(names)) == len(names), f"two arms have the same name: {names}"
        texts = {claim.text for claim in self.claims}
        assert {text for one, (other, _) in self.controls.items() for text in (one, other)} <= texts
        for claim in self.claims:
            assert set(claim.arms) <= set(names), f"{claim.text}: {claim.arms} are not all in {names}"
            assert claim.metric != STEP_RATIO or self.timing is not None, f"{claim.text}: needs timing"

    @property
    def trained(self) -> tuple[Arm, ...]:
        """The arms of the claims about errors."""
        names = {name for claim in self.claims if claim.metric != STEP_RATIO for name in claim.arms}
        return tuple(arm for arm in self.arms if arm.name in names)

    @property
    def timed(self) -> tuple[Arm, ...]:
        """The arms of the claims about times."""
        names = {name for claim in self.claims if claim.metric == STEP_RATIO for name in claim.arms}
        return tuple(arm for arm in self.arms if arm.name in names)

    @property
    def digest(self) -> str:
        """Identifies what is run.

        Recipes count by what they set, so that a digest stays the same when recipes get new settings.
        """
        default, runs = Recipe(), []
        for arm in self.trained:
            settings = {name: get_field(arm.recipe, name) for name in dotted_names()}
            runs.append([arm.data, {n: v for n, v in settings.items() if v != get_field(default, n)}])
        timing = None if self.timing is None else asdict(self.timing)
        text = json.dumps([runs, [arm.model for arm in self.timed], timing], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Experiment:
    """A `claim` in one sentence, its `source`, a study for each scale, and the plots of its outcome."""

    name: str
    claim: str
    source: str
    studies: Mapping[Scale, Study]
    plots: tuple[PlotName, ...]
