"""Each row of docs/reliability.md: bad input gets a clear error, and nothing is lost."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from resnext import api
from resnext.cli import main
from resnext.data.pictures import Loose
from resnext.machine import DeviceError
from resnext.recipe import RECIPES, Recipe, named_recipe, override
from resnext.training import checkpoints

pytestmark = pytest.mark.usefixtures("no_reports")
QUICK = ["--model", "resnet11+template=8", "--epochs", "1", "--batch", "8"]


def run(*words: object) -> int:
    return main([str(word) for word in words])


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory, make_folder: Any) -> Path:
    """A set of three classes with train and val."""
    root: Path = tmp_path_factory.mktemp("colours")
    make_folder(root / "train", {"a": 8, "b": 8, "c": 8})
    make_folder(root / "val", {"a": 2, "b": 2, "c": 2})
    return root


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, colours: Path, no_reports: None) -> Path:
    """A finished run on it."""
    runs = tmp_path_factory.mktemp("runs")
    assert run("train", colours, "--runs", runs, "--name", "x", *QUICK) == 0
    return runs / "x"


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("missing", "there is no such folder"),
        ("empty", "is empty"),
        ("one class", "only one class, 'a'"),
        ("class without pictures", "class 'b' has no pictures"),
        ("val with another class", "'z', which train lacks"),
    ],
)
def test_folders_that_cannot_be_trained_on(
    broken: str, says: str, tmp_path: Path, make_folder: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    if broken == "empty":
        data.mkdir()
    elif broken == "one class":
        make_folder(data, {"a": 5})
    elif broken == "class without pictures":
        make_folder(data, {"a": 5, "b": 0})
    elif broken == "val with another class":
        make_folder(data / "train", {"a": 5, "b": 5})
        make_folder(data / "val", {"a": 1, "z": 1})
    assert run("train", data, "--runs", tmp_path / "runs") == 3
    error = capsys.readouterr().err
    assert says in error
    assert str(data) in error
    assert not (tmp_path / "runs").exists()


def test_classes_are_matched_by_name_where_val_lacks_some(tmp_path: Path, make_folder: Any) -> None:
    names = ["1", "2", "10", "a", "B"]
    data = make_folder(tmp_path / "data" / "train", dict.fromkeys(names, 6)).parent
    for name in ("2", "a"):  # pictures of val are those of train, so right labels mean a low error
        (data / "val").mkdir(exist_ok=True)
        (data / "train" / name).rename(data / "val" / name)
        make_folder(data / "train", dict.fromkeys(names, 6))
    assert run("train", data, "--runs", tmp_path, "--name", "x", *QUICK) == 0
    contract = json.loads((tmp_path / "x" / "contract.json").read_text())
    assert contract["classes"] == ["1", "10", "2", "B", "a"]
    evaluation = api.evaluate(tmp_path / "x", data, split="val")
    truth = {key: Path(key).parts[0] for key in evaluation.keys}
    named = {k: contract["classes"][i] for k, i in zip(evaluation.keys, evaluation.labels, strict=True)}
    assert named == truth


def test_unreadable_pictures_stop_before_training_or_are_left_out(
    tmp_path: Path, make_folder: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_folder(tmp_path / "data", {"a": 10, "b": 10})
    whole = (data / "a" / "0.png").read_bytes()
    (data / "a" / "0.png").write_bytes(whole[: len(whole) // 2])
    (data / "b" / "text.jpg").write_text("not a picture")
    assert run("train", data, "--runs", tmp_path / "runs") == 3
    error = capsys.readouterr().err
    assert "2 pictures cannot be read" in error
    assert "0.png" in error
    assert "text.jpg" in error
    assert not (tmp_path / "runs").exists()

    assert run("train", data, "--runs", tmp_path, "--name", "x", "--on-bad", "skip", *QUICK) == 0
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


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["train", "digits", "--epoch", "3"], "--epochs"),
        (["train", "digits", "--training.learning-rate", "3"], "--training"),
        (["train", "digits", "--model", "resnxt50_32x4d"], "resnext50_32x4d"),
        (["train", "digits", "--recipe", "smal"], "small"),
        (["train", "digits", "--recipe", "small", "--config", "x.toml"], "no effect with --config"),
        (["models", "resnext51_32x4"], "resnext50_32x4d"),
        (["trian", "digits"], "train"),
        (["train", "digits", "--workers", "-1"], "at least 0"),
        (["train", "digits", "--name", "a/b"], "--runs"),
        (["train", "digits", "--resume", "must"], "--name"),
        (["train", "digits", "--new-head"], "--weights"),
        (["train", "digits", "--recipe", "finetune"], "give --weights"),
        (["train", "digits", "--training.frozen", "2"], "give --weights"),
        (["train", "digits", "--data.magnitude", "3"], "no effect with data.policy = none"),
        (["recipes", "imagenet-moden"], "imagenet-modern"),
        (["train", "digits", "--checkpoint-every", "often"], "10min"),
        (["predict", "model"], "PICTURES"),
        (["predict", "model", "x.png", "--top", "0"], "at least 1"),
        (["predict", "model", "x.png", "--out", "none/x.csv"], "there is no folder none"),
        (["evaluate", "model", "digits", "--json", "none/x.json"], "there is no folder none"),
    ],
)
def test_near_misses_get_the_nearest_valid_words(
    words: list[str],
    near: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    captured = capfd.readouterr()
    assert near in captured.err + captured.out
    assert list(tmp_path.iterdir()) == []


def test_weights_of_another_class_count_need_a_new_head(
    trained: Path, tmp_path: Path, make_folder: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_folder(tmp_path / "data", {"a": 10, "b": 10})
    words = ["train", data, "--runs", tmp_path, "--name", "y", "--weights", trained / "model", *QUICK]
    assert run(*words) == 4
    error = capsys.readouterr().err
    assert "fc.weight" in error
    assert "--new-head" in error
    assert not (tmp_path / "y").exists()
    assert run(*words, "--new-head") == 0

    other = ["--model", "resnet20+template=8"]
    assert run(*words, "--new-head", "--name", "z", *other) == 4
    error = capsys.readouterr().err
    assert "missing in the file" in error
    assert "layer1.1.conv1.weight" in error


def _files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_is_never_overwritten(
    trained: Path, colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _files(trained)
    assert run("train", colours, "--runs", trained.parent, "--name", "x", *QUICK) == 2
    assert "--resume" in capsys.readouterr().err
    assert run("train", colours, "--runs", trained.parent, "--name", "x", "--resume", "auto", *QUICK) == 0
    assert "finished already" in capsys.readouterr().out
    changed = ["--runs", trained.parent, "--name", "x", "--resume", "must", *QUICK, "--seed", "5"]
    assert run("train", colours, *changed) == 2
    assert "seed: 5 now, 0 in the run" in capsys.readouterr().err
    for name, says in (("b", "data: pictures were added"), ("d", "classes: 4 now, 3 in the run")):
        shutil.copytree(colours, tmp_path / name)
        (tmp_path / name / "train" / name).mkdir(exist_ok=True)
        shutil.copy(colours / "train" / "b" / "0.png", tmp_path / name / "train" / name / "more.png")
        assert run("train", tmp_path / name, *changed[:-2]) == 2
        assert says in capsys.readouterr().err
    assert _files(trained) == before


def test_a_full_disk_leaves_the_checkpoint_before(
    colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
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


def test_no_permission_to_write(colours: Path, trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
            code = run("train", root / "data", "--runs", root / "runs", *QUICK)
        finally:
            os.seteuid(user)
            (root / "runs").chmod(0o755)
            for path in (root, *root.rglob("*")):
                path.chmod(0o755)
    assert code == 5
    assert "no permission" in capsys.readouterr().err


def test_runs_that_is_a_file(colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "runs").write_text("")
    assert run("train", colours, "--runs", tmp_path / "runs" / "x", *QUICK) == 2
    assert "is not a folder" in capsys.readouterr().err


def test_a_loss_that_is_not_finite_keeps_the_last_good_state(
    colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
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


def test_predictions_are_the_same_by_every_way(
    trained: Path, colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
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
        assert run("predict", trained, path, "--out", tmp_path / f"out.{kind}") == 0
    (told,) = csv.DictReader((tmp_path / "out.csv").read_text().splitlines())
    assert (told["picture"], told["label"]) == (str(path), answers[0].label)
    assert float(told["probability"]) == pytest.approx(answers[0].probability, rel=1e-5)
    assert {name: float(told[f"p({name})"]) for name, _ in answers[0].ranking} == pytest.approx(
        dict(answers[0].ranking), rel=1e-5
    )
    row = pq.read_table(tmp_path / "out.parquet").to_pylist()[0]
    line = json.loads((tmp_path / "out.jsonl").read_text())
    assert row["label"] == line["label"] == answers[0].label
    assert np.allclose(row["probabilities"], list(dict(sorted(answers[0].ranking)).values()))
    assert run("predict", trained, path, "--out", tmp_path / "out.xml") == 2


def test_the_pictures_a_model_was_trained_on_do_not_judge_it(tmp_path: Path, make_folder: Any) -> None:
    data = make_folder(tmp_path / "data", {"a": 20, "b": 20})
    assert run("train", data, "--runs", tmp_path, "--name", "x", *QUICK) == 0
    assert api.evaluate(tmp_path / "x", data).split == "test"
    assert api.evaluate(tmp_path / "x", data).scores.count == 4
    make_folder(data, {"a": 21, "b": 20})  # other pictures: all of them are new as far as we know
    assert api.evaluate(tmp_path / "x", data).scores.count == 41


def test_a_handful_of_pictures_trains_without_a_test_split(tmp_path: Path, make_folder: Any) -> None:
    data = make_folder(tmp_path / "data", {"a": 4, "b": 4})
    words = ["--runs", tmp_path, "--name", "x", "--model", "resnet11+template=8", "--epochs", "1"]
    assert run("train", data, *words) == 0
    assert set(api.Run(tmp_path / "x").result["metrics"]) == {"val", "best_epoch"}


def test_resuming_a_folder_that_is_no_run_removes_nothing(
    colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    assert run("train", colours, "--runs", tmp_path, "--name", "mine", "--resume", "auto", *QUICK) == 2
    assert "is no run" in capsys.readouterr().err
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
    assert run("train", colours, "--runs", tmp_path, "--name", "../mine", *QUICK) == 2

    (tmp_path / "died" / "checkpoints").mkdir(parents=True)  # before its first step
    (tmp_path / "died" / "config.toml").write_text("")
    assert run("train", colours, "--runs", tmp_path, "--name", "died", "--resume", "auto", *QUICK) == 0


def test_a_run_that_died_before_it_could_mark_its_best(colours: Path, tmp_path: Path) -> None:
    words = ["train", colours, "--runs", tmp_path, "--name", "x", "--resume", "auto", *QUICK]
    assert run(*words) == 0
    weights = load_file(tmp_path / "x" / "model" / "model.safetensors")
    for lost in ("checkpoints/best.safetensors", "result.json", "model/config.json"):
        (tmp_path / "x" / lost).unlink()
    assert run(*words) == 0
    again = load_file(tmp_path / "x" / "model" / "model.safetensors")
    assert all(torch.equal(tensor, weights[name]) for name, tensor in again.items())


def test_fine_tuning_takes_the_network_of_the_weights(
    trained: Path, tmp_path: Path, make_folder: Any
) -> None:
    data = make_folder(tmp_path / "data", {"x": 10, "y": 10})
    words = ["--weights", trained, "--new-head", "--epochs", "1", "--runs", tmp_path, "--name", "y"]
    assert run("train", data, *words) == 0
    assert api.Run(tmp_path / "y").recipe.model == "resnet11+template=8"


def test_more_views_of_each_picture(trained: Path, colours: Path, tmp_path: Path) -> None:
    """Mirrored pictures change nothing once mirror images are averaged in; one view is not enough for it."""
    picture = Image.open(colours / "val" / "a" / "0.png")
    mirrored = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    classifier, pair = api.load(trained), Loose([picture, mirrored])
    for views, equal in (("one", False), ("flip", True), ("ten", True)):
        answers = next(classifier.classify(pair, views=views)).probabilities
        assert np.allclose(answers[0], answers[1], atol=1e-6) == equal
        assert np.allclose(answers.sum(1), 1, atol=1e-5)
    assert run("evaluate", trained, colours, "--views", "ten", "--json", tmp_path / "ten.json") == 0
    assert json.loads((tmp_path / "ten.json").read_text())["count"] == 6


def test_recipes_are_listed_and_can_be_given_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("recipes") == 0
    text = capsys.readouterr().out
    for name in RECIPES:
        assert f"\n{name}\n" in "\n" + text
        assert run("recipes", name) == 0
        assert Recipe.from_toml(capsys.readouterr().out) == named_recipe(name)


@pytest.mark.parametrize(("verb", "code"), [("models", 0), ("train", 75)])
def test_output_that_nobody_reads(
    verb: str, code: int, colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in `resnext models | head -1`: no error; but a run that was left so can be gone on with."""
    words = {"models": [], "train": [colours, "--runs", tmp_path, "--name", "x", *QUICK]}
    ours, theirs = os.pipe()
    os.close(ours)
    with monkeypatch.context() as patch, open(theirs, "w") as closed:
        patch.setattr(sys, "stdout", closed)
        assert run(verb, *words[verb]) == code
    if verb == "train":
        assert json.loads((tmp_path / "x" / "status.json").read_text())["state"] == "resumable"
        assert run("train", colours, "--runs", tmp_path, "--name", "x", "--resume", "must", *QUICK) == 0


def test_the_other_verbs_of_the_readme(
    trained: Path, colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("index", colours, tmp_path / "colours.index") == 0
    capsys.readouterr()
    assert run("evaluate", trained, tmp_path / "colours.index", "--json", "-") == 0
    assert json.loads(capsys.readouterr().out)["count"] == 6
    words = ["predict", trained, colours / "val" / "a", str(colours / "val" / "*" / "0.png")]
    assert run(*words, "--out", tmp_path / "many.jsonl") == 0
    assert len((tmp_path / "many.jsonl").read_text().splitlines()) == 2 + 3


def test_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = override(named_recipe("small"), model="resnet11+template=8", epochs=1)
    monkeypatch.setattr("resnext.cli.actions.named_recipe", lambda _: quick)
    assert run("demo", "--runs", tmp_path) == 0
    said = capsys.readouterr().out
    assert "of 540 test pictures are right" in said
    assert said.count(", in truth ") == 3


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 5, "out of memory"),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate"), 5, "out of memory"),
        (DeviceError("--device cuda: cannot be used here"), 5, "--device cuda"),
        (OSError(errno.ENOSPC, "No space left on device", "x.bin"), 5, "x.bin: no space left"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x.bin"), 2, "x.bin: no such file"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_errors_become_exit_codes(
    error: BaseException,
    code: int,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr("resnext.cli.actions.models", fail)
    assert run("models") == code
    assert says in capsys.readouterr().err


def test_an_error_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("resnext.cli.actions.models", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        run("models")
