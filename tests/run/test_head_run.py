"""A run that fits the head: features once, a head that scikit-learn would fit, and a model like any other."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from resnext import api
from resnext.data.loaders import evaluation_batches, on_device, training_batches
from resnext.data.sources import read_splits
from resnext.engine import temperature
from resnext.errors import UsageError
from resnext.machine import Machine
from resnext.models import Network
from resnext.recipe import Recipe, RecipeError, TrainOptions, named_recipe, override
from resnext.reporting import compare
from resnext.run import (
    FeatureProgress,
    HeadFitted,
    RunError,
    RunFolder,
    RunStarted,
)
from resnext.run.builders import build_augmentation, build_plan
from resnext.run.evaluator import RunEvaluator
from resnext.run.setup import check_recipe
from resnext.statistics import Rate

pytestmark = pytest.mark.usefixtures("no_reports")
TRAIN, VAL, VIEWS = 33, 9, 3
RECIPE = override(named_recipe("probe"), epochs=VIEWS, batch=4)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, make_folder: Any) -> Path:
    """Three classes that overlap, so that no head is perfect."""
    root: Path = tmp_path_factory.mktemp("pets")
    make_folder(root / "train", {"ant": 15, "bee": 10, "cat": 8}, (40, 32))
    make_folder(root / "val", {"ant": 3, "bee": 3, "cat": 3}, (40, 32))
    for number, path in enumerate(sorted((root / "train").rglob("*.png"))):
        if number % 5 == 0:  # some lie in the wrong folder
            path.rename(path.with_name(f"x{number}.png").parent.parent / "ant" / f"x{number}.png")
    return root


@pytest.fixture(scope="module")
def weights(data: Path, tmp_path_factory: pytest.TempPathFactory, no_reports: None) -> Path:
    recipe = override(named_recipe("small"), model="resnext11_2x4d+template=8", epochs=1, batch=8)
    return api.train(data, recipe, runs=tmp_path_factory.mktemp("runs")).folder


@pytest.fixture(scope="module")
def whole(data: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory, no_reports: None) -> Path:
    """The undisturbed run."""
    return api.train(data, RECIPE, name="whole", runs=tmp_path_factory.mktemp("runs"), weights=weights).folder


def rows_of(folder: Path) -> np.ndarray[Any, np.dtype[np.float32]]:
    width = api.load(folder, "cpu").network.num_features
    return np.fromfile(folder / "features" / "rows.f32", "<f4").reshape(-1, width)


def outcome(folder: Path) -> list[Any]:
    """Everything a run leads to but times, and the commands that led to it."""
    lines = [
        {name: value for name, value in line.items() if name != "seconds"}
        for line in RunFolder(folder).metrics()
    ]
    metrics = api.Run(folder).result["metrics"]
    tensors = load_file(folder / "model" / "model.safetensors")
    state = {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}
    names = ("features/rows.f32", "predictions/val.parquet", "config.toml")
    return [lines, metrics, state, *((folder / name).read_bytes() for name in names)]


def test_the_rows_are_val_then_each_view_of_train_as_the_loaders_give_them(data: Path, whole: Path) -> None:
    classifier = api.load(whole, "cpu")
    run, contract, splits = api.Run(whole), classifier.contract, read_splits(str(data))
    plan = build_plan(run.recipe, splits.train)
    augmentation = build_augmentation(run.recipe, contract)
    expected = []
    for batches in (
        evaluation_batches(splits.val, contract.resize, 4, 0),
        evaluation_batches(splits.train, contract.resize, 4, 0),
        training_batches(splits.train, augmentation, plan, plan.steps_per_epoch, 0),
    ):
        for batch in on_device(batches, contract, torch.device("cpu")):
            with torch.inference_mode():
                expected.append(classifier.network.forward_features(batch.images).mean((2, 3)).numpy())
    assert plan.steps_per_epoch == -(-TRAIN // 4)
    np.testing.assert_allclose(rows_of(whole), np.concatenate(expected), atol=1e-5)
    views = rows_of(whole)[VAL:].reshape(VIEWS, TRAIN, -1)
    assert not np.allclose(views[0], views[1], atol=1e-3)
    assert not np.allclose(views[1], views[2], atol=1e-3)


def test_the_head_is_the_one_that_scikit_learn_fits_on_the_kept_features(data: Path, whole: Path) -> None:
    splits, rows = read_splits(str(data)), rows_of(whole).astype(np.float64)
    labels = np.tile(splits.train.labels, VIEWS)
    run = api.Run(whole)
    metrics = RunFolder(whole).epoch_metrics()
    errors = [(line["val_top1_error"], line["val_loss"]) for line in metrics]
    best = run.result["metrics"]["best_epoch"] - 1
    assert errors[best] == min(errors)
    scaler = StandardScaler().fit(rows[VAL:])
    other = LogisticRegression(C=1 / (metrics[best]["penalty"] * len(labels)), tol=1e-8, max_iter=10_000)
    other.fit(scaler.transform(rows[VAL:]), labels)
    head = api.load(whole, "cpu").network.fc
    assert isinstance(head, torch.nn.Linear)
    np.testing.assert_allclose(head.weight.detach().numpy() * scaler.scale_, other.coef_, atol=2e-3)
    right = int((other.predict(scaler.transform(rows[:VAL])) == splits.val.labels).sum())
    low, high = Rate(right, VAL).interval
    assert low <= 1 - errors[best][0] / 100 <= high


def test_the_model_is_the_network_with_that_head(data: Path, weights: Path, whole: Path) -> None:
    """Its logits are the head on the kept features, and nothing else of the weights has changed."""
    made, given = api.load(whole, "cpu"), api.load(weights, "cpu").network.state_dict()
    state = made.network.state_dict()
    assert all(torch.equal(state[name], given[name]) for name in state if not name.startswith("fc."))
    with torch.no_grad():
        logits = made.network.fc(torch.from_numpy(rows_of(whole)[:VAL]))
        shares = (logits / temperature(made.contract)).softmax(1)
    val = read_splits(str(data)).val
    for row, one in zip(shares, made.predict([val.open(i) for i in range(VAL)]), strict=True):
        by_name = dict(zip(made.contract.classes, row.tolist(), strict=True))
        assert dict(one.ranking) == pytest.approx(by_name, abs=1e-5)
    assert api.evaluate(whole, data, split="val").scores.top1_error == pytest.approx(
        api.Run(whole).result["metrics"]["val"]["top1_error"]
    )
    assert compare([weights, whole]).images == VAL


def events_of(data: Path, recipe: Recipe = RECIPE, **options: Any) -> list[Any]:
    events: list[Any] = []
    api.train(data, recipe, on_event=events.append, **options)
    return events


@pytest.mark.parametrize("after", [1, 3, 12, 13, 19, 28, 31])
def test_a_run_that_is_left_anywhere_goes_on_to_the_same_bits(
    after: int, data: Path, weights: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some of its events, in each part of it; no view of an image is computed twice."""
    passes = []
    forward = Network.forward_features
    monkeypatch.setattr(Network, "forward_features", lambda own, x: passes.append(len(x)) or forward(own, x))
    monkeypatch.setattr(RunEvaluator, "conclude", counted_apart(RunEvaluator.conclude, passes))
    options = {"name": "x", "runs": tmp_path, "weights": weights}
    events = api.train_events(data, RECIPE, TrainOptions(**options))
    told = 0
    for event in events:
        told += isinstance(event, FeatureProgress | HeadFitted)
        if told == after:
            break
    events.close()
    api.train(data, RECIPE, resume="must", **options)
    assert outcome(tmp_path / "x") == outcome(whole)
    assert sum(passes) == VAL + VIEWS * TRAIN


def counted_apart(method: Any, passes: list[int]) -> Any:
    """`method`, whose images are not counted in `passes`."""

    def conclude(*args: Any) -> Any:
        before = len(passes)
        try:
            return method(*args)
        finally:
            del passes[before:]

    return conclude


def test_a_process_that_is_killed_or_stopped_goes_on_to_the_same_bits(
    data: Path, weights: Path, whole: Path, tmp_path: Path
) -> None:
    words = [sys.executable, "-m", "resnext", "train", str(data), "--recipe", "probe", "--epochs", str(VIEWS)]
    words += ["--batch", "4", "--weights", str(weights), "--runs", str(tmp_path), "--name", "x"]
    words += ["--workers", "0", "--resume", "auto"]
    rows = tmp_path / "x" / "features" / "rows.f32"
    one_thread = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    for number, code in ((signal.SIGKILL, -9), (signal.SIGTERM, 75)):
        before = rows.stat().st_size if rows.exists() else 0
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, env=one_thread) as process:
            while process.poll() is None and not (rows.exists() and rows.stat().st_size > before + 4000):
                time.sleep(0.01)
            process.send_signal(number)
        assert process.returncode == code
    api.train(data, RECIPE, name="x", runs=tmp_path, weights=weights, resume="must")
    assert outcome(tmp_path / "x") == outcome(whole)


def test_more_epochs_add_views_to_those_that_are_kept(data: Path, weights: Path, tmp_path: Path) -> None:
    options = {"name": "x", "runs": tmp_path, "weights": weights}
    api.train(data, override(RECIPE, epochs=1), **options)
    events = events_of(data, resume="auto", **options)
    computed = [event.computed for event in events if isinstance(event, FeatureProgress)]
    assert computed[-1] == (VIEWS - 1) * TRAIN
    assert len(rows_of(tmp_path / "x")) == VAL + VIEWS * TRAIN
    assert outcome(tmp_path / "x") == outcome(
        api.train(data, RECIPE, name="y", runs=tmp_path, weights=weights).folder
    )


def test_balanced_classes_weigh_the_same_in_the_head(data: Path, weights: Path, tmp_path: Path) -> None:
    run = api.train(data, override(RECIPE, data__balance="weights"), runs=tmp_path, weights=weights)
    labels = np.tile(read_splits(str(data)).train.labels, VIEWS)
    lines = RunFolder(run.folder).epoch_metrics()
    best = lines[run.result["metrics"]["best_epoch"] - 1]
    assert best["val_balanced_error"] == min(line["val_balanced_error"] for line in lines)
    scaler = StandardScaler()
    rows = scaler.fit_transform(rows_of(run.folder)[VAL:].astype(np.float64))
    other = LogisticRegression(
        C=1 / (best["penalty"] * len(labels)), class_weight="balanced", tol=1e-8, max_iter=10_000
    ).fit(rows, labels)
    head = api.load(run.folder, "cpu").network.fc
    np.testing.assert_allclose(head.weight.detach().numpy() * scaler.scale_, other.coef_, atol=2e-3)


def test_kept_features_of_other_weights_are_refused(
    data: Path, weights: Path, whole: Path, tmp_path: Path
) -> None:
    options = {"name": "x", "runs": tmp_path, "weights": weights}
    events = api.train_events(data, RECIPE, TrainOptions(**options))
    while not isinstance(next(events), FeatureProgress):
        pass
    events.close()
    origin = tmp_path / "x" / "features" / "origin.json"
    other = json.loads(origin.read_text()) | {"weights": "0" * 64}
    origin.write_text(json.dumps(other))
    with pytest.raises(RunError, match=r"features: are of other weights; remove this folder"):
        api.train(data, RECIPE, resume="must", **options)


def test_a_set_that_changed_since_is_refused(
    data: Path, weights: Path, tmp_path: Path, make_folder: Any
) -> None:
    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    options = {"name": "x", "runs": tmp_path, "weights": weights}
    events = api.train_events(copy, RECIPE, TrainOptions(**options))
    while not isinstance(next(events), FeatureProgress):
        pass
    events.close()
    next((copy / "train" / "bee").iterdir()).unlink()
    with pytest.raises(RunError, match="data: images were added, removed or changed"):
        api.train(copy, RECIPE, resume="must", **options)


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"weights": None}, UsageError, "--recipe probe: .*; add --weights resnext50_32x4d"),
        ({"training__lr": 0.3}, RecipeError, "training.lr: has no effect with training.fits = head"),
        ({"training__label_smoothing": 0.1}, RecipeError, "training.label_smoothing: has no effect"),
        ({"data__mixup": 0.2}, RecipeError, "data.mixup: has no effect with training.fits = head"),
        ({"data__balance": "sampler"}, RecipeError, "data.balance: must be none or weights where a head"),
    ],
)
def test_what_no_head_can_follow_is_refused(
    changes: dict[str, Any], error: type[Exception], says: str, data: Path, weights: Path, tmp_path: Path
) -> None:
    with pytest.raises(error, match=says):
        api.train(data, "probe", **({"runs": tmp_path / "runs", "weights": weights} | changes))
    assert not (tmp_path / "runs").exists()


def test_streams_and_several_processes_are_refused(
    data: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = Machine(torch.device("cpu"), "", False)
    with pytest.raises(UsageError, match="runs as one process: start it without the launcher"):
        check_recipe(RECIPE, cpu, 2, has_weights=True)
    stream = read_splits(str(data)).train
    stream.window = 10
    with pytest.raises(RecipeError, match=r"a stream is not: fine-tune instead \(--recipe finetune\)"):
        build_plan(RECIPE, stream)


def test_a_class_with_one_image_is_told(weights: Path, tmp_path: Path, make_folder: Any) -> None:
    make_folder(tmp_path / "data" / "train", {"ant": 6, "bee": 1})
    make_folder(tmp_path / "data" / "val", {"ant": 2, "bee": 2})
    events = events_of(tmp_path / "data", weights=weights, runs=tmp_path)
    [started] = [event for event in events if isinstance(event, RunStarted)]
    assert "with one training image: bee; views of it are all they learn from" in started.text()
