"""`Experiment`: a claim of the paper or its review, and at each scale what is trained or timed for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from resnext.bench import Turns
from resnext.experiments.claims import Claim
from resnext.recipe import Recipe, dotted_names, get_field
from resnext.results import ERROR, STEP_RATIO

Scale = Literal["paper", "gpu", "laptop", "miniature"]
#: Error against cardinality, curves of training and validation, bars, error against cost and against time.
Drawing = Literal["cardinality", "curves", "bars", "cost", "time"]
SCALES: tuple[Scale, ...] = ("paper", "gpu", "laptop", "miniature")


class ExperimentError(ValueError):
    """A name that no experiment has; the message says which have it nearly."""


@dataclass(frozen=True)
class Trained:
    """An arm: a recipe, whose seed is set for each run, on the set `data`. `paper` are the published figures
    of its counterpart in the paper, by metric."""

    name: str
    recipe: Recipe
    data: str
    paper: Mapping[str, float] = field(default_factory=dict)

    @property
    def model(self) -> str:
        assert self.recipe.model is not None, "the arms of an experiment say their networks"
        return self.recipe.model


def arms(
    recipe: Callable[[str], Recipe],
    data: str,
    models: Mapping[str, str],
    errors: Mapping[str, float] | None = None,
    **more: Mapping[str, float],
) -> tuple[Trained, ...]:
    """The networks `models`, by the names of their arms, under one recipe.

    Figures of their counterparts in the paper by arm: `errors` of the test, and `more` by their metric.
    """
    published = {ERROR: errors or {}} | more
    return tuple(
        Trained(name, recipe(model), data, {m: of[name] for m, of in published.items() if name in of})
        for name, model in models.items()
    )


@dataclass(frozen=True)
class Study:
    """An experiment at one scale: arms, what is claimed of them, and a `note` on what that can show.

    `seeds` is how many runs of each arm are planned, fixed before the first of them. What is measured is what
    the claims need: errors take training, times take a `clock`, which says how steps are timed in turns.
    """

    arms: tuple[Trained, ...]
    claims: tuple[Claim, ...]
    seeds: int
    clock: Turns | None = None
    note: str = ""

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        assert len(set(names)) == len(names), f"two arms of one name: {names}"
        for claim in self.claims:
            assert set(claim.arms) <= set(names), f"{claim.text}: {claim.arms} are not all in {names}"
            assert claim.metric != STEP_RATIO or self.clock is not None, f"{claim.text}: needs a clock"

    @property
    def trained(self) -> tuple[Trained, ...]:
        """The arms that a claim about an error needs."""
        named = {name for claim in self.claims if claim.metric != STEP_RATIO for name in claim.arms}
        return tuple(arm for arm in self.arms if arm.name in named)

    @property
    def timed(self) -> tuple[Trained, ...]:
        """The arms that a claim about a time needs."""
        named = {name for claim in self.claims if claim.metric == STEP_RATIO for name in claim.arms}
        return tuple(arm for arm in self.arms if arm.name in named)

    @property
    def digest(self) -> str:
        """Names what is run: recipes by what they set, so that it outlives settings which they get later."""
        blank, runs = Recipe(), []
        for arm in self.trained:
            asked = {name: get_field(arm.recipe, name) for name in dotted_names()}
            runs.append([arm.data, {n: v for n, v in asked.items() if v != get_field(blank, n)}])
        clock = None if self.clock is None else asdict(self.clock)
        text = json.dumps([runs, [arm.model for arm in self.timed], clock], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Experiment:
    """`claim` in one sentence, its `source`, the studies by scale, and what is drawn of their outcome."""

    name: str
    claim: str
    source: str
    studies: Mapping[Scale, Study]
    drawings: tuple[Drawing, ...]
