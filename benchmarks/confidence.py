"""What calibration does to trained networks: honest probabilities, sets, "none of these".

`python benchmarks/confidence.py DATA RUNS`: RUNS has the runs of reference_runs.py, DATA `cifar10` and
`tiny-imagenet`. Of each run the images of test, or of val where there is none, calibrate and are judged in
turns. Promised: a calibration error above 3 % is at least halved, if it is more than chance explains, and no
error grows beyond its interval; over 20 random halves, sets promised for 90 % cover 89 to 91 % in the mean,
and are no larger than the k likeliest classes that cover as much. With 2,000 images (tiny40) chance alone
makes an error of 3 to 4 %, so the same network is trained on all 200 classes too, which have 10,000. Beside
the sets stand MAPIE's adaptive ones (APS: Romano, Sesia and Candes 2020; RAPS: Angelopoulos et al. 2021) of
the same halves.

Then the network of CIFAR-10 meets near outliers (classes of Tiny ImageNet that resemble none of its ten) and
far ones: the score that is chosen is never worse than the largest probability. Appends a record for each to
results/confidence.jsonl and draws the plots of docs/confidence.md; a few minutes. `make test` puts MAPIE into
.oracle.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import oracle  # noqa: F401  # before MAPIE
from confidence_plots import draw_answered, draw_honesty, draw_rejection, draw_sets
from given import Given
from judged import answers, judged
from mapie.classification import SplitConformalClassifier
from numpy.typing import NDArray
from PIL import Image

from resnext.confidence import (
    Separation,
    TemperatureFit,
    cross_fit,
    fit_sets,
    fit_temperature,
    in_sets,
    soften_probabilities,
)
from resnext.data.images import ImageDataset
from resnext.data.sources import read_splits
from resnext.data.stored_images import UnlabelledImages
from resnext.engine import Calibrator
from resnext.machine import cpu_name
from resnext.metrics import Outcomes, RiskCoverage
from resnext.records import append_record, stamp

RESULTS = Path(__file__).parents[1] / "results" / "confidence.jsonl"
NAMES = ("digits", "cifar10", "tiny40-resnext26", "tiny200-resnext26")
COVERAGE, FALSE_ALARMS, SPLITS, SIZE_PX, FAR = 0.9, 0.05, 20, 32, 1000
#: Ways to make sets, as plots call them; all but ours are MAPIE's.
METHODS = {"ours": "ours", "aps": "APS", "raps": "RAPS"}
PROMISES = (0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98)
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


def halves(count: int, seed: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    first = np.random.default_rng(seed).permutation(count) % 2 == 0
    return first, ~first


def honesty(fit: TemperatureFit, images: int) -> tuple[dict[str, Any], bool]:
    """The calibration error before and after, of images that the temperature was not fitted on."""
    row: dict[str, Any] = {"temperature": fit.temperature, "images": images}
    for name, one in (("before", fit.before), ("after", fit.after)):
        row |= {f"ece_{name}": one.ece, f"ece_{name}_interval": list(one.interval)}
        row |= {f"ece_{name}_by_chance": one.by_chance}
    if fit.before.ece > DISHONEST and fit.before.is_resolved:
        return row, fit.after.ece <= fit.before.ece / 2
    return row, fit.after.interval[0] <= fit.before.interval[1]


def made_sets(
    method: str,
    fitted: tuple[NDArray[np.float32], NDArray[np.int64]],
    held: NDArray[np.float32],
    coverage: float,
    seed: int,
) -> NDArray[np.bool_]:
    """(N, classes) the sets of `held`, by `ours` or one of MAPIE's scores."""
    if method == "ours":
        return in_sets(held, fit_sets(*fitted, coverage))
    doubles = [
        one / one.sum(1, keepdims=True) for one in (fitted[0].astype(np.float64), held.astype(np.float64))
    ]
    theirs = SplitConformalClassifier(
        Given(held.shape[1]), coverage, conformity_score=method, prefit=True, random_state=seed
    )
    theirs.conformalize(doubles[0], fitted[1])
    made: NDArray[np.bool_] = theirs.predict_set(doubles[1])[1][..., 0]
    return made


def coverage_and_size(
    method: str, probabilities: NDArray[np.float32], labels: NDArray[np.int64], coverage: float, seed: int
) -> tuple[float, float, float]:
    """Coverage and size of the sets of one random half, fitted on the other; and the size of the k likeliest
    classes that cover as much."""
    fitted, held = halves(len(labels), seed)
    temperature = fit_temperature(probabilities[fitted], labels[fitted])
    honest = soften_probabilities(probabilities, temperature)
    made = made_sets(method, (honest[fitted], labels[fitted]), honest[held], coverage, seed)
    own = labels[held]
    covered = float(made[np.arange(len(own)), own].mean())
    ranks = Outcomes.of(honest[held], own).ranks
    k = next(k for k in range(1, made.shape[1] + 1) if (ranks < k).mean() >= covered)
    return covered, float(made.sum(1).mean()), float(k)


def sets(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[dict[str, Any], bool]:
    """Coverage and size of sets of one half, fitted on the other, over random halves."""
    row: dict[str, Any] = {"top1": float((probabilities.argmax(1) == labels).mean())}
    for method in METHODS:
        made = [coverage_and_size(method, probabilities, labels, COVERAGE, seed) for seed in range(SPLITS)]
        covered, sizes, k = np.transpose(made)
        values = {
            "coverage": float(covered.mean()),
            "coverage_spread": [float(covered.min()), float(covered.max())],
            "size": float(sizes.mean()),
            "k": float(k.mean()),
        }
        row |= values if method == "ours" else {method: values}
    # A network that is right more often than was promised covers as much with the likeliest class alone.
    is_right = row["top1"] > COVERAGE - 0.01 or abs(row["coverage"] - COVERAGE) <= 0.01
    return row, bool(is_right and row["size"] <= row["k"] + 1e-9)


def set_curves(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64]
) -> dict[str, list[tuple[float, float]]]:
    """Coverage and size of sets by method, promised for `PROMISES`, and of the k likeliest classes."""
    curves = {
        METHODS[method]: [
            coverage_and_size(method, probabilities, labels, promise, 0)[:2] for promise in PROMISES
        ]
        for method in METHODS
    }
    ranks = Outcomes.of(probabilities, labels).ranks
    shares = [(float((ranks < k).mean()), float(k)) for k in range(1, probabilities.shape[1] + 1)]
    return curves | {"k likeliest": [one for one in shares if PROMISES[0] - 0.1 <= one[0] <= PROMISES[-1]]}


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

    curves: dict[str, dict[str, list[tuple[float, float]]]] = {}
    answered: dict[str, RiskCoverage] = {}
    for name in NAMES:
        classifier, split, images = judged(given.runs / name)
        probabilities, labels = answers(classifier, images), np.asarray(images.labels)
        fit = cross_fit(probabilities, labels)
        honest = soften_probabilities(probabilities, fit.temperature)
        answered[name] = RiskCoverage.of(Outcomes.of(honest, labels))
        if name == "cifar10":
            draw_honesty(fit.before, fit.after, name)
        if name != "digits":  # whose sets are of one class, whatever is promised
            curves[name] = set_curves(probabilities, labels)
        for experiment, (row, is_kept) in (
            ("honesty", honesty(fit, len(labels))),
            ("sets", sets(probabilities, labels)),
        ):
            keep(experiment, name, {"split": split} | row, is_kept)
    draw_answered(answered)
    draw_sets(curves)
    classifier, _, images = judged(given.runs / "cifar10")
    known = read_splits(str(given.data / "cifar10")).train
    told: dict[str, dict[str, Separation]] = {}
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
        told[kind] = {trial.rejection.score: trial.separation for trial in fit.trials}
        is_kept = areas[taken]["auroc"] >= areas["probability"]["auroc"]
        keep("outliers", kind, {"outliers": len(strange), "taken": taken, "scores": areas}, is_kept)
    draw_rejection(told)
    return 0 if passed else 4


if __name__ == "__main__":
    sys.exit(main())
