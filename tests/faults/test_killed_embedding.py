"""kill -9 at random moments while images are embedded or predicted; then the bytes of the undisturbed run.
And memory."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import resnext

pytestmark = pytest.mark.slow

Start = Callable[..., subprocess.Popen[bytes]]

#: Starts the command line with rows that are written after each batch, so that kills fall between and into
#: many writes, and tells the most memory that it took.
PROGRAM = """
import resource, sys
from resnext.engine import kept_rows
from resnext.cli import main
if sys.argv[1] == "often":
    kept_rows.WAITING_S = 0.0
code = main(sys.argv[2:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr)
sys.exit(code)
"""


@pytest.fixture
def start() -> Iterator[Start]:
    """`start(when, *words)` starts `resnext *words`; what is left of it at the end is killed."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(when: str, *words: object) -> subprocess.Popen[bytes]:
        one = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, when, *map(str, words)],
            env=os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        started.append(one)
        return one

    yield begin
    for one in started:
        one.kill()
        one.wait()
        if one.stderr is not None:
            one.stderr.close()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return resnext.create("resnext11_2x4d+template=8", classes=10).save_pretrained(tmp_path / "model")


def write_images(path: Path, count: int) -> Path:
    """A table of images of 32 px, each of its own colours."""
    draw = np.random.default_rng(0)
    schema = pa.schema([("image", pa.binary()), ("label", pa.int64())])
    with pq.ParquetWriter(path, schema) as writer:
        for first in range(0, count, 1000):
            rows = {"image": [], "label": []}
            for number in range(first, min(first + 1000, count)):
                values = draw.integers(0, 256, (4, 4, 3), np.uint8).repeat(8, 0).repeat(8, 1)
                rows["image"].append(to_png(values))
                rows["label"].append(number % 10)
            writer.write_table(pa.table(rows, schema))
    return path


def to_png(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG", compress_level=1)
    return file.getvalue()


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def write_files(folder: Path, count: int) -> Path:
    """As `write_images`, each in a file of its own."""
    table = pq.read_table(write_images(folder.with_suffix(".parquet"), count))
    folder.mkdir()
    for number, content in enumerate(table["image"].to_pylist()):
        (folder / f"{number:05}.png").write_bytes(content)
    return folder


@pytest.mark.parametrize(("verb", "out"), [("embed", "out.parquet"), ("predict", "out.csv")])
def test_killed_at_random_moments(
    verb: str,
    out: str,
    full: bool,
    record: Callable[..., None],
    model: Path,
    tmp_path: Path,
    start: Start,
) -> None:
    kills, count = (20, 20_000) if full else (2, 1500)
    whole, cut = tmp_path / f"whole-{out}", tmp_path / out
    if verb == "embed":
        images, make = write_images(tmp_path / "images.parquet", count), resnext.embed
    else:
        images = write_files(tmp_path / "images", count)

        def make(model: Path, folder: Path, out: Path, **options: Any) -> Any:
            return resnext.predict_to_file(model, [folder], out, **options)

    partial = Path(f"{cut}.partial")
    with pytest.raises(ZeroDivisionError):  # how large the rows so far become
        make(model, images, whole, progress=lambda done, total: 1 / (total - done), workers=0)
    largest = size(Path(f"{whole}.partial"))
    make(model, images, whole, resume=True)
    draw, places = random.Random(0), []
    words = (verb, model, images, "--out", cut, "--resume", "--workers")
    for number, target in enumerate(sorted(draw.uniform(0, 0.95 * largest) for _ in range(kills))):
        process = start("often", *words, number % 3)
        before, end = size(partial), time.monotonic() + 240
        while process.poll() is None and size(partial) <= max(before, target):
            assert time.monotonic() < end
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.05))
        assert process.poll() is None, "it was over before the kill"
        process.send_signal(signal.SIGKILL)
        process.wait()
        places.append(size(partial) / largest)
    assert not cut.exists()
    last = start("often", *words, 0)
    assert last.wait(600) == 0
    keys = pq.read_table(cut)["key"].to_pylist() if verb == "embed" else cut.read_text().splitlines()[1:]
    assert len(keys) == len(set(keys)) == count
    assert cut.read_bytes() == whole.read_bytes()
    assert not partial.exists()
    record(
        "kill -9 in embedding" if verb == "embed" else "kill -9 in predicting",
        kills=len(places),
        rows=count,
        bit_equal=True,  # or an assertion above has failed
        places=[round(min(places), 2), round(max(places), 2)],
    )


def test_memory_does_not_grow_with_the_images(
    full: bool, record: Callable[..., None], model: Path, tmp_path: Path, start: Start
) -> None:
    """As files, whose names alone are kept, and after the same warm-up: one row group."""
    counts = (10_000, 100_000) if full else (500, 2000)
    picture = to_png(np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8))
    most = []
    for count in counts:
        folder = tmp_path / f"{count}"
        folder.mkdir()
        for number in range(count):
            (folder / f"{number}.png").write_bytes(picture)
        out = tmp_path / f"{count}.parquet"
        process = start("seldom", "embed", model, folder, "--out", out, "--workers", 0)
        _, told = process.communicate(timeout=600)
        assert process.returncode == 0, told
        assert pq.read_metadata(out).num_rows == count
        most.append(int(told.split()[-1]))
    names_mb = (counts[1] - counts[0]) * 1000 / 2**20  # of names, sizes and times: at most 1 kB an image
    assert most[1] - most[0] < names_mb + 30
    record("memory of embedding", images=list(counts), most_mb=most)
