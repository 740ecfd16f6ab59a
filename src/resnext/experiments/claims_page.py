"""The page about all experiments in Markdown, with plots beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from resnext.arch import Architecture
from resnext.cost import count_cost
from resnext.experiments.catalogue import find_experiments
from resnext.experiments.findings import METRICS, STEP_S, ArmFindings, Finding, Findings, ReviewStatement
from resnext.experiments.ledger import Ledger
from resnext.experiments.plots import draw_plots
from resnext.experiments.review import REVIEW
from resnext.experiments.study import SCALES
from resnext.experiments.verdicts import judge
from resnext.files import write_whole

#: The scale that most people can run.
COMMON_SCALE = "laptop"
#: The scale whose figures only show that everything runs.
MINIATURE = "miniature"
#: File names of our plots.
PLOT = re.compile(r"\w+-(paper|gpu|laptop|miniature)(-\d+)?-(cardinality|curves|bars|cost|time)\.svg")
INTRODUCTION = """# Results

This page lists every claim of the paper (Xie et al. 2017, arXiv 1611.05431) and of a review of it, with
what was published and what we measured. `resnext experiments report` writes it from the records in
`results/experiments`, and a test checks that it is up to date.

**Scales.** `laptop` means two CPU cores and minutes for a run: networks of 20 to 44 layers are trained
for few epochs on images of 16 or 32 px (only `speed` times the paper's own networks, at 224 px). This
shows whether an effect exists at that size and length, and how large it is there. It does not repeat
ImageNet, and an effect that is absent here may well appear at the paper's scale. The scales `paper` and
`gpu` are ready to run; experiments without their records were not run at them. Published figures are
always those of the networks of whoever published them, at their scale, also beside ours of other
networks.

**Errors and verdicts.** Errors are top-1 errors. A claim *holds*, is *reversed*, or is *not resolved* by
the 95 % interval of the mean over seeds (Student's t). Runs of one seed form a pair: they see the same
images in the same order with the same augmentation. The number of seeds was fixed before the first run
that counts, and there is no verdict before that many runs are done. Where runs were planned anew after a
look at results, the intervals are wider for it. The intervals cover runs with other seeds that are judged
by the same images; they do not cover other test images. Each verdict stands alone: of this many claims,
one in twenty to forty would come out wrong by chance. Experiments also share runs, above all those of the
ResNet and the ResNeXt that they start from. Times come from one machine and, as a rule, one session:
their intervals cover repeats there, not other machines.

**Signs.** Points say by how much the error is lower where a claim says that it is lower. Where a claim
says *at most* a number of points higher or worse, or *within* a number of points, they say by how much
the error is higher. The number in such a claim is the margin below which a difference does not count: 2
points at `laptop`, which is about twice the uncertainty of a mean over the seeds."""


def write_results(results: Path, out: Path) -> Path:
    """Write the page about all experiments at all scales, and its plots.

    Args:
        results: Folder of the result records.
        out: The page, whose name ends in .md; its plots go into the folder of that name without the suffix.

    Returns:
        `out`.

    Raises:
        RecordsError: A file of records is damaged.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_results(Path("no-records"), Path(folder) / "results.md").name
    'results.md'
    """
    ledger = Ledger.read(results)
    found = [
        [findings for scale in SCALES if scale in one.studies for findings in judge(one, scale, ledger)]
        for one in find_experiments()
    ]
    return write_findings(found, REVIEW, out)


def write_findings(found: Sequence[Sequence[Findings]], review: Sequence[ReviewStatement], out: Path) -> Path:
    """Write the page about the findings of each experiment, and its plots; remove outdated plots."""
    folder = out.with_suffix("")
    folder.mkdir(exist_ok=True)
    text, plots = page(found, review, folder.name)
    for old in folder.iterdir():
        if PLOT.fullmatch(old.name) and old.name not in plots:
            old.unlink()
    for name, svg in plots.items():
        write_whole(folder / name, svg)
    write_whole(out, text)
    return out


def page(
    found: Sequence[Sequence[Findings]], review: Sequence[ReviewStatement], folder: str
) -> tuple[str, dict[str, str]]:
    """The page, and its plots by file name.

    Args:
        found: The findings of each experiment.
        review: Statements of the review.
        folder: Name of the folder beside the page that has the plots.
    """
    parts = [INTRODUCTION, "## The review, claim by claim", _review(found, review)]
    plots: dict[str, str] = {}
    for own in found:
        texts, own_plots = _experiment(own, folder)
        parts += texts
        plots |= own_plots
    return "\n\n".join(parts) + "\n", plots


def _experiment(own: Sequence[Findings], folder: str) -> tuple[list[str], dict[str, str]]:
    """The section of one experiment, and its plots."""
    parts = [f"## {own[0].claim}", f"`{own[0].experiment}`. Source: {own[0].source}."]
    plots: dict[str, str] = {}
    for number, each in enumerate(own):
        if each.is_run:
            drawn = draw_plots(each, 1 + sum(other.scale == each.scale for other in own[:number]))
            parts += [*_scale(each), *(f"![{_title(name)}]({folder}/{name})" for name in drawn)]
            plots |= drawn
    if idle := [each for each in own if not each.is_run and each.scale != MINIATURE]:
        parts.append("Not run: " + ", ".join(f"`{each.command}`" for each in idle) + ".")
    return parts, plots


def _review(found: Sequence[Sequence[Findings]], review: Sequence[ReviewStatement]) -> str:
    by_name = {own[0].experiment: own for own in found}
    rows = [("the review says", "known", "our claims and results", "command")]
    for one in review:
        rows.append((one.text, one.known, *_answer(one, by_name.get(one.experiment or ""))))
    return _table(rows)


def _answer(statement: ReviewStatement, found: Sequence[Findings] | None) -> tuple[str, str]:
    """Our figures on a statement, and the command that gives them."""
    if statement.models:
        return _counted(statement.models), f"`resnext models {statement.models[-1]}`"
    if statement.experiment is None:
        return "", "no experiment"
    if found is None:
        return "", f"`resnext experiments run {statement.experiment}`"
    if run := [one for one in found if one.is_run and one.scale != MINIATURE]:
        texts = ["<br>".join([f"{one.scale}, {one.setting}:", *map(_finding, one.findings)]) for one in run]
        return "<br>".join(texts), "<br>".join(dict.fromkeys(f"`{one.command}`" for one in run))
    common = next((one for one in found if one.scale == COMMON_SCALE), found[0])
    return "not run", f"`{common.command}`"


def _counted(models: Sequence[str]) -> str:
    costs = [count_cost(Architecture.from_name(model)) for model in models]
    figures = [
        f"{model} {c.params / 1e6:.2f} M, {c.macs / 1e9:.2f} G, {c.activations / 1e6:.1f} M activations"
        for model, c in zip(models, costs, strict=True)
    ]
    return "counted: " + "; ".join(figures)


def _finding(finding: Finding) -> str:
    return f"{finding.claim}: {finding.ours_text}: **{finding.verdict}**"


def _scale(findings: Findings) -> list[str]:
    """An experiment at one scale: setting and provenance, the claims, the arms."""
    published = "published" if findings.as_published else "published, of other networks"
    claims = [("claim", published, "ours", "verdict")]
    for one in findings.findings:
        verdict = ": ".join(filter(None, [f"**{one.verdict}**", findings.remark(one)]))
        claims.append((one.claim, one.published_text, one.ours_text, verdict))
    return [
        f"### {findings.scale}: {findings.setting}",
        f"`{findings.command}`; {findings.provenance}",
        _table(claims),
        _arms(findings),
    ]


def _arms(findings: Findings) -> str:
    """The table of the arms, without empty columns."""
    heads = ["arm", "network", "parameters (M)", "multiply-adds (M)"]
    for metric in findings.metrics:
        name = METRICS[metric]
        heads += [f"{name}, published", f"{name}, ours: mean, standard deviation, n, interval"]
    rows = [tuple(heads)]
    for arm in findings.arms:
        cells = [arm.name, f"`{arm.model}`"]
        cells += ["" if value is None else f"{value / 1e6:.2f}" for value in (arm.params, arm.macs)]
        for metric in findings.metrics:
            published = arm.published.get(metric) if findings.as_published else None
            cells += ["" if published is None else _value(published, metric), _mean(arm, metric)]
        rows.append(tuple(cells))
    kept = [i for i in range(len(heads)) if any(row[i] for row in rows[1:])]
    return _table([tuple(row[i] for i in kept) for row in rows])


def _value(value: float, metric: str) -> str:
    return f"{value:.3g}" if metric == STEP_S else f"{value:.2f}"


def _mean(arm: ArmFindings, metric: str) -> str:
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
