"""`resnext predict`."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resnext import api

pytestmark = pytest.mark.usefixtures("no_reports")


def test_predictions_are_the_same_by_every_way(
    trained: Path, colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], run: Callable[..., int]
) -> None:
    """File, bytes and image give one answer; so do the screen's table, CSV, JSON lines and Parquet."""
    import pyarrow.parquet as pq

    path = colours / "val" / "a" / "0.png"
    with Image.open(path) as image:
        answers = api.predict(trained, [path, path.read_bytes(), image])
    assert len({answer.probability for answer in answers}) == 1
    capsys.readouterr()
    assert run("predict", trained, path, "--top", "2") == 0
    shown = "  ".join(f"{name} {100 * p:5.1f} %" for name, p in answers[0].ranking[:2])
    assert capsys.readouterr().out == f"{path}  {shown}\n"
    for kind in ("csv", "jsonl", "parquet"):
        assert run("predict", trained, path, "--out", tmp_path / f"out.{kind}") == 0
    (row,) = csv.DictReader((tmp_path / "out.csv").read_text().splitlines())
    assert (row["picture"], row["label"]) == (str(path), answers[0].label)
    assert float(row["probability"]) == pytest.approx(answers[0].probability, rel=1e-5)
    assert {name: float(row[f"p({name})"]) for name, _ in answers[0].ranking} == pytest.approx(
        dict(answers[0].ranking), rel=1e-5
    )
    kept = pq.read_table(tmp_path / "out.parquet").to_pylist()[0]
    line = json.loads((tmp_path / "out.jsonl").read_text())
    assert kept["label"] == line["label"] == answers[0].label
    assert np.allclose(kept["probabilities"], list(dict(sorted(answers[0].ranking)).values()))
    assert run("predict", trained, path, "--out", tmp_path / "out.xml") == 2
