"""`resnext train`: bad input gets a clear error, and nothing is lost (docs/reliability.md)."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import resnext
from resnext import api
from resnext.training import checkpoints

pytestmark = pytest.mark.usefixtures("no_reports")


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("missing", "there is no such folder"),
        ("empty", "is empty"),
        ("one class", "only one class, 'a'"),
        ("class without images", "class 'b' has no images"),
        ("val with another class", "'z', which train lacks"),
    ],
)
def test_folders_that_cannot_be_trained_on(
    broken: str,
    says: str,
    tmp_path: Path,
    make_folder: Any,
    capsys: pytest.CaptureFixture[str],
    run: Callable[..., int],
) -> None:
    data = tmp_path / "data"
    if broken == "empty":
        data.mkdir()
    elif broken == "one class":
        make_folder(data, {"a": 5})
    elif broken == "class without images":
        make_folder(data, {"a": 5, "b": 0})
    elif broken == "val with another class":
        make_folder(data / "train", {"a": 5, "b": 5})
        make_folder(data / "val", {"a": 1, "z": 1})
    assert run("train", data, "--runs", tmp_path / "runs") == 3
    error = capsys.readouterr().err
    assert says in error
    assert str(data) in error
    assert not (tmp_path / "runs").exists()


def test_classes_are_matched_by_name_where_val_lacks_some(
    tmp_path: Path, make_folder: Any, run: Callable[..., int], quick: list[str]
) -> None:
    names = ["1", "2", "10", "a", "B"]
    data = make_folder(tmp_path / "data" / "train", dict.fromkeys(names, 6)).parent
    for name in ("2", "a"):  # images of val are those of train, so right labels mean a low error
        (data / "val").mkdir(exist_ok=True)
        (data / "train" / name).rename(data / "val" / name)
        make_folder(data / "train", dict.fromkeys(names, 6))
    assert run("train", data, "--runs", tmp_path, "--name", "x", *quick) == 0
    contract = json.loads((tmp_path / "x" / "contract.json").read_text())
    assert contract["classes"] == ["1", "10", "2", "B", "a"]
    evaluation = api.evaluate(tmp_path / "x", data, split="val")
    truth = {key: Path(key).parts[0] for key in evaluation.keys}
    named = {k: contract["classes"][i] for k, i in zip(evaluation.keys, evaluation.labels, strict=True)}
    assert named == truth


def test_unreadable_pictures_stop_before_training_or_are_left_out(
    tmp_path: Path,
    make_folder: Any,
    capsys: pytest.CaptureFixture[str],
    run: Callable[..., int],
    quick: list[str],
) -> None:
    data = make_folder(tmp_path / "data", {"a": 10, "b": 10})
    whole = (data / "a" / "0.png").read_bytes()
    (data / "a" / "0.png").write_bytes(whole[: len(whole) // 2])
    (data / "b" / "text.jpg").write_text("no image")
    assert run("train", data, "--runs", tmp_path / "runs") == 3
    error = capsys.readouterr().err
    assert "2 images cannot be read" in error
    assert "0.png" in error
    assert "text.jpg" in error
    assert not (tmp_path / "runs").exists()

    assert run("train", data, "--runs", tmp_path, "--name", "x", "--on-bad", "skip", *quick) == 0
    assert "text.jpg" in capsys.readouterr().out
    skipped = json.loads((tmp_path / "x" / "data.json").read_text())["skipped"]
    assert sum(map(len, skipped.values())) == 2

    assert run("predict", tmp_path / "x", data) == 3
    assert "cannot be decoded" in capsys.readouterr().err
    out = tmp_path / "answers.csv"
    assert run("predict", tmp_path / "x", data, "--on-bad", "skip", "--out", out) == 0
    assert len(out.read_text().splitlines()) == 1 + 19
    assert run("evaluate", tmp_path / "x", data) == 3
    assert run("evaluate", tmp_path / "x", data, "--on-bad", "skip") == 0


def test_weights_of_other_classes_get_a_new_head(
    trained: Path,
    tmp_path: Path,
    make_folder: Any,
    capsys: pytest.CaptureFixture[str],
    run: Callable[..., int],
    quick: list[str],
) -> None:
    data = make_folder(tmp_path / "data", {"a": 10, "b": 10})
    words = ["train", data, "--runs", tmp_path, "--name", "y", "--weights", trained / "model", *quick]
    assert run(*words) == 0
    said = capsys.readouterr().out
    assert "chosen     recipe = finetune  (weights are given" in said
    assert "chosen     head = new  (the weights tell 3 classes apart, among them 2 of these)" in said
    assert "chosen     data.size_px = 16  (the weights' own size)" in said
    assert api.Run(tmp_path / "y").recipe.training.layer_decay == 0.7

    other = ["--model", "resnet20+template=8"]
    assert run(*words, "--new-head", "--name", "z", *other) == 4
    error = capsys.readouterr().err
    assert "missing in the file" in error
    assert "layer1.1.conv1.weight" in error


def _files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_is_never_overwritten(
    trained: Path,
    colours: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    run: Callable[..., int],
    quick: list[str],
) -> None:
    before = _files(trained)
    assert run("train", colours, "--runs", trained.parent, "--name", "x", *quick) == 2
    assert "--resume" in capsys.readouterr().err
    assert run("train", colours, "--runs", trained.parent, "--name", "x", "--resume", "auto", *quick) == 0
    assert "finished already" in capsys.readouterr().out
    changed = ["--runs", trained.parent, "--name", "x", "--resume", "must", *quick, "--seed", "5"]
    assert run("train", colours, *changed) == 2
    assert "seed: 5 now, 0 in the run" in capsys.readouterr().err
    for name, says in (("b", "data: images were added"), ("d", "classes: 4 now, 3 in the run")):
        shutil.copytree(colours, tmp_path / name)
        (tmp_path / name / "train" / name).mkdir(exist_ok=True)
        shutil.copy(colours / "train" / "b" / "0.png", tmp_path / name / "train" / name / "more.png")
        assert run("train", tmp_path / name, *changed[:-2]) == 2
        assert says in capsys.readouterr().err
    assert _files(trained) == before


def test_a_full_disk_leaves_the_checkpoint_before(
    colours: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    run: Callable[..., int],
) -> None:
    real, calls = checkpoints.save_file, 0

    def save_file(tensors: Any, path: Path, metadata: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            Path(path).write_bytes(b"half of it")
            raise checkpoints.SafetensorError("No space left on device (os error 28)")
        real(tensors, path, metadata)

    monkeypatch.setattr(checkpoints, "save_file", save_file)
    words = ["train", colours, "--runs", tmp_path, "--name", "x", "--model", "resnet11+template=8"]
    words += ["--epochs", "4", "--batch", "8"]
    assert run(*words) == 5
    assert "No space left" in capsys.readouterr().err
    assert {p.name for p in (tmp_path / "x" / "checkpoints").iterdir()} <= {
        "last.safetensors",
        "previous.safetensors",
        "best.safetensors",
    }
    monkeypatch.undo()
    assert run(*words, "--resume", "auto") == 0
    assert "resuming   at step 6 of 12" in capsys.readouterr().out


def test_no_permission_to_write(
    colours: Path,
    trained: Path,
    capsys: pytest.CaptureFixture[str],
    run: Callable[..., int],
    quick: list[str],
) -> None:
    # `trained` has imported all modules: another user may not be allowed to read them.
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shutil.copytree(colours, root / "data")
        (root / "runs").mkdir()
        for path in (root, *root.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)  # the superuser may write everywhere
        try:
            code = run("train", root / "data", "--runs", root / "runs", *quick)
        finally:
            os.seteuid(user)
            (root / "runs").chmod(0o755)
            for path in (root, *root.rglob("*")):
                path.chmod(0o755)
    assert code == 5
    assert "no permission" in capsys.readouterr().err


def test_runs_that_is_a_file(
    colours: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    run: Callable[..., int],
    quick: list[str],
) -> None:
    (tmp_path / "runs").write_text("")
    assert run("train", colours, "--runs", tmp_path / "runs" / "x", *quick) == 2
    assert "is not a folder" in capsys.readouterr().err


def test_a_loss_that_is_not_finite_keeps_the_last_good_state(
    colours: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    run: Callable[..., int],
) -> None:
    from resnext.training import loop

    real, calls = loop.F.cross_entropy, 0

    def cross_entropy(*args: Any, **options: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        loss: torch.Tensor = real(*args, **options)
        return loss * float("nan") if calls == 8 else loss

    monkeypatch.setattr(loop.F, "cross_entropy", cross_entropy)
    words = [
        "--runs",
        tmp_path,
        "--name",
        "x",
        "--model",
        "resnet11+template=8",
        "--epochs",
        "4",
        "--batch",
        "8",
        "--checkpoint-every",
        "1",
    ]
    assert run("train", colours, *words) == 4
    error = capsys.readouterr().err
    assert "not finite at step 8" in error
    assert "--training.lr" in error
    kept = tmp_path / "x" / "checkpoints" / "last.safetensors"
    with safe_open(kept, framework="pt") as file:
        assert json.loads(file.metadata()["resnext"])["step"] == 7
    assert all(tensor.isfinite().all() for tensor in load_file(kept).values() if tensor.is_floating_point())


def test_a_handful_of_pictures_trains_without_a_test_split(
    tmp_path: Path, make_folder: Any, run: Callable[..., int]
) -> None:
    data = make_folder(tmp_path / "data", {"a": 4, "b": 4})
    words = ["--runs", tmp_path, "--name", "x", "--model", "resnet11+template=8", "--epochs", "1"]
    assert run("train", data, *words) == 0
    assert set(api.Run(tmp_path / "x").result["metrics"]) == {"val", "best_epoch"}


def test_resuming_a_folder_that_is_no_run_removes_nothing(
    colours: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    run: Callable[..., int],
    quick: list[str],
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    assert run("train", colours, "--runs", tmp_path, "--name", "mine", "--resume", "auto", *quick) == 2
    assert "is no run" in capsys.readouterr().err
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
    assert run("train", colours, "--runs", tmp_path, "--name", "../mine", *quick) == 2

    (tmp_path / "died" / "checkpoints").mkdir(parents=True)  # before its first step
    (tmp_path / "died" / "config.toml").write_text("")
    assert run("train", colours, "--runs", tmp_path, "--name", "died", "--resume", "auto", *quick) == 0


def test_a_run_that_died_before_it_could_mark_its_best(
    colours: Path, tmp_path: Path, run: Callable[..., int], quick: list[str]
) -> None:
    words = ["train", colours, "--runs", tmp_path, "--name", "x", "--resume", "auto", *quick]
    assert run(*words) == 0
    weights = load_file(tmp_path / "x" / "model" / "model.safetensors")
    for lost in ("checkpoints/best.safetensors", "result.json", "model/config.json"):
        (tmp_path / "x" / lost).unlink()
    assert run(*words) == 0
    again = load_file(tmp_path / "x" / "model" / "model.safetensors")
    assert all(torch.equal(tensor, weights[name]) for name, tensor in again.items())


def test_fine_tuning_takes_the_network_of_the_weights(
    trained: Path, tmp_path: Path, make_folder: Any, run: Callable[..., int]
) -> None:
    data = make_folder(tmp_path / "data", {"x": 10, "y": 10})
    words = ["--weights", trained, "--new-head", "--epochs", "1", "--runs", tmp_path, "--name", "y"]
    assert run("train", data, *words) == 0
    assert api.Run(tmp_path / "y").recipe.model == "resnet11+template=8"


def test_weights_whose_network_only_the_user_knows(
    tmp_path: Path, make_folder: Any, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """A state dict of a network that its shapes do not tell: --model says it, before and in training."""
    model = "resnext11_1x8d+template=8+transform=separable"
    save_file(resnext.create(model, classes=5).state_dict(), tmp_path / "weights.safetensors")
    data = make_folder(tmp_path / "data", {"x": 10, "y": 10})
    words = ["--weights", tmp_path / "weights.safetensors", "--new-head", "--epochs", "1", "--runs", tmp_path]
    assert run("train", data, *words, "--name", "without") == 4
    assert "are of no ResNet or ResNeXt that is made here" in capsys.readouterr().err
    assert run("train", data, *words, "--name", "with", "--model", model) == 0
    assert api.Run(tmp_path / "with").recipe.model == model
