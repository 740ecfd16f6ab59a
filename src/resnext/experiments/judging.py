"""Result lines to findings: means, intervals and verdicts of one experiment at one scale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from statistics import mean

from resnext.arch import Architecture
from resnext.cost import count_cost
from resnext.experiments.ledger import DIVERGED, Ledger, Line, figures, timed_figures
from resnext.experiments.sets import classes_of
from resnext.experiments.study import Experiment, Scale, Study, Trained
from resnext.results import ERROR, STEP_RATIO, Arm, Findings, interval

#: Share of the runs in which an interval should hold what it estimates, after the first look.
CONFIDENCE = 0.95
#: Of errors of pictures that also chose the epoch.
OPTIMISTIC = "The pictures that chose the epoch are also judged: the errors are optimistic."


def judge(experiment: Experiment, scale: Scale, ledger: Ledger) -> list[Findings]:
    """What stands in the lines of `ledger`: one account, and one more of the times alone for each further
    machine that steps were timed on.

    A seed counts for a claim if all its arms have it, and if it was planned; arms are shown by the seeds that
    all have. Each time that more runs were planned after looking, or the whole by another recipe, intervals
    are widened to half the chance of an error (as Bonferroni has it), so that no number of looks comes to
    more than twice it.
    """
    study = experiment.studies[scale]
    plans, before = ledger.plans(experiment.name, study), ledger.looked_at(experiment.name, study)
    planned, looks = max(plans, default=study.seeds), max(len(plans), 1) + len(before)
    anew = [f"Planned anew after {words}: that does not count here." for words in before]
    study = replace(study, note=" ".join([study.note, *anew]).strip())
    devices: list[str | None] = [*ledger.devices(study)]
    first, *others = devices or [None]
    times = replace(study, claims=tuple(claim for claim in study.claims if claim.metric == STEP_RATIO))
    return [
        _judge(experiment, scale, study, ledger, planned, looks, first),
        *(_judge(experiment, scale, times, ledger, planned, looks, device) for device in others),
    ]


def _judge(
    experiment: Experiment,
    scale: Scale,
    study: Study,
    ledger: Ledger,
    planned: int,
    looks: int,
    device: str | None,
) -> Findings:
    confidence, confidence_next = (1 - (1 - CONFIDENCE) / 2**n for n in (looks - 1, looks))
    trainings = {arm.name: _first(ledger.trainings(arm), planned) for arm in study.trained}
    timings = _first(ledger.timings(study, device), planned) if device is not None else {}
    by_arm = {arm.name: _metrics(study, arm, trainings.get(arm.name, {}), timings) for arm in study.arms}
    shared = _shared(by_arm.values())
    arms = []
    for arm in study.arms:
        own, ours = trainings.get(arm.name, {}), {}
        for metric, seeds in shared.items():
            found = [by_arm[arm.name].get(seed, {}) for seed in seeds]
            if all(metric in one for one in found) and found:
                ours[metric] = interval([one[metric] for one in found], confidence)
        cost = _cost(study, arm, list(own.values()), bool(timings))
        curve = _mean_curve([own[seed]["curve"] for seed in shared.get(ERROR, ()) if ERROR in ours])
        arms.append(Arm(arm.name, arm.model, *cost, dict(arm.paper), ours, curve))
    findings = []
    for claim in study.claims:
        paper = {arm.name: arm.paper[claim.metric] for arm in study.arms if claim.metric in arm.paper}
        of = [by_arm[name] for name in claim.arms]
        pairs = [
            {name: seeds[seed][claim.metric] for name, seeds in zip(claim.arms, of, strict=True)}
            for seed in range(planned)
            if all(claim.metric in seeds.get(seed, {}) for seeds in of)
        ]
        lost = 0
        if claim.metric != STEP_RATIO:
            losers = [trainings[name] for name in claim.arms]
            lost = sum(any(_diverged(own, seed) for own in losers) for seed in range(planned))
        findings.append(claim.find(paper, pairs, planned, confidence, confidence_next, lost))
    prints = ledger.fingerprints
    lines = [*chain.from_iterable(own.values() for own in trainings.values()), *timings.values()]
    trained = [line for line in lines if line["kind"] == "train"]
    optimistic = any("test" not in line["metrics"] for line in trained)
    return Findings(
        experiment=experiment.name,
        claim=experiment.claim,
        source=experiment.source,
        scale=scale,
        setting=_setting(study),
        sets=tuple(f"{name} {prints[name]}" for name in _sets(study) if name in prints),
        note=" ".join([note for note in (study.note, OPTIMISTIC * optimistic) if note]),
        planned=planned,
        looks=looks,
        confidence=confidence,
        drawings=experiment.drawings,
        as_published=study.arms == experiment.studies["paper"].arms,
        arms=tuple(arms),
        findings=tuple(findings),
        diverged=tuple(
            f"{name}, seed {seed}" for name, own in trainings.items() for seed in own if _diverged(own, seed)
        ),
        devices=tuple(dict.fromkeys(line["device"] for line in lines)),
        commits=tuple(dict.fromkeys(_commit(line) for line in lines)),
        seconds=sum(line["seconds"] for line in trained),
    )


def _shared(arms: Iterable[Mapping[int, Mapping[str, float]]]) -> dict[str, list[int]]:
    """By metric the seeds of all arms that have it at all, of these arms' metrics by seed."""
    seeds: dict[str, list[set[int]]] = {}
    for own in arms:
        for metric in dict.fromkeys(chain.from_iterable(own.values())):
            seeds.setdefault(metric, []).append({seed for seed, found in own.items() if metric in found})
    return {metric: sorted(set.intersection(*found)) for metric, found in seeds.items()}


def _first(lines: Mapping[int, Line], planned: int) -> dict[int, Line]:
    """Those of the planned seeds, in their order."""
    return {seed: lines[seed] for seed in range(planned) if seed in lines}


def _diverged(lines: Mapping[int, Line], seed: int) -> bool:
    return seed in lines and lines[seed]["kind"] == DIVERGED


def _metrics(
    study: Study, arm: Trained, trainings: Mapping[int, Line], timings: Mapping[int, Line]
) -> dict[int, dict[str, float]]:
    """The metrics of an arm, seed by seed: of a training, a timing, or both."""
    metrics = {seed: figures(line) for seed, line in trainings.items()}
    if arm in study.timed:
        for repeat, line in timings.items():
            times = timed_figures(line, arm.model, study.timed[0].model)
            metrics[repeat] = metrics.get(repeat, {}) | times
    return {seed: found for seed, found in metrics.items() if found}


def _cost(study: Study, arm: Trained, lines: Sequence[Line], timed: bool) -> tuple[int | None, int | None]:
    """Parameters and multiply-adds, where the arm has been run."""
    for line in lines:
        if "cost" in line:
            return line["cost"]["params"], line["cost"]["macs"]
    if not timed or study.clock is None:
        return None, None
    cost = count_cost(Architecture.from_name(arm.model, classes_of(arm.data)), study.clock.size_px)
    return cost.params, cost.macs


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


def _sets(study: Study) -> list[str]:
    return list(dict.fromkeys(arm.data for arm in study.trained))


def _setting(study: Study) -> str:
    """What all arms share, for people."""
    words = []
    for data in _sets(study):
        recipe = next(arm.recipe for arm in study.trained if arm.data == data)
        words.append(f"{data} at {recipe.data.size_px} px, {recipe.epochs} epochs of batch {recipe.batch}")
    if study.clock is not None:
        clock = study.clock
        words.append(
            f"steps of {clock.batch} pictures of {clock.size_px} px, eager, in {clock.rounds} rounds by turns"
        )
    return "; ".join(words)
