"""The first screen of the page: what came out, how sure it is, and what stands of all claims at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from resnext.experiments.effects_plot import draw_effects
from resnext.experiments.findings import Finding, Findings
from resnext.statistics import holm

#: Probability of an error that a correction allows, for all claims of a scale together.
LEVEL = 0.05


@dataclass(frozen=True)
class Corrected:
    """A finding of an experiment with its p-value after Holm's correction for all claims of its scale.

    `repeats` names the experiment whose claim is the same test of the same runs: it counts once.
    """

    experiment: str
    command: str
    finding: Finding
    adjusted: float
    repeats: str | None = None

    @property
    def survives(self) -> bool:
        """Whether the verdict stands among all of them, whatever its control says."""
        return self.adjusted < LEVEL and self.finding.verdict in ("holds", "reversed")


def correct(found: Sequence[Sequence[Findings]], scale: str) -> list[Corrected]:
    """All judged findings of a scale, with Holm's correction over those that are different tests."""
    judged = [
        (findings, one)
        for own in found
        for findings in own
        if findings.scale == scale
        for one in findings.findings
        if one.is_judged and one.p is not None
    ]
    first: dict[tuple[float, ...], int] = {}
    for number, (_, one) in enumerate(judged):
        first.setdefault((*one.values, one.p or 0.0), number)
    numbers = sorted(first.values())
    adjusted = dict(zip(numbers, holm([judged[n][1].p or 0.0 for n in numbers]), strict=True))
    corrected = []
    for number, (findings, one) in enumerate(judged):
        of = first[(*one.values, one.p or 0.0)]
        repeats = None if of == number else judged[of][0].experiment
        corrected.append(Corrected(findings.experiment, findings.command, one, adjusted[of], repeats))
    return corrected


def summary(corrected: Sequence[Corrected], scale: str) -> str:
    """What is shown and what is not, in short paragraphs."""
    tests = [one for one in corrected if one.repeats is None]
    alone = {
        verdict: sum(one.finding.verdict == verdict for one in tests)
        for verdict in ("holds", "reversed", "not resolved")
    }
    sure = [one.finding for one in tests if one.survives and not one.finding.void_by]
    shown = "; ".join(f"{one.claim} ({one.ours_text.split(', n =')[0]})" for one in sure)
    void = "; ".join(one.finding.claim for one in tests if one.finding.void_by)
    texts = [
        f"**In short**, at `{scale}`: {len(tests)} different tests. Each alone: {alone['holds']} hold, "
        f"{alone['reversed']} reversed, {alone['not resolved']} not resolved.",
        f"All counted together (Holm), these stand: {shown or 'none'}.",
        f"Void, since a control says that it shows something else: {void}." if void else "",
        "**Not shown:** who ends better. Nothing here was trained until it learned no more, or at the size "
        "of the paper: what is shown is who learns faster, and what a step costs.",
    ]
    return "\n\n".join(filter(None, texts))


def correction_rows(corrected: Sequence[Corrected]) -> list[tuple[str, ...]]:
    """The table of all claims at once, those that are surest first."""
    rows: list[tuple[str, ...]] = [("claim", "ours", "alone", "p", "p for all together", "stands", "command")]
    for one in sorted((one for one in corrected if one.repeats is None), key=lambda one: one.adjusted):
        finding = one.finding
        stands = "yes" if one.survives else "no" if finding.verdict != "not resolved" else ""
        if finding.void_by:
            stands = "void"
        rows.append(
            (
                finding.claim,
                finding.ours_text,
                finding.verdict,
                f"{finding.p or 0.0:.2g}",
                f"{one.adjusted:.2g}",
                stands,
                f"`{one.command}`",
            )
        )
    return rows


def effects_svg(corrected: Sequence[Corrected]) -> str:
    """The plot of all effects, published beside ours."""
    return draw_effects([(one.experiment, one.finding) for one in corrected if one.repeats is None])
