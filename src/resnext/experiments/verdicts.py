"""Result records to findings: means, intervals and verdicts of one experiment at one scale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from statistics import mean

from resnext.arch import Architecture
from resnext.cost import count_cost
from resnext.experiments.claims import FIRST_CONFIDENCE, Claim
from resnext.experiments.datasets import class_count
from resnext.experiments.findings import ERROR, STEP_RATIO, VAL_ERROR, ArmFindings, Finding, Findings
from resnext.experiments.ledger import DIVERGED, Ledger, Record, timing_metrics, training_metrics
from resnext.experiments.other_intervals import interval_with_images, pooled_half_width
from resnext.experiments.study import Arm, Experiment, Scale, Study
from resnext.statistics import Interval, interval

#: Note on errors of images that also chose the epoch.
OPTIMISTIC = "The images that chose the epoch are also judged: the errors are optimistic."


def judge(experiment: Experiment, scale: Scale, ledger: Ledger) -> list[Findings]:
    """What the records in `ledger` show of an experiment at a scale.

    A seed counts for a claim if it was planned and all arms of the claim have it; the figures of an arm are
    over the seeds that all arms have. Each time that more runs were planned after a look, or the whole was
    planned anew with another recipe, intervals are widened to half the probability of an error (Bonferroni),
    so that over any number of looks it stays below twice the first.

    Args:
        experiment: From `find_experiments`.
        scale: paper, gpu, laptop or miniature.
        ledger: The records, as from `Ledger.read`.

    Returns:
        One for the first machine, and one more for each further machine on which steps were timed, about
        the times only.

    >>> from resnext.experiments import find_experiments
    >>> findings, = judge(find_experiments(["residual"])[0], "gpu", Ledger([]))
    >>> findings.findings[0].verdict
    'not run'
    """
    study = experiment.studies[scale]
    plans = ledger.plans(experiment.name, study)
    earlier = ledger.earlier_looks(experiment.name, study)
    looks = _Looks(max(plans, default=study.seeds), max(len(plans), 1) + len(earlier))
    study = replace(study, note=" ".join([study.note, *map(_planned_anew, earlier)]).strip())
    devices: list[str | None] = [*ledger.devices(study)]
    first, *others = devices or [None]
    timed = tuple(claim for claim in study.claims if claim.metric == STEP_RATIO)
    times = replace(study, claims=timed, controls={})
    return [
        _findings(experiment, scale, _Evidence.of(study, ledger, first, looks.planned), looks),
        *(
            _findings(experiment, scale, _Evidence.of(times, ledger, device, looks.planned), looks)
            for device in others
        ),
    ]


def _planned_anew(look: str) -> str:
    return f"The study was planned anew after a look, which widens the intervals: {look}."


@dataclass(frozen=True)
class _Looks:
    """The planned number of runs, and the number of times that runs were planned."""

    planned: int
    count: int

    @property
    def confidence(self) -> float:
        return 1 - (1 - FIRST_CONFIDENCE) / float(2 ** (self.count - 1))

    @property
    def confidence_next(self) -> float:
        """After another look."""
        return 1 - (1 - FIRST_CONFIDENCE) / float(2**self.count)


@dataclass(frozen=True)
class _Evidence:
    """The records that count for a study: trainings by arm and seed, and timings of one device by repeat."""

    study: Study
    planned: int
    trainings: dict[str, dict[int, Record]]
    timings: dict[int, Record]
    ledger: Ledger

    @classmethod
    def of(cls, study: Study, ledger: Ledger, device: str | None, planned: int) -> _Evidence:
        """The records of the planned seeds in `ledger`."""
        trainings = {arm.name: _planned(ledger.trainings(arm), planned) for arm in study.trained}
        timings = {} if device is None else _planned(ledger.timings(study, device), planned)
        return cls(study, planned, trainings, timings, ledger)

    @cached_property
    def records(self) -> list[Record]:
        """All of them."""
        return [*chain.from_iterable(own.values() for own in self.trainings.values()), *self.timings.values()]

    @cached_property
    def trained(self) -> list[Record]:
        """The trainings that did not diverge."""
        return [record for record in self.records if record["kind"] == "train"]

    @cached_property
    def metrics(self) -> dict[str, dict[int, dict[str, float]]]:
        """Metrics by arm and seed."""
        return {arm.name: self._metrics(arm) for arm in self.study.arms}

    def _metrics(self, arm: Arm) -> dict[int, dict[str, float]]:
        own = self.trainings.get(arm.name, {})
        metrics = {seed: training_metrics(record) for seed, record in own.items()}
        if arm in self.study.timed:
            for repeat, record in self.timings.items():
                times = timing_metrics(record, arm.model, self.study.timed[0].model)
                metrics[repeat] = metrics.get(repeat, {}) | times
        return {seed: values for seed, values in metrics.items() if values}

    @cached_property
    def shared_seeds(self) -> dict[str, list[int]]:
        """By metric the seeds that all arms have which have the metric at all."""
        seeds: dict[str, list[set[int]]] = {}
        for own in self.metrics.values():
            for metric in dict.fromkeys(chain.from_iterable(own.values())):
                seeds.setdefault(metric, []).append({s for s, values in own.items() if metric in values})
        return {metric: sorted(set.intersection(*sets)) for metric, sets in seeds.items()}

    def ours(self, arm: Arm, confidence: float) -> dict[str, Interval]:
        """Intervals of an arm's metrics over the shared seeds."""
        ours = {}
        for metric, seeds in self.shared_seeds.items():
            values = [self.metrics[arm.name].get(seed, {}).get(metric) for seed in seeds]
            found = [value for value in values if value is not None]
            if found and len(found) == len(seeds):
                ours[metric] = interval(found, confidence)
        return ours

    def arm(self, arm: Arm, confidence: float) -> ArmFindings:
        """What is found of one arm."""
        ours, own = self.ours(arm, confidence), self.trainings.get(arm.name, {})
        curves = [own[seed]["curve"] for seed in self.shared_seeds.get(ERROR, ()) if ERROR in ours]
        params, macs = self._cost(arm)
        return ArmFindings(arm.name, arm.model, params, macs, dict(arm.published), ours, _mean_curve(curves))

    def _cost(self, arm: Arm) -> tuple[int | None, int | None]:
        """Parameters and multiply-adds of an arm that was run."""
        for record in self.trainings.get(arm.name, {}).values():
            if "cost" in record:
                return record["cost"]["params"], record["cost"]["macs"]
        if not self.timings or self.study.timing is None:
            return None, None
        arch = Architecture.from_name(arm.model, class_count(arm.data))
        cost = count_cost(arch, self.study.timing.size_px)
        return cost.params, cost.macs

    def finding(self, claim: Claim, looks: _Looks) -> Finding:
        """What is found of one claim."""
        arms = [arm for arm in self.study.arms if claim.metric in arm.published]
        published = {arm.name: arm.published[claim.metric] for arm in arms}
        seeds = [
            {name: self.metrics[name][seed][claim.metric] for name in claim.arms}
            for seed in range(self.planned)
            if all(claim.metric in self.metrics[name].get(seed, {}) for name in claim.arms)
        ]
        finding = claim.evaluate(
            published, seeds, self.planned, looks.confidence, looks.confidence_next, self._lost(claim)
        )
        return self._with_other_intervals(claim, finding, looks.confidence)

    def _with_other_intervals(self, claim: Claim, finding: Finding, confidence: float) -> Finding:
        """The finding with what stands beside its interval."""
        if finding.ours is None or claim.metric != ERROR:
            return finding
        own = [arm for arm in self.study.arms if arm.name in claim.arms]
        seeds = [n for n in range(self.planned) if all(ERROR in self.metrics[a.name].get(n, {}) for a in own)]
        val = [{arm.name: self.metrics[arm.name][n].get(VAL_ERROR) for arm in own} for n in seeds]
        known = [{k: v for k, v in one.items() if v is not None} for one in val]
        by_val = None
        if all(len(one) == len(own) for one in known):
            by_val = claim.interval([claim.effect(one) for one in known], confidence)
        records = [{arm.name: self.trainings[arm.name][n] for arm in own} for n in seeds]
        return replace(
            finding,
            by_val=by_val,
            pooled=pooled_half_width(claim, own, self.ledger, finding.ours.n, confidence),
            with_images=interval_with_images(claim, records, confidence),
        )

    def _lost(self, claim: Claim) -> int:
        """Number of seeds that a diverged network takes from the claim."""
        if claim.metric == STEP_RATIO:
            return 0
        own = [self.trainings[name] for name in claim.arms]
        return sum(any(_diverged(records, seed) for records in own) for seed in range(self.planned))

    @property
    def diverged(self) -> tuple[str, ...]:
        """The runs that diverged, for people."""
        return tuple(
            f"{name}, seed {seed}"
            for name, own in self.trainings.items()
            for seed in own
            if _diverged(own, seed)
        )

    @property
    def note(self) -> str:
        """What the study can show, and whether its errors are optimistic."""
        optimistic = any("test" not in record["metrics"] for record in self.trained)
        return " ".join([note for note in (self.study.note, OPTIMISTIC * optimistic) if note])

    @property
    def datasets(self) -> tuple[str, ...]:
        """Data sets with their fingerprints."""
        found = self.ledger.fingerprints
        return tuple(f"{name} {found[name]}" for name in _datasets(self.study) if name in found)


def _findings(experiment: Experiment, scale: Scale, evidence: _Evidence, looks: _Looks) -> Findings:
    study = evidence.study
    return Findings(
        experiment=experiment.name,
        claim=experiment.claim,
        source=experiment.source,
        scale=scale,
        setting=_setting(study),
        note=evidence.note,
        planned=looks.planned,
        looks=looks.count,
        confidence=looks.confidence,
        plots=experiment.plots,
        arms=tuple(evidence.arm(arm, looks.confidence) for arm in study.arms),
        findings=_controlled(study, [evidence.finding(claim, looks) for claim in study.claims]),
        diverged=evidence.diverged,
        devices=_distinct(record["device"] for record in evidence.records),
        commits=_distinct(_commit(record) for record in evidence.records),
        seconds=sum(record["seconds"] for record in evidence.trained),
        datasets=evidence.datasets,
        as_published="paper" in experiment.studies and study.arms == experiment.studies["paper"].arms,
    )


def _controlled(study: Study, findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings, with those named that their control makes void."""
    outcomes = {(one.claim, one.verdict) for one in findings}
    void = {claim: text for claim, (text, verdict) in study.controls.items() if (text, verdict) in outcomes}
    return tuple(replace(one, void_by=void.get(one.claim, "")) for one in findings)


def _planned(records: Mapping[int, Record], planned: int) -> dict[int, Record]:
    """Those of the planned seeds, in order."""
    return {seed: records[seed] for seed in range(planned) if seed in records}


def _diverged(records: Mapping[int, Record], seed: int) -> bool:
    return seed in records and records[seed]["kind"] == DIVERGED


def _mean_curve(curves: Sequence[Sequence[dict[str, float]]]) -> tuple[dict[str, float], ...]:
    """Errors after each epoch, averaged over runs of the same length."""
    names = "epoch", "train_top1_error", "val_top1_error"
    if not curves or len({len(curve) for curve in curves}) > 1:
        return ()
    return tuple(
        {name: mean(point[name] for point in points) for name in names}
        for points in zip(*curves, strict=True)
    )


def _commit(record: Record) -> str:
    commit = record["commit"]
    return "unknown" if commit is None else commit[:7] + (" changed" if record["dirty"] else "")


def _distinct(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


def _datasets(study: Study) -> tuple[str, ...]:
    return _distinct(arm.data for arm in study.trained)


def _setting(study: Study) -> str:
    """What all arms share, for people."""
    words = []
    for data in _datasets(study):
        recipes = [arm.recipe for arm in study.trained if arm.data == data]
        size_px, batch = recipes[0].data.size_px, recipes[0].batch
        epochs = ", ".join(dict.fromkeys(str(recipe.epochs) for recipe in recipes))
        words.append(f"{data} at {size_px} px, {epochs} epochs of batch {batch}")
    if study.timing is not None:
        batch, side, rounds = study.timing.batch, study.timing.size_px, study.timing.rounds
        words.append(f"steps of {batch} images of {side} px, eager, in {rounds} rounds by turns")
    return "; ".join(words)
