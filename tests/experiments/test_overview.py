"""All claims counted together, and those that a control makes void."""

from __future__ import annotations

from dataclasses import replace

from resnext.experiments.effects_plot import draw_effects
from resnext.experiments.findings import Finding, Findings, Verdict
from resnext.experiments.overview import correct, correction_rows, summary
from resnext.statistics import Interval, holm


def finding(claim: str, p: float, verdict: Verdict = "holds", values: tuple[float, ...] = ()) -> Finding:
    ours = Interval(2.0, 0.2, 3, 1.5, 2.5, 0.95)
    return Finding(claim, "top1_error", "points", 1.0, values or (p, p), ours, verdict, p=p)


def experiment(name: str, *findings: Finding, scale: str = "laptop") -> Findings:
    return Findings(name, "", "", scale, "", "", 3, 1, 0.95, (), (), findings)


def test_verdicts_that_stand_among_all() -> None:
    """Three different tests; the fourth is the first one again, and other scales count for themselves."""
    first = finding("a", 0.01)
    one = experiment("one", first, finding("b", 0.03), finding("c", 0.2, "not resolved"))
    two = experiment("two", replace(first, claim="the same"))
    other = experiment("one", finding("elsewhere", 0.0), scale="gpu")
    corrected = correct([[one, other], [two]], "laptop")
    assert [c.adjusted for c in corrected] == [*holm([0.01, 0.03, 0.2]), 0.03]
    assert [c.survives for c in corrected] == [True, False, False, True]
    assert [c.repeats for c in corrected] == [None, None, None, "one"]
    stands = {row[0]: row[5] for row in correction_rows(corrected)[1:]}
    assert stands == {"a": "yes", "b": "no", "c": ""}
    text = summary(corrected, "laptop")
    assert "3 different tests. Each alone: 2 hold, 0 reversed, 1 not resolved." in text
    assert "these stand: a (+2.00 points (+1.50 to +2.50))." in text


def test_what_a_control_makes_void_is_not_among_what_stands() -> None:
    void = replace(finding("a", 0.001), void_by="the control")
    corrected = correct([[experiment("one", void)]], "laptop")
    assert correction_rows(corrected)[1][5] == "void"
    text = summary(corrected, "laptop")
    assert "these stand: none." in text
    assert "Void, since a control says that it shows something else: a." in text


def test_the_plot_has_a_row_for_each_claim() -> None:
    times = replace(finding("d", 0.1), unit="times")
    svg = draw_effects([("one", finding("a is < b", 0.1)), ("two", times)])
    assert "one: a is &lt; b" in svg
    assert "two: d" in svg
    assert "<svg" in draw_effects([])
