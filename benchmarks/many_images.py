"""The index of five million made-up file names: its size, the time to open it, the memory of workers.

Promised: under 600 MB, under 1 s, under 50 MB for each of four workers that look up random names. Appends a
record to results/bench.jsonl, and exits with 4 if a promise does not hold: `python
benchmarks/many_images.py [COUNT]`, a minute or two.
"""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from resnext.data.contents import Contents
from resnext.data.images import Scan
from resnext.data.index import IndexedFiles, open_index, write_index
from resnext.data.splits import Splits
from resnext.data.stored_images import ImageFiles
from resnext.machine import cpu_name
from resnext.records import append_record, stamp

RESULTS = Path(__file__).parents[1] / "results" / "bench.jsonl"
CLASSES, WORKERS, LOOKS = 1000, 4, 200_000
MAX_MB, MAX_S, MAX_WORKER_MB = 600, 1.0, 50


class MadeUpFiles(ImageFiles):
    """Files as large as those of ImageNet; none exists."""

    def stored_size(self, index: int) -> int:
        return 110_000


def made_up(count: int, root: Path) -> tuple[Splits, dict[str, Scan]]:
    """Files named as those of ImageNet; none exists."""
    classes = tuple(f"n{10_000_000 + 997 * c:08d}" for c in range(CLASSES))
    splits, scans = {}, {}
    for name, part in (("train", count), ("val", 1000)):
        labels = np.arange(part, dtype=np.int64) % CLASSES
        keys = [f"{classes[i % CLASSES]}/{classes[i % CLASSES]}_{i // CLASSES}.JPEG" for i in range(part)]
        splits[name] = MadeUpFiles(root, keys, labels, classes)
        grey = (0.5, 0.5, 0.5)
        contents = Contents(np.arange(part, dtype=np.uint64), np.arange(part, dtype=np.int64))
        scans[name] = Scan({}, np.full(part, 375, dtype=np.int64), grey, grey, contents)
    return Splits("made-up", splits["train"], splits["val"]), scans


def private_mb() -> float:
    """Memory of this process that it shares with no other."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def look_up(
    images: IndexedFiles, seed: int, added: multiprocessing.SimpleQueue[float], all_alive: Any
) -> None:
    """Put the memory that the look-ups add to this process, while all workers are alive.

    A page that only one process maps would not count as shared.
    """
    before = private_mb()
    for index in np.random.default_rng(seed).integers(0, len(images), LOOKS):
        assert images.keys[int(index)].endswith(".JPEG")
        assert 0 <= images.labels[index] < CLASSES
    all_alive.wait()
    added.put(private_mb() - before)
    all_alive.wait()


def main(count: str = "5000000") -> int:
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "made-up.index"
        splits, scans = made_up(int(count), Path(root))
        start = time.perf_counter()
        write_index(splits, scans, folder)
        written_s = time.perf_counter() - start
        del splits, scans
        size_mb = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
        code = "import sys, time; from pathlib import Path; from resnext.data.index import open_index; "
        code += "t = time.perf_counter(); n = len(open_index(Path(sys.argv[1])).train); "
        code += "print(time.perf_counter() - t)"
        runs = [subprocess.check_output([sys.executable, "-c", code, str(folder)]) for _ in range(5)]
        opened_s = sorted(map(float, runs))[2]
        images = open_index(folder).train
        assert isinstance(images, IndexedFiles)
        context = multiprocessing.get_context("fork")
        added = context.SimpleQueue()
        all_alive = context.Barrier(WORKERS)
        workers = [
            context.Process(target=look_up, args=(images, i, added, all_alive)) for i in range(WORKERS)
        ]
        for worker in workers:
            worker.start()
        added_mb = [added.get() for _ in workers]
        for worker in workers:
            worker.join()
    line = {
        "kind": "bench",
        "experiment": "many_pictures",
        "pictures": int(count),
        "size_mb": size_mb,
        "written_s": written_s,
        "opened_s": opened_s,
        "workers_mb": added_mb,
    }
    append_record(line | asdict(stamp(cpu_name())), RESULTS)
    print(f"{int(count):,} names: {size_mb:.0f} MB, written in {written_s:.0f} s, opened in {opened_s:.3f} s")
    print(f"{WORKERS} workers, {LOOKS:,} looks each, add {', '.join(f'{mb:.0f}' for mb in added_mb)} MB")
    return 0 if size_mb < MAX_MB and opened_s < MAX_S and max(added_mb) < MAX_WORKER_MB else 4


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
