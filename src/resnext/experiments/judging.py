"""Result lines to findings: means, intervals and verdicts of one experiment at one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import chain, count, takewhile, zip_longest
from statistics import mean

from resnext.arch import Architecture
from resnext.cost import Cost, count_cost
from resnext.experiments.ledger import Ledger, Line, figures, timed_figures
from resnext.experiments.study import Experiment, Scale, Study, Trained
from resnext.results import STEP_RATIO, Arm, Findings, interval

#: Share of the runs in which an interval should hold what it estimates.
CONFIDENCE = 0.95


def judge(experiment: Experiment, scale: Scale, ledger: Ledger) -> list[Findings]:
    """What stands in the lines of `ledger`: one account, and one more of the times alone for each further
    machine that steps were timed on.

    Only seeds that all arms of a claim have count for it, and no more than were planned; arms are shown by
    the seeds that all have. Where their number was planned anew after looking, all intervals are widened
    (Bonferroni).
    """
    study = experiment.studies[scale]
    devices: list[str | None] = [one for one in ledger.devices() if _timings(study, ledger, one)]
    first, *others = devices or [None]
    times = replace(study, claims=tuple(claim for claim in study.claims if claim.metric == STEP_RATIO))
    return [
        _judge(experiment, scale, study, ledger, first),
        *(_judge(experiment, scale, times, ledger, device) for device in others),
    ]


def _judge(
    experiment: Experiment, scale: Scale, study: Study, ledger: Ledger, device: str | None
) -> Findings:
    trainings = {arm.name: _trainings(study, arm, ledger) for arm in study.arms}
    timings = _timings(study, ledger, device) if device is not None else []
    lines = [*chain.from_iterable(trainings.values()), *timings]
    plans = {line["planned"] for line in lines if line["experiment"] == experiment.name}
    planned, looks = max(plans, default=study.seeds), max(1, len(plans))
    trainings = {name: own[:planned] for name, own in trainings.items()}
    by_arm = {
        arm.name: _merged(
            [figures(line) for line in trainings[arm.name]],
            [timed_figures(line, arm.model, study.timed[0].model) for line in timings[:planned]]
            if arm in study.timed
            else [],
        )
        for arm in study.arms
    }
    confidence, confidence_next = (1 - (1 - CONFIDENCE) / n for n in (looks, looks + 1))
    paired = min((len(own) for own in by_arm.values() if own), default=0)
    arms = []
    for arm in study.arms:
        values: dict[str, list[float]] = {}
        for own in by_arm[arm.name][:paired]:
            for metric, value in own.items():
                values.setdefault(metric, []).append(value)
        ours = {metric: interval(found, confidence) for metric, found in values.items()}
        cost = _cost(study, arm, trainings[arm.name], bool(timings))
        curve = _mean_curve([line["curve"] for line in trainings[arm.name][:paired]])
        arms.append(Arm(arm.name, arm.model, *cost, dict(arm.paper), ours, curve))
    findings = []
    for claim in study.claims:
        paper = {arm.name: arm.paper[claim.metric] for arm in study.arms if claim.metric in arm.paper}
        seeds = [
            {name: figures[claim.metric] for name, figures in zip(claim.arms, together, strict=True)}
            for together in zip(*(by_arm[name] for name in claim.arms), strict=False)
            if all(claim.metric in figures for figures in together)
        ]
        findings.append(claim.find(paper, seeds, planned, confidence, confidence_next))
    return Findings(
        experiment=experiment.name,
        claim=experiment.claim,
        source=experiment.source,
        scale=scale,
        setting=_setting(study, ledger),
        note=study.note,
        planned=planned,
        looks=looks,
        drawings=experiment.drawings,
        arms=tuple(arms),
        findings=tuple(findings),
        devices=tuple(dict.fromkeys(line["device"] for line in lines)),
        commits=tuple(dict.fromkeys(_commit(line) for line in lines)),
        seconds=sum(line["seconds"] for line in lines if line["kind"] == "train"),
    )


def _merged(trained: list[dict[str, float]], timed: list[dict[str, float]]) -> list[dict[str, float]]:
    """The metrics of an arm, seed by seed: of a training, a timing, or both."""
    return [(one or {}) | (other or {}) for one, other in zip_longest(trained, timed)]


def _trainings(study: Study, arm: Trained, ledger: Ledger) -> list[Line]:
    """The arm's lines of seeds 0, 1 and so on, up to the first that is missing."""
    if arm not in study.trained:
        return []
    lines = (ledger.training(replace(arm.recipe, seed=seed), arm.data) for seed in count())
    return list(takewhile(lambda line: line is not None, lines))  # type: ignore[arg-type]


def _timings(study: Study, ledger: Ledger, device: str) -> list[Line]:
    """The same of what was timed on `device`."""
    clock, models = study.clock, [arm.model for arm in study.timed]
    if clock is None or not models:
        return []
    lines = (ledger.timing(models, clock, repeat, device) for repeat in count())
    return list(takewhile(lambda line: line is not None, lines))  # type: ignore[arg-type]


def _cost(study: Study, arm: Trained, lines: Sequence[Line], timed: bool) -> tuple[int | None, int | None]:
    """Parameters and multiply-adds, where the arm has been run."""
    if lines:
        return lines[0]["cost"]["params"], lines[0]["cost"]["macs"]
    if not timed or study.clock is None:
        return None, None
    cost = _counted(arm.model, study.clock.size_px)
    return cost.params, cost.macs


@cache
def _counted(model: str, size_px: int) -> Cost:
    return count_cost(Architecture.from_name(model), size_px)


def _mean_curve(curves: Sequence[Sequence[dict[str, float]]]) -> tuple[dict[str, float], ...]:
    """Errors after each epoch, averaged over runs of the same length."""
    names = "epoch", "train_top1_error", "val_top1_error"
    if not curves or len({len(curve) for curve in curves}) > 1:
        return ()
    return tuple(
        {name: mean(point[name] for point in points) for name in names}
        for points in zip(*curves, strict=True)
    )


def _commit(line: Line) -> str:
    commit = line["commit"]
    return "unknown" if commit is None else commit[:7] + (" changed" if line["dirty"] else "")


def _setting(study: Study, ledger: Ledger) -> str:
    """What all arms share, for people."""
    words = []
    for data in dict.fromkeys(arm.data for arm in study.trained):
        recipe = next(arm.recipe for arm in study.trained if arm.data == data)
        name = f"{data} ({ledger.fingerprints[data]})" if data in ledger.fingerprints else data
        words.append(f"{name} at {recipe.data.size_px} px, {recipe.epochs} epochs of batch {recipe.batch}")
    if study.clock is not None:
        clock = study.clock
        words.append(
            f"steps of {clock.batch} pictures of {clock.size_px} px, eager, in {clock.rounds} rounds by turns"
        )
    return "; ".join(words)
