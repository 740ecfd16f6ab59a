"""Studies keep their digests: by them the plans in result records are found."""

from __future__ import annotations

import json
from pathlib import Path

from resnext.experiments import EXPERIMENTS

RECORDS = Path(__file__).parents[2] / "results" / "experiments" / "laptop.jsonl"
DIGESTS = {
    "cardinality": "9ec7991e",
    "training_error": "4d9bcd9b",
    "cardinality_vs_depth_vs_width": "b0e1ac90",
    "residual": "fb03b941",
}
#: Studies that were planned anew: `equal_accuracy` had no control.
BEFORE = {"equal_accuracy": "e25d96c4"}


def test_digests_are_those_of_earlier_versions() -> None:
    assert {name: EXPERIMENTS[name].studies["laptop"].digest for name in DIGESTS} == DIGESTS


def test_the_kept_plans_are_of_these_studies() -> None:
    records = map(json.loads, RECORDS.read_text().splitlines())
    plans = [record for record in records if record["kind"] == "plan"]
    assert plans
    for plan in plans:
        now = EXPERIMENTS[plan["experiment"]].studies[plan["scale"]].digest
        assert plan["study"] in (now, BEFORE.get(plan["experiment"]))
