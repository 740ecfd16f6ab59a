"""What calibration does to trained networks: honest probabilities, sets, "none of these".

`python benchmarks/confidence.py DATA RUNS`: RUNS has the runs of reference_runs.py, DATA `cifar10` and
`tiny-imagenet`. Of each run the images of test, or of val where there is none, calibrate and are judged in
turns. Promised: a calibration error above 3 % is at least halved, if it is more than chance explains, and no
error grows beyond its interval; over 20 random halves, sets promised for 90 % cover 89 to 91 % in the mean,
and are no larger than the k likeliest classes that cover as much.

Then the network of CIFAR-10 meets near outliers (classes of Tiny ImageNet that resemble none of its ten) and
far ones: the score that is chosen is never worse than the largest probability. Appends a record for each to
results/confidence.jsonl; a few minutes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from resnext.confidence import cross_fit, fit_sets, fit_temperature, in_sets, soften_probabilities
from resnext.data.images import ImageDataset
from resnext.data.sources import read_split, read_splits, read_splits_by_name
from resnext.data.stored_images import UnlabelledImages
from resnext.engine import Calibrator, Classifier, TorchEngine
from resnext.engine.openers import open_network
from resnext.machine import cpu_name
from resnext.metrics import Outcomes
from resnext.records import append_record, stamp
from resnext.run import RunFolder
from resnext.run.documents import EnvironmentDocument

RESULTS = Path(__file__).parents[1] / "results" / "confidence.jsonl"
NAMES = ("digits", "cifar10", "tiny40-resnext26")
COVERAGE, FALSE_ALARMS, SPLITS, SIZE_PX, FAR = 0.9, 0.05, 20, 32, 1000
#: An error above this must be halved.
DISHONEST = 0.03
#: Classes of Tiny ImageNet that resemble one of CIFAR-10's: frogs, birds, dogs, cats, hoofed animals, cars,
#: lorries, ships, aircraft.
RESEMBLING = frozenset(
    """n01641577 n01644900 n01855672 n02002724 n02056570 n02058221 n02085620 n02094433 n02099601 n02099712
    n02106662 n02113799 n02123045 n02123394 n02124075 n02125311 n02129165 n02395406 n02403003 n02410509
    n02415577 n02423022 n02437312 n02814533 n02917067 n03100240 n03126707 n03393912 n03444034 n03447447
    n03649909 n03662601 n03670208 n03796401 n03977966 n04008634 n04146614 n04285008 n04465501
    n04487081""".split()
)


def judged(run: Path) -> tuple[Classifier, str, ImageDataset]:
    """The network of a run at temperature 1, and the images that judge it."""
    network, contract = open_network(run)
    data = RunFolder(run).read_document("environment.json", EnvironmentDocument).data
    splits = read_splits_by_name(data)
    split = "test" if "test" in splits else "val"
    _, images = read_split(data, contract.classes, split, contract.provenance.fingerprint)
    return Classifier(TorchEngine(network, replace(contract, calibration=None))), split, images


def answers(classifier: Classifier, images: ImageDataset) -> NDArray[np.float32]:
    with closing(classifier.classify(images)) as batches:
        return np.concatenate([one.probabilities for one in batches])


def halves(count: int, seed: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    first = np.random.default_rng(seed).permutation(count) % 2 == 0
    return first, ~first


def honesty(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[dict[str, Any], bool]:
    """The calibration error before and after, of images that the temperature was not fitted on."""
    fit = cross_fit(probabilities, labels)
    row: dict[str, Any] = {"temperature": fit.temperature, "images": len(labels)}
    for name, one in (("before", fit.before), ("after", fit.after)):
        row |= {f"ece_{name}": one.ece, f"ece_{name}_interval": list(one.interval)}
        row |= {f"ece_{name}_by_chance": one.by_chance}
    if fit.before.ece > DISHONEST and fit.before.is_resolved:
        return row, fit.after.ece <= fit.before.ece / 2
    return row, fit.after.interval[0] <= fit.before.interval[1]


def sets(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[dict[str, Any], bool]:
    """Coverage and size of the sets of one half, fitted on the other, over random halves; and the size of the
    k likeliest classes that cover as much."""
    covered, sizes, likeliest = [], [], []
    for seed in range(SPLITS):
        fitted, held = halves(len(labels), seed)
        temperature = fit_temperature(probabilities[fitted], labels[fitted])
        honest = soften_probabilities(probabilities, temperature)
        made = in_sets(honest[held], fit_sets(honest[fitted], labels[fitted], COVERAGE))
        own = labels[held]
        covered.append(float(made[np.arange(len(own)), own].mean()))
        sizes.append(float(made.sum(1).mean()))
        ranks = Outcomes.of(honest[held], own).ranks
        likeliest.append(next(k for k in range(1, made.shape[1] + 1) if (ranks < k).mean() >= covered[-1]))
    row: dict[str, Any] = {
        "coverage": float(np.mean(covered)),
        "coverage_spread": [float(min(covered)), float(max(covered))],
        "size": float(np.mean(sizes)),
        "k": float(np.mean(likeliest)),
        "top1": float((probabilities.argmax(1) == labels).mean()),
    }
    # A network that is right more often than was promised covers as much with the likeliest class alone.
    is_right = row["top1"] > COVERAGE - 0.01 or abs(row["coverage"] - COVERAGE) <= 0.01
    return row, bool(is_right and row["size"] <= row["k"] + 1e-9)


def outliers(data: Path) -> Iterator[tuple[str, ImageDataset]]:
    """Images of none of CIFAR-10's classes, by kind."""
    tiny = read_splits(str(data / "tiny-imagenet")).val
    strange = [number for number, name in enumerate(tiny.classes) if name not in RESEMBLING]
    yield "near: Tiny ImageNet", tiny.select(np.flatnonzero(np.isin(tiny.labels, strange)))
    yield "far: digits", read_splits("digits").train
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (FAR, SIZE_PX, SIZE_PX, 3), np.uint8)
    yield "far: noise", UnlabelledImages([Image.fromarray(one) for one in noise])
    yield "far: gratings", UnlabelledImages([grating(random) for _ in range(FAR)])


def grating(random: np.random.Generator) -> Image.Image:
    """Stripes of two colours, at any angle and width."""
    y, x = np.mgrid[:SIZE_PX, :SIZE_PX]
    angle, width, phase = random.uniform(0, np.pi), random.uniform(2, 16), random.uniform(0, 2 * np.pi)
    wave = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / width + phase)[..., None]
    one, other = random.integers(0, 256, (2, 3))
    return Image.fromarray((one + (other - one) * (wave + 1) / 2).astype(np.uint8))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    given = parser.parse_args()
    passed = True

    def keep(experiment: str, arm: str, row: dict[str, Any], is_kept: bool) -> None:
        nonlocal passed
        passed = passed and is_kept
        record = {"kind": "confidence", "experiment": experiment, "arm": arm, "kept": is_kept} | row
        append_record(record | asdict(stamp(cpu_name())), RESULTS)
        print(f"{experiment}, {arm}: {'kept' if is_kept else 'NOT KEPT'} {row}", flush=True)

    for name in NAMES:
        classifier, split, images = judged(given.runs / name)
        probabilities, labels = answers(classifier, images), np.asarray(images.labels)
        for experiment, measure in (("honesty", honesty), ("sets", sets)):
            row, is_kept = measure(probabilities, labels)
            keep(experiment, name, {"split": split} | row, is_kept)
    classifier, _, images = judged(given.runs / "cifar10")
    known = read_splits(str(given.data / "cifar10")).train
    for kind, strange in outliers(given.data):
        calibrator = Calibrator(classifier.network, classifier.contract, COVERAGE, FALSE_ALARMS)
        fit = calibrator.fit(images, strange, known)
        assert fit.contract.calibration is not None
        assert fit.contract.calibration.rejection is not None
        taken = fit.contract.calibration.rejection.score
        areas: dict[str, dict[str, Any]] = {
            trial.rejection.score: {
                "auroc": trial.separation.auroc,
                "interval": list(trial.separation.interval),
                "rejected": trial.rejected.share,
            }
            for trial in fit.trials
        }
        is_kept = areas[taken]["auroc"] >= areas["probability"]["auroc"]
        keep("outliers", kind, {"outliers": len(strange), "taken": taken, "scores": areas}, is_kept)
    return 0 if passed else 4


if __name__ == "__main__":
    sys.exit(main())
