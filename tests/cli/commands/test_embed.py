"""`resnext embed`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from resnext.cli.image_progress import progress_line

pytestmark = pytest.mark.usefixtures("no_reports")


def test_a_set_and_files_are_embedded(
    trained: Path, colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], run: Callable[..., int]
) -> None:
    out = tmp_path / "x.parquet"
    assert run("embed", trained, colours, "--out", out, "--split", "val") == 0
    assert capsys.readouterr().out == f"6 embeddings of 128 numbers in {out}\n"
    assert pq.read_table(out)["label"].to_pylist() == [*"aabbcc"]
    before = out.read_bytes()
    assert run("embed", trained, colours, "--out", out, "--split", "val", "--resume") == 0
    assert "(6 images were done before)" in capsys.readouterr().out
    assert out.read_bytes() == before
    (colours / "val" / "a" / "notes.txt").touch()
    assert run("embed", trained, colours / "val" / "a", colours / "val" / "b" / "*.png", "--out", out) == 0
    told = capsys.readouterr()
    assert told.out.startswith("4 embeddings")
    assert "note: skipped 1 file " in told.err
    (colours / "val" / "a" / "notes.txt").unlink()


def test_a_bad_image_leaves_the_rows_before_it(
    trained: Path, colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], run: Callable[..., int]
) -> None:
    bad, out = tmp_path / "bad.png", tmp_path / "x.parquet"
    bad.write_bytes(b"no image")
    words = ["embed", trained, *[colours / "train" / "*" / "*.png"] * 3, bad, "--out", out]
    assert run(*words) == 3
    told = capsys.readouterr().err
    assert f"{out}.partial holds the rows so far; the same command with --resume goes on" in told
    assert "--on-bad skip" in told
    assert run(*words) == 2
    assert "--resume goes on" in capsys.readouterr().err
    assert run(*words, "--resume", "--on-bad", "skip") == 0
    told = capsys.readouterr()
    assert told.out == f"72 embeddings of 128 numbers in {out} (64 images were done before)\n"
    assert "bad.png" in told.err
    assert [path.name for path in tmp_path.glob("x.*")] == ["x.parquet"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--out", "x.csv"], "--out x.csv: must end in .parquet"),
        (["--out", "no/x.parquet"], "there is no folder no"),
        (["--out", "x.parquet", "--workers", "-1"], "--workers -1: must be at least 0"),
        (["--out", "x.parquet", "--split", "tset"], "no tset split; found train, val"),
        (["--out", "x.parquet", "--top", "3"], "there is no option --top"),
    ],
)
def test_what_cannot_be_done_is_told(
    words: list[str],
    says: str,
    trained: Path,
    colours: Path,
    capsys: pytest.CaptureFixture[str],
    run: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("embed", trained, colours, *words) in (2, 3)
    assert says in capsys.readouterr().err
    assert [*tmp_path.iterdir()] == []


def test_the_time_left_is_that_of_this_run() -> None:
    """Half of what was begun took 100 s, so the other half does."""
    assert progress_line(60, 100, before=20, seconds=100) == "60/100 images, about 2 min left"
    assert progress_line(100, 100, before=100, seconds=0) == "100/100 images, about 0 s left"
