"""Nearest neighbours by embeddings, beside the classifier that they are taken from.

`python benchmarks/neighbours.py RUN DATA`: RUN was trained on DATA. All images are embedded; each of test
gets the class of the most similar images of train, by the cosine. Appends a record to results/bench.jsonl;
three minutes for CIFAR-10 and a small network on two cores.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

import resnext
from resnext.machine import cpu_name
from resnext.records import append_record, stamp
from resnext.statistics import Rate

RESULTS = Path(__file__).parents[1] / "results" / "bench.jsonl"
#: Neighbours that vote, and images of test that are compared at once.
VOTERS, CHUNK = (1, 20), 1000


def read(path: Path, split: str) -> tuple[NDArray[np.float32], list[str]]:
    """The embeddings of a split, of length 1, and the labels."""
    table = pq.read_table(path, filters=[("split", "=", split)])
    rows = np.stack(table["embedding"].to_numpy())
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), table["label"].to_pylist()


def vote(
    train: NDArray[np.float32], labels: NDArray[np.int64], test: NDArray[np.float32], voters: int
) -> NDArray[np.int64]:
    """The class of each row of `test`: that of most of the nearest rows of `train`."""
    answers = []
    for start in range(0, len(test), CHUNK):
        similarity = test[start : start + CHUNK] @ train.T
        nearest = labels[np.argpartition(-similarity, voters, axis=1)[:, :voters]]
        counts = np.stack([(nearest == label).sum(1) for label in range(labels.max() + 1)], 1)
        answers.append(counts.argmax(1))
    return np.concatenate(answers)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("data")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        out = Path(root) / "features.parquet"
        resnext.embed(given.run, given.data, out)
        (train, train_names), (test, test_names) = read(out, "train"), read(out, "test")
    names = sorted(set(train_names))
    labels, truth = (np.array([names.index(name) for name in own]) for own in (train_names, test_names))
    rates = {k: Rate(int((vote(train, labels, test, k) == truth).sum()), len(truth)) for k in VOTERS}
    scores = resnext.evaluate(given.run, given.data, split="test").scores
    classifier = Rate(round(scores.count * (1 - scores.top1_error / 100)), scores.count)
    result = resnext.Run(given.run)
    record = {
        "kind": "bench",
        "experiment": "neighbours",
        "settings": {"network": result.recipe.model, "data": Path(given.data).name, "train": len(train)},
        "classifier_top1": classifier.share,
        "neighbours_top1": {str(k): rate.share for k, rate in rates.items()},
        "images": len(truth),
    }
    append_record(record | asdict(stamp(cpu_name())), RESULTS)
    print(f"classifier {100 * classifier.share:.2f} % ({classifier.interval_text}) of {len(truth):,} images")
    for k, rate in rates.items():
        print(f"{k} nearest of {len(train):,}: {100 * rate.share:.2f} % ({rate.interval_text})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
