"""Result lines to findings: means, intervals and verdicts of one experiment at one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from statistics import mean

from resnext.arch import Architecture
from resnext.cost import Cost, count_cost
from resnext.experiments.claims import METRICS
from resnext.experiments.ledger import Ledger, Line, figures, timed_figures
from resnext.experiments.study import Experiment, Scale, Study, Trained
from resnext.results import Arm, Findings, interval

#: Share of the runs in which an interval should hold what it estimates.
CONFIDENCE = 0.95


def judge(experiment: Experiment, scale: Scale, ledger: Ledger) -> list[Findings]:
    """What stands in the lines of `ledger`: one account, or one for each machine that steps were timed on.

    Only seeds that all arms of a claim have count for it. Where the number of runs was planned anew after
    looking, all intervals are widened (Bonferroni).
    """
    study = experiment.studies[scale]
    devices: list[str | None] = [one for one in ledger.devices() if _timings(study, ledger, one)]
    return [_judge(experiment, scale, study, ledger, device) for device in devices or [None]]


def _judge(
    experiment: Experiment, scale: Scale, study: Study, ledger: Ledger, device: str | None
) -> Findings:
    trainings = {arm.name: _trainings(study, arm, ledger) for arm in study.arms}
    timings = _timings(study, ledger, device) if device is not None else {}
    lines = [line for found in trainings.values() for line in found.values()] + list(timings.values())
    plans = {line["planned"] for line in lines if line["experiment"] == experiment.name}
    confidence = 1 - (1 - CONFIDENCE) / max(1, len(plans))
    by_arm: dict[str, dict[int, dict[str, float]]] = {}
    for arm in study.arms:
        own = {seed: figures(line) for seed, line in trainings[arm.name].items()}
        for seed, line in timings.items():
            if arm in study.timed:
                own.setdefault(seed, {}).update(timed_figures(line, arm.model))
        by_arm[arm.name] = own
    arms = []
    for arm in study.arms:
        values = {m: [own[m] for own in by_arm[arm.name].values() if m in own] for m in study.metrics}
        ours = {m: interval(found, confidence) for m, found in values.items() if found}
        cost = _cost(study, arm, list(trainings[arm.name].values()), bool(timings))
        curve = _mean_curve([line["curve"] for line in trainings[arm.name].values()])
        arms.append(Arm(arm.name, arm.model, *cost, dict(arm.paper), ours, curve))
    findings = []
    for claim in study.claims:
        paper = {arm.name: arm.paper[claim.metric] for arm in study.arms if claim.metric in arm.paper}
        having = [{seed for seed, own in by_arm[name].items() if claim.metric in own} for name in claim.arms]
        seeds = [
            {name: by_arm[name][seed][claim.metric] for name in claim.arms}
            for seed in sorted(set.intersection(*having))
        ]
        findings.append(claim.find(paper, seeds, confidence))
    return Findings(
        experiment=experiment.name,
        claim=experiment.claim,
        source=experiment.source,
        scale=scale,
        setting=_setting(study),
        planned=max(plans, default=study.seeds),
        looks=max(1, len(plans)),
        metrics={metric: METRICS[metric] for metric in study.metrics},
        drawings=experiment.drawings,
        arms=tuple(arms),
        findings=tuple(findings),
        devices=tuple(dict.fromkeys(line["device"] for line in lines)),
        commits=tuple(dict.fromkeys(_commit(line) for line in lines)),
        seconds=sum(line["seconds"] for line in lines if line["kind"] == "train"),
    )


def _trainings(study: Study, arm: Trained, ledger: Ledger) -> dict[int, Line]:
    """The arm's lines by seed: as many in a row as there are."""
    found: dict[int, Line] = {}
    while arm in study.trained:
        line = ledger.training(replace(arm.recipe, seed=len(found)), arm.data)
        if line is None:
            break
        found[len(found)] = line
    return found


def _timings(study: Study, ledger: Ledger, device: str) -> dict[int, Line]:
    found: dict[int, Line] = {}
    while study.clock is not None:
        line = ledger.timing([arm.model for arm in study.timed], study.clock, len(found), device)
        if line is None:
            break
        found[len(found)] = line
    return found


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


def _setting(study: Study) -> str:
    """What all arms share, for people."""
    words = []
    for data in dict.fromkeys(arm.data for arm in study.trained):
        recipe = next(arm.recipe for arm in study.trained if arm.data == data)
        words.append(f"{data} at {recipe.data.size_px} px, {recipe.epochs} epochs of batch {recipe.batch}")
    if study.clock is not None:
        clock = study.clock
        words.append(
            f"steps of {clock.batch} pictures of {clock.size_px} px, medians of {clock.rounds} rounds"
        )
    return "; ".join(words)
