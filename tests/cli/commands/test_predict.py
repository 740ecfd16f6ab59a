"""`resnext predict`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
        out = tmp_path / f"out.{kind}"
        assert run("predict", trained, path, "--out", out, "--probabilities", "all") == 0
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


def test_an_unreadable_image_leaves_no_table_and_resume_goes_on(
    trained: Path, colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], run: Callable[..., int]
) -> None:
    bad, out = tmp_path / "bad.png", tmp_path / "out.csv"
    bad.write_bytes(b"no image")
    words = ("predict", trained, colours / "val" / "a", bad, "--out", out)
    assert run(*words) == 3
    assert "--on-bad skip lists images that cannot be read, and goes on" in capsys.readouterr().err
    assert not out.exists()
    assert run(*words, "--resume", "--on-bad", "skip") == 0
    assert len(out.read_text().splitlines()) == 3
    assert not Path(f"{out}.partial").exists()


def test_shards_are_said_or_are_those_of_the_launcher(
    trained: Path,
    colours: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    run: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words, out = ("predict", trained, colours / "val", "--out"), tmp_path / "out.csv"
    assert run(*words, out) == 0
    for number in range(2):
        assert run(*words, out, "--shard", f"{number}/2") == 0
    whole = out.read_text().splitlines()
    shards = [(tmp_path / f"out-0000{n}-of-00002.csv").read_text().splitlines() for n in range(2)]
    names = [[line.split(",")[0] for line in lines] for lines in (whole, *shards)]
    assert names[1] + names[2][1:] == names[0]
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "x", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    assert run(*words, tmp_path / "launched.csv") == 0
    assert (tmp_path / "launched-00001-of-00002.csv").read_text().splitlines() == shards[1]
    capsys.readouterr()
    assert run(*words, out, "--shard", "0/2") == 2
    assert "processes of one launcher take a part each" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--out", "x.csv", "--shard", "2/2"], "from 0 on, as in 3/64; the last one is 1/2"),
        (["--out", "x.csv", "--shard", "half"], "say which of how many"),
        (["--shard", "0/2"], "--shard: is about a table; say its name with --out"),
        (["--resume"], "--resume: is about a table"),
        (["--out", "s3://bucket/x.csv"], "must be a path on a disk"),
        (["--explain", "maps", "--views", "flip"], "--explain: is about one view of each image"),
        (["--explain", __file__], "is no folder; say another"),
    ],
)
def test_options_of_tables(
    options: list[str], says: str, colours: Path, capsys: pytest.CaptureFixture[str], run: Callable[..., int]
) -> None:
    assert run("predict", "runs/x", colours / "val", *options) == 2
    assert says in capsys.readouterr().err


def test_explanations_are_written_beside_the_answers(
    trained: Path, colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], run: Callable[..., int]
) -> None:
    maps = tmp_path / "maps"
    assert run("predict", trained, colours / "val", "--explain", maps) == 0
    files = {str(path.relative_to(colours / "val")) for path in (colours / "val").rglob("*.png")}
    assert {str(path.relative_to(maps)).removesuffix(".png") for path in maps.rglob("*.png")} == files
    assert f"{len(files)} class activation maps in {maps}" in capsys.readouterr().out
    for path in maps.rglob("*.png"):
        Image.open(path).load()


def test_what_a_folder_skips_is_told(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], run: Callable[..., int]
) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "1.png")
    for name in ("a.cr2", ".hidden.png", "README"):
        (tmp_path / name).touch()
    assert run("predict", trained, tmp_path) == 0
    assert capsys.readouterr().err == (
        "note: skipped 3 files not read as images: 1 hidden, 1 without a suffix, 1 .cr2\n"
    )


def test_arrays_and_open_files_are_predicted_like_the_file(trained: Path, colours: Path) -> None:
    path = colours / "val" / "a" / "0.png"
    with Image.open(path) as image, open(path, "rb") as file:
        pixels = np.asarray(image.convert("RGB"))
        answers = api.predict(trained, [path, pixels, file, io.BytesIO(path.read_bytes())])
        [grey, as_colours] = api.predict(trained, [pixels[..., 0], np.stack([pixels[..., 0]] * 3, -1)])
    assert len({answer.ranking for answer in answers}) == 1
    assert grey.ranking == as_colours.ranking


@pytest.mark.parametrize(
    ("images", "says"),
    [
        ([np.zeros((8, 8, 3), np.float32)], r"image 0: an array \(8, 8, 3\) of float32; give uint8"),
        ([np.zeros((3, 8, 8), np.uint8)], r"an array \(3, 8, 8\) of uint8"),
        ([np.zeros((0, 8), np.uint8)], r"an array \(0, 8\)"),
        ([None], "is of type NoneType; give a path"),
        ([io.StringIO("x")], "binary mode"),
        (np.zeros((8, 8, 3), np.uint8), r"predict\(\[image\]\)"),
        (io.BytesIO(), "must be a list"),
        ("x.png", "must be a list"),
    ],
)
def test_images_of_another_type(trained: Path, images: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        api.predict(trained, images)
