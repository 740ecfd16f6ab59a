"""The page about experiments answers the review."""

from __future__ import annotations

from resnext.experiments.claims_page import page
from resnext.experiments.findings import Finding, Findings, ReviewStatement, Verdict
from resnext.statistics import Interval


def test_the_answer_to_a_statement_shows_every_scale_whatever_came_out_there() -> None:
    def findings(scale: str, verdict: Verdict, ours: Interval | None) -> Findings:
        finding = Finding("b is lower than a", "top1_error", "points", 1.7, (), ours, verdict)
        setting = f"{scale}'s set at 8 px"
        return Findings(
            "one", "B is lower", "here", scale, setting, "", 3, 1, 0.95, (), (), (finding,), devices=("x",)
        )

    found = [
        findings("paper", "not run", None),
        findings("gpu", "not resolved", Interval(0.2, 0.4, 3, -0.8, 1.2, 0.95)),
        findings("laptop", "holds", Interval(2.0, 0.2, 3, 1.5, 2.5, 0.95)),
        findings("miniature", "reversed", Interval(-2.0, 0.2, 3, -2.5, -1.5, 0.95)),
    ]
    text, _ = page([found], [ReviewStatement("B is lower", "table 1", experiment="one")], "plots")
    (row,) = [line for line in text.splitlines() if line.startswith("| B is lower")]
    answers = [
        "gpu, gpu's set at 8 px:",
        "b is lower than a: +0.20 points (-0.80 to +1.20), n = 3: **not resolved**",
        "laptop, laptop's set at 8 px:",
        "b is lower than a: +2.00 points (+1.50 to +2.50), n = 3: **holds**",
    ]
    commands = [f"`resnext experiments run one --scale {scale}`" for scale in ("gpu", "laptop")]
    assert row == f"| B is lower | table 1 | {'<br>'.join(answers)} | {'<br>'.join(commands)} |"
