"""What experiments found, as one Markdown page with plots beside it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from resnext.arch import Architecture
from resnext.cost import count_cost
from resnext.reporting.plots import plots_of
from resnext.results import METRICS, STEP_S, Arm, Finding, Findings, Statement

#: Scale that most people can run.
USUAL = "laptop"
#: Scale whose figures show nothing but that everything runs.
MINIATURE = "miniature"
#: What our plots are called.
PLOT = re.compile(r"\w+-(paper|gpu|laptop|miniature)(-\d+)?-(cardinality|curves|bars|cost|time)\.svg")
INTRODUCTION = """# Results

Every claim of the paper (Xie et al. 2017, arXiv 1611.05431) and of a review of it, what was published, and
what came out here. `resnext experiments report` writes this page from the lines in `results/experiments`,
and a test compares.

`laptop` is two CPU cores and minutes a run: networks of 20 to 44 layers are trained on pictures of 16 or 32
px for few epochs (`speed` times the paper's own networks at 224 px). That shows whether an effect is there
at that size and length, and how large; it does not repeat ImageNet, and what does not show there may well
show at the paper's. `paper` and `gpu` scale are ready to run; where no line of theirs stands, they were not
run. What is called published is of the networks of whoever published it, at their scale, whatever stands
beside it.

Errors are top-1 errors. A verdict is *holds*, *reversed* or *not resolved*, of our claim as it stands, by
the 95 % interval of the mean over seeds (Student's t). Runs of one seed are a pair: they see the same
pictures in the same order, augmented alike. The number of seeds was fixed before the first of the runs that
count, and before that many there is no verdict; where that was planned anew after a look, the intervals are
wider for it. They say how runs differ that begin otherwise, judged by the same pictures: what other pictures
would show is not in them. Each verdict stands for itself: of so many claims one in twenty or forty would come
out wrong by chance, and experiments share runs, above all those of the ResNet and of the ResNeXt that they
start from. Times are of one machine and, as a rule, of one session: their intervals say how repeats there
differ, nothing of other machines.

Points say by how much the error is lower, where a claim is that it is lower; where it is *at most* so many
points higher, or worse, or *within* so many, they say by how much it is higher. Such a margin is what counts
as no difference at a scale: at `laptop` 2 points, about twice what a mean over the seeds is known to."""


def write_findings(found: Sequence[Sequence[Findings]], review: Sequence[Statement], out: Path) -> Path:
    """Write the page about each experiment's findings, those of one experiment together, and its plots into a
    folder called like the page without its suffix; return the page's path."""
    folder = out.with_suffix("")
    folder.mkdir(exist_ok=True)
    text, plots = page(found, review, folder.name)
    for old in folder.iterdir():
        if PLOT.fullmatch(old.name) and old.name not in plots:
            old.unlink()
    for name, svg in plots.items():
        (folder / name).write_text(svg, encoding="utf-8")
    aside = out.with_name(out.name + ".part")
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, out)
    return out


def page(
    found: Sequence[Sequence[Findings]], review: Sequence[Statement], folder: str
) -> tuple[str, dict[str, str]]:
    """The page, and the plots by name that it shows from `folder` beside it."""
    parts = [INTRODUCTION, "## What the review says, claim by claim", _review(found, review)]
    plots: dict[str, str] = {}
    for one in found:
        parts += [f"## {one[0].claim}", f"`{one[0].experiment}`. Source: {one[0].source}."]
        for number, each in enumerate(one):
            if each.is_run:
                own = plots_of(each, 1 + sum(other.scale == each.scale for other in one[:number]))
                parts += [*_experiment(each), *(f"![{_title(name)}]({folder}/{name})" for name in own)]
                plots |= own
        if idle := [each for each in one if not each.is_run and each.scale != MINIATURE]:
            parts.append("Not run: " + ", ".join(f"`{each.command}`" for each in idle) + ".")
    return "\n\n".join(parts) + "\n", plots


def _review(found: Sequence[Sequence[Findings]], review: Sequence[Statement]) -> str:
    by_name = {one[0].experiment: one for one in found}
    rows = [("the review says", "known", "our claims, and what came out", "by")]
    for one in review:
        rows.append((one.said, one.known, *_answer(one, by_name.get(one.experiment or ""))))
    return _table(rows)


def _answer(statement: Statement, found: Sequence[Findings] | None) -> tuple[str, str]:
    """Our figures with their verdicts, and how to get them."""
    if statement.models:
        costs = [count_cost(Architecture.from_name(model)) for model in statement.models]
        figures = [
            f"{model} {c.params / 1e6:.2f} M, {c.macs / 1e9:.2f} G, {c.activations / 1e6:.1f} M activations"
            for model, c in zip(statement.models, costs, strict=True)
        ]
        return "counted: " + "; ".join(figures), f"`resnext models {statement.models[-1]}`"
    if statement.experiment is None:
        return "", "no experiment"
    if found is None:
        return "", f"`resnext experiments run {statement.experiment}`"
    if run := [one for one in found if one.is_run and one.scale != MINIATURE]:
        told = [
            "<br>".join([f"{one.scale}, {one.setting}:", *(_told(finding) for finding in one.findings)])
            for one in run
        ]
        return "<br>".join(told), "<br>".join(dict.fromkeys(f"`{one.command}`" for one in run))
    usual = next((one for one in found if one.scale == USUAL), found[0])
    return "not run", f"`{usual.command}`"


def _told(finding: Finding) -> str:
    return f"{finding.claim}: {finding.figure}: **{finding.verdict}**"


def _experiment(findings: Findings) -> list[str]:
    """One account: where and how, the claims, the arms."""
    one = findings
    published = "published" if one.as_published else "published, of other networks"
    claims = [("claim", published, "ours", "verdict")]
    for finding in one.findings:
        verdict = ": ".join(filter(None, [f"**{finding.verdict}**", one.remark(finding)]))
        claims.append((finding.claim, finding.published, finding.figure, verdict))
    return [
        f"### {one.scale}: {one.setting}",
        f"`{one.command}`; {one.account}",
        _table(claims),
        _arms(one),
    ]


def _arms(findings: Findings) -> str:
    heads = ["arm", "network", "parameters (M)", "multiply-adds (M)"]
    for metric in findings.metrics:
        name = METRICS[metric]
        heads += [f"{name}, published", f"{name}, ours: mean, standard deviation, n, interval"]
    rows = [tuple(heads)]
    for arm in findings.arms:
        cells = [arm.name, f"`{arm.model}`"]
        cells += ["" if value is None else f"{value / 1e6:.2f}" for value in (arm.params, arm.macs)]
        for metric in findings.metrics:
            published = arm.paper.get(metric) if findings.as_published else None
            cells += ["" if published is None else _value(published, metric), _mean(arm, metric)]
        rows.append(tuple(cells))
    kept = [i for i in range(len(heads)) if any(row[i] for row in rows[1:])]
    return _table([tuple(row[i] for i in kept) for row in rows])


def _value(value: float, metric: str) -> str:
    return f"{value:.3g}" if metric == STEP_S else f"{value:.2f}"


def _mean(arm: Arm, metric: str) -> str:
    ours = arm.ours.get(metric)
    if ours is None:
        return ""
    mean, low, high = (_value(v, metric) for v in (ours.mean, ours.low, ours.high))
    if ours.n == 1:
        return f"{mean}, n = 1"
    return f"{mean}, {_value(ours.deviation, metric)}, {ours.n}, {low} to {high}"


def _title(plot: str) -> str:
    return plot.removesuffix(".svg").replace("-", " ").replace("_", " ")


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    head, *body = (f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)
    return "\n".join((head, "|---" * len(rows[0]) + "|", *body))
