"""The page about all experiments in Markdown, with plots beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from resnext.arch import Architecture
from resnext.cost import count_cost
from resnext.experiments.catalogue import find_experiments
from resnext.experiments.findings import METRICS, STEP_S, ArmFindings, Finding, Findings, ReviewStatement
from resnext.experiments.html_page import to_html
from resnext.experiments.ledger import Ledger
from resnext.experiments.overview import LEVEL, correct, correction_rows, effects_svg, summary
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
EFFECTS_PLOT = "effects.svg"
PLOT = re.compile(r"\w+-(paper|gpu|laptop|miniature)(-\d+)?-(cardinality|curves|bars|cost|time)\.svg")
TITLE = """# Results

What the paper (Xie et al. 2017, arXiv 1611.05431) and a review of it claim, what was published, and what we
measured. `resnext experiments report` writes this page from the records in `results/experiments`, and a test
checks that it is up to date. Each claim can be run again by the command in its row."""
EFFECTS = """**How to read it.** Points say by how much the error is lower where a claim says that it is so;
where a claim says *at most* a number of points higher or worse, or *within* a number of points, they say by
how much the error is higher. Bars are 95 % intervals, wider where runs were planned more than once. A black
stroke is what was published, of the networks of whoever published it, at their scale. Hollow: void, because
of the outcome of a control."""
INTRODUCTION = """## How it was measured

**Scales.** `laptop` means two CPU cores and minutes for a run: networks of 20 to 44 layers are trained
for few epochs on images of 16 or 32 px (only `speed` times the paper's own networks, at 224 px). This
shows whether an effect exists at that size and length, and how large it is there. It does not repeat
ImageNet, and an effect that is absent here may well appear at the paper's scale. The scales `paper` and
`gpu` are ready to run; experiments without their records were not run at them.

**Errors and verdicts.** Errors are top-1 errors. A claim *holds*, is *reversed*, or is *not resolved* by
the 95 % interval of the mean over seeds (Student's t). Runs of one seed form a pair: they see the same
images in the same order with the same augmentation. The number of seeds was fixed before the first run
that counts, and there is no verdict before that many runs are done. Where runs were planned anew after a
look at results, the intervals are wider for it. These intervals cover runs with other seeds that are
judged by the same images. Experiments share runs, above all those of the ResNet and the ResNeXt that they
start from. Times come from one machine and, as a rule, one session: their intervals cover repeats there,
not other machines.

**Beside the verdicts.** *By val* is the same effect by the images that chose the epoch: it is fewer images,
and optimistic for all arms alike. *Pooled* is half the interval by the deviation that all networks of one
recipe share: it has many more degrees of freedom (df) than the few pairs, but takes for granted that all
networks vary alike, and makes no use of pairs. *With images* is the interval for other test images too, by
resampling seeds and images (Owen 2007); records have had what it needs only since it was added.

**Margins.** The number in a claim of *at most* or *within* is the margin below which a difference does not
count: at `laptop` 1 point, about half the main effect. It was 2 points when these runs were first looked
at, which was more than that effect."""


def write_results(results: Path, out: Path) -> Path:
    """Write the page about all experiments at all scales, and its plots.

    Args:
        results: Folder of the result records.
        out: The page. Where its name ends in .md, its plots go into the folder of that name without the
            suffix; where it ends in .html, they are in the page.

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
    if out.suffix == ".html":
        write_whole(out, to_html(*page(found, review, "")))
        return out
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
    parts, plots = _first_screen(found, folder)
    parts += [INTRODUCTION, "## The review, claim by claim", _review(found, review)]
    for own in found:
        texts, own_plots = _experiment(own, folder)
        parts += texts
        plots |= own_plots
    return "\n\n".join(parts) + "\n", plots


def _first_screen(found: Sequence[Sequence[Findings]], folder: str) -> tuple[list[str], dict[str, str]]:
    """What came out at the common scale, in short, as one plot, and with all claims counted together."""
    corrected = correct(found, COMMON_SCALE)
    if not corrected:
        return [TITLE], {}
    alone = [one for one in corrected if one.repeats is not None]
    shared = "".join(
        f" `{one.experiment}`: {one.finding.claim} is the same test as in `{one.repeats}`." for one in alone
    )
    parts = [
        TITLE,
        summary(corrected, COMMON_SCALE),
        f"![all effects at {COMMON_SCALE}]({folder}/{EFFECTS_PLOT})",
        EFFECTS,
        "## All claims at once",
        "Of so many tests, one in twenty comes out wrong by chance. *p for all together* is Holm's: verdicts "
        f"below {LEVEL} stand, with at most that probability that any one of them is wrong.{shared}",
        _table(correction_rows(corrected)),
    ]
    return parts, {EFFECTS_PLOT: effects_svg(corrected)}


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
    claims = [("claim", published, "ours", "verdict", "by val", "pooled", "with images")]
    for one in findings.findings:
        verdict = ": ".join(filter(None, [f"**{one.verdict}**", findings.remark(one)]))
        claims.append((one.claim, one.published_text, one.ours_text, verdict, *one.others_text))
    return [
        f"### {findings.scale}: {findings.setting}",
        f"`{findings.command}`; {findings.provenance}",
        _without_empty_columns(claims, always=4),
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
    return _without_empty_columns(rows)


def _without_empty_columns(rows: Sequence[tuple[str, ...]], always: int = 0) -> str:
    """The table without columns that are empty, but for the first so many."""
    kept = [i for i in range(len(rows[0])) if i < always or any(row[i] for row in rows[1:])]
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
