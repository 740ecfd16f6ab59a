"""What `--recipe probe` takes beside one bare forward pass over all its views.

`python benchmarks/probe.py TINY_IMAGENET`: 600 images of 5 classes, enlarged to 256 px, at 224 px with
ResNeXt-50 32x4d of random weights, which take as long as others. After every third batch of the probe the
bare network computes as many images of noise, so that what else the machine does slows both. The probe
decodes in its own process, and its time has all that the command does: reading all images once, features,
heads, evaluation, report. Promised: at most 1.3 times the bare pass, and a top-1 on test within the interval
of scikit-learn's logistic regression on the same features. Appends a record to results/bench.jsonl; about 10
minutes on two cores.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import resnext
from resnext.contract import Contract, Input, Provenance, Resize
from resnext.data.sources import read_splits
from resnext.engine.embedding import embed_batches
from resnext.machine import cpu_name
from resnext.recipe import IMAGENET_COLOURS
from resnext.records import append_record, stamp
from resnext.run import FeatureProgress
from resnext.statistics import Rate

RESULTS = Path(__file__).parents[1] / "results" / "bench.jsonl"
MODEL, CLASSES, EACH, STORED_PX, SIZE_PX = "resnext50_32x4d", 5, 120, 256, 224
PROMISED, EVERY = 1.3, 3


def write_set(data: str, folder: Path) -> None:
    """Write `EACH` images of each of the first classes of `data`, enlarged, as JPEG files."""
    train = read_splits(data).train
    for label in range(CLASSES):
        for index in np.flatnonzero(train.labels == label)[:EACH].tolist():
            target = folder / train.classes[label] / f"{index}.jpg"
            target.parent.mkdir(parents=True, exist_ok=True)
            image = train.open(index).resize((STORED_PX, STORED_PX), Image.Resampling.BICUBIC)
            image.save(target, quality=92)


def write_weights(folder: Path) -> Path:
    """Random weights, whose batch norms have seen noise once so that no feature explodes."""
    network = resnext.create(MODEL, classes=1000).train()
    with torch.no_grad():
        network(torch.randn(8, 3, SIZE_PX, SIZE_PX))
    colours = IMAGENET_COLOURS
    network.contract = Contract(
        classes=tuple(map(str, range(1000))),
        input=Input(3, SIZE_PX, SIZE_PX),
        resize=Resize(STORED_PX, SIZE_PX),
        mean=colours["mean"],
        std=colours["std"],
        provenance=Provenance(MODEL),
    )
    return network.eval().save_pretrained(folder)


class BarePass:
    """The bare network, which computes a third of the images that the probe does, right after it."""

    def __init__(self) -> None:
        self.network = resnext.create(MODEL, classes=CLASSES).eval().to(memory_format=torch.channels_last)
        self.seconds, self.paused_s, self.images, self.views, self.batches = 0.0, 0.0, 0, 0, 0

    def follow(self, event: Any) -> None:
        """Compute as many images as the probe just did, after every third of its batches."""
        if not isinstance(event, FeatureProgress):
            return
        batch, self.views, self.batches = event.computed - self.views, event.computed, self.batches + 1
        if self.batches % EVERY:
            return
        paused = time.perf_counter()
        images = torch.randn(batch, 3, SIZE_PX, SIZE_PX).contiguous(memory_format=torch.channels_last)
        begun = time.perf_counter()
        with torch.inference_mode():
            self.network(images)
        now = time.perf_counter()
        self.seconds, self.paused_s = self.seconds + now - begun, self.paused_s + now - paused
        self.images += batch

    @property
    def pass_s(self) -> float:
        """Seconds that the bare network takes for all views."""
        return self.seconds / self.images * self.views


def sklearn_top1(run: resnext.Run, rows: np.ndarray, penalty: float, data: Path) -> Rate:
    """Top-1 on test of scikit-learn's head for the same penalty on the same features."""
    splits = read_splits(str(data))
    labels = np.tile(splits.train.labels, run.recipe.epochs)
    scaler = StandardScaler()
    features = scaler.fit_transform(rows[len(splits.val) :].astype(np.float64))
    head = LogisticRegression(C=1 / (penalty * len(labels)), max_iter=2000).fit(features, labels)
    test = np.concatenate([one.features for one in embed_batches(resnext.load(run.folder), splits.test)])
    right = head.predict(scaler.transform(test.astype(np.float64))) == splits.test.labels
    return Rate(int(right.sum()), len(right))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        data, weights = Path(root) / "pets", write_weights(Path(root) / "weights")
        write_set(given.data, data)
        bare = BarePass()
        begun = time.perf_counter()
        run = resnext.train(
            data, "probe", weights=weights, runs=Path(root) / "runs", workers=0, on_event=bare.follow
        )
        probe_s = time.perf_counter() - begun - bare.paused_s
        rows = np.fromfile(run.folder / "features" / "rows.f32", "<f4").reshape(bare.views, -1)
        best = run.result["curve"][run.result["metrics"]["best_epoch"] - 1]
        test = run.result["metrics"]["test"]
        other = sklearn_top1(run, rows, best["penalty"], data)
    ratio, top1 = probe_s / bare.pass_s, 1 - test["top1_error"] / 100
    low, high = other.interval
    record = {
        "kind": "bench",
        "experiment": "probe",
        "settings": {"network": MODEL, "size_px": SIZE_PX, "images": CLASSES * EACH, "views": bare.views},
        "probe_s": probe_s,
        "bare_pass_s": bare.pass_s,
        "ratio": ratio,
        "test_top1": top1,
        "sklearn_top1": other.share,
        "sklearn_interval": [low, high],
    }
    append_record(record | asdict(stamp(cpu_name())), RESULTS)
    print(
        f"probe {probe_s:.0f} s, a bare pass over its {bare.views:,} views {bare.pass_s:.0f} s: "
        f"ratio {ratio:.3f}; "
        f"top-1 of test {100 * top1:.1f} %, scikit-learn's {100 * other.share:.1f} % ({other.interval_text})"
    )
    return 0 if ratio <= PROMISED and low <= top1 <= high else 4


if __name__ == "__main__":
    sys.exit(main())
