"""A run that is stopped, killed or damaged ends with the bits of the undisturbed one."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from resnext import api
from resnext.data.sources import STREAM_NOTE
from resnext.recipe import Recipe, RecipeError, TrainOptions, named_recipe, override
from resnext.run import (
    DecodeProgress,
    EpochEnd,
    Run,
    RunError,
    RunFinished,
    RunStarted,
    RunTaken,
    StepEnd,
    Stopped,
    evaluator,
)
from resnext.run.evaluation import evaluate_images
from resnext.training.loop import Diverged
from resnext.weights import WeightsError

pytestmark = pytest.mark.usefixtures("no_reports")
RECIPE = override(named_recipe("small"), model="resnet11+template=8", epochs=3, batch=4)
STEPS, PER_EPOCH = 18, 6


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, make_folder: Any) -> str:
    root: Path = tmp_path_factory.mktemp("data")
    make_folder(root / "train", {"a": 13, "b": 13})
    make_folder(root / "val", {"a": 3, "b": 3})
    return str(root)


@pytest.fixture(scope="module")
def whole(data: str, tmp_path_factory: pytest.TempPathFactory, no_reports: None) -> Path:
    """The undisturbed run."""
    return api.train(data, RECIPE, name="whole", runs=tmp_path_factory.mktemp("runs")).folder


def outcome(folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Everything a run leads to but times: metrics line by line, results, all tensors of the last state."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    untimed = [
        {k: v for k, v in line.items() if k not in ("seconds", "data_s", "transfer_s")} for line in lines
    ]
    metrics = json.loads((folder / "result.json").read_text())["metrics"]
    tensors = load_file(folder / "checkpoints" / "last.safetensors")
    return {"lines": untimed, "metrics": metrics}, tensors


def assert_same(folder: Path, whole: Path) -> None:
    (told, tensors), (expected, theirs) = outcome(folder), outcome(whole)
    assert told == expected
    assert tensors.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in tensors.items())
    assert (folder / "model" / "model.safetensors").stat().st_size > 0
    shipped = [load_file(f / "model" / "model.safetensors") for f in (folder, whole)]
    assert all(torch.equal(tensor, shipped[1][name]) for name, tensor in shipped[0].items())


def test_every_step_is_told_once(whole: Path) -> None:
    lines = outcome(whole)[0]["lines"]
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, STEPS + 1))
    assert [line["step"] for line in lines if "val_loss" in line] == [6, 12, 18]


def train_until(step: int, data: str, options: TrainOptions, recipe: Recipe = RECIPE) -> None:
    """Train, and signal this process when `step` has ended."""
    for event in api.train_events(data, recipe, options):
        if isinstance(event, StepEnd) and event.step.step == step:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("stops", [(1,), (6,), (7, 8), (5, 11, 17), (18,)])
def test_stopping_on_request_at_any_step(
    stops: tuple[int, ...], data: str, whole: Path, tmp_path: Path
) -> None:
    for stop in stops:
        options = TrainOptions("x", tmp_path, "auto")
        with pytest.raises(Stopped, match=f"SIGTERM at step {stop} of {STEPS}"):
            train_until(stop, data, options)
        status = json.loads((tmp_path / "x" / "status.json").read_text())
        assert status["state"] == "resumable"
        assert "SIGTERM" in status["why"]
    api.train(data, RECIPE, name="x", runs=tmp_path, resume="must")
    assert_same(tmp_path / "x", whole)
    assert json.loads((tmp_path / "x" / "status.json").read_text())["state"] == "finished"


def test_stopping_while_images_are_decoded(data: str, whole: Path, tmp_path: Path) -> None:
    options = TrainOptions("x", tmp_path, "auto")

    def train_until_decoding() -> None:
        for event in api.train_events(data, RECIPE, options):
            if isinstance(event, DecodeProgress):
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped, match=f"SIGTERM at step 0 of {STEPS}"):
        train_until_decoding()
    with pytest.raises(Stopped):
        train_until(3, data, options)
    with pytest.raises(Stopped, match=f"SIGTERM at step 3 of {STEPS}"):
        train_until_decoding()
    api.train(data, RECIPE, name="x", runs=tmp_path, resume="must")
    assert_same(tmp_path / "x", whole)


def test_stopping_while_an_epoch_is_judged(
    data: str, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The epoch is judged when the run goes on, and told once, even if that end is cut short too."""

    def signalled(*words: Any, **more: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return evaluate_images(*words, **more)

    def broken(*_: object) -> None:
        raise OSError("the disk is on fire")

    with monkeypatch.context() as patch:
        patch.setattr(evaluator, "evaluate_images", signalled)
        with pytest.raises(Stopped, match=f"SIGTERM at step 6 of {STEPS}"):
            api.train(data, RECIPE, name="x", runs=tmp_path)
    assert "val_loss" not in (tmp_path / "x" / "metrics.jsonl").read_text()
    with monkeypatch.context() as patch:
        patch.setattr("resnext.training.checkpoints.write_snapshot", broken)
        with pytest.raises(OSError, match="fire"):
            api.train(data, RECIPE, name="x", runs=tmp_path, resume="must")
    api.train(data, RECIPE, name="x", runs=tmp_path, resume="must")
    assert_same(tmp_path / "x", whole)


PROGRAM = """
import os, signal, sys
from pathlib import Path
from resnext import api
from resnext.recipe import Recipe, TrainOptions
recipe = Recipe.from_toml(Path(sys.argv[2]).read_text())
options = TrainOptions("x", Path(sys.argv[3]), "auto", checkpoint_every="2")
for event in api.train_events(sys.argv[1], recipe, options):
    if getattr(event, "step", None) is not None and event.step.step == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)
"""


EVERYTHING = override(
    RECIPE,
    data__policy="trivial",
    data__jitter=0.4,
    data__lighting=0.1,
    data__erasing=0.5,
    data__mixup=0.4,
    data__cutmix=1.0,
    data__balance="sampler",
    training__drop_path=0.2,
    training__dropout=0.2,
    training__accumulate=2,
    training__clip_norm=1.0,
    training__zero_init=True,
    training__patience=3,
)


def test_all_regularisation_is_resumed_exactly_at_every_step(data: str, tmp_path: Path) -> None:
    """With a worker and without in turns; such images are read for each step, and do not lie decoded."""
    events = list(api.train_events(data, EVERYTHING, TrainOptions("whole", tmp_path)))
    assert not [event for event in events if isinstance(event, DecodeProgress)]
    for stop in range(1, STEPS + 1):
        options = TrainOptions("x", tmp_path, "auto", workers=stop % 2)
        with pytest.raises(Stopped, match=f"SIGTERM at step {stop} of {STEPS}"):
            train_until(stop, data, options, EVERYTHING)
    api.train(data, EVERYTHING, name="x", runs=tmp_path, resume="must")
    assert_same(tmp_path / "x", tmp_path / "whole")


@pytest.fixture(scope="module")
def stream(data: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same images in tars, class after class: the worst order there is."""
    root = tmp_path_factory.mktemp("tars")
    for folder in sorted(Path(data).glob("*/*")):
        label = str(ord(folder.name) - ord("a")).encode()
        with tarfile.open(root / f"{folder.parent.name}-{folder.name}.tar", "w") as tar:
            for image in sorted(folder.iterdir()):
                for suffix, content in (("png", image.read_bytes()), ("cls", label)):
                    member = tarfile.TarInfo(f"{folder.name}{image.stem}.{suffix}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
    return f"stream:{root}"


@pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker processes")  # on one core
def test_a_stream_is_resumed_exactly_on_any_number_of_workers(stream: str, tmp_path: Path) -> None:
    whole = api.train(stream, RECIPE, name="whole", runs=tmp_path)
    assert STREAM_NOTE in (whole.folder / "log.txt").read_text()
    for workers, stop in enumerate((4, 9, 15)):
        with pytest.raises(Stopped):
            train_until(stop, stream, TrainOptions("x", tmp_path, "auto", workers=workers))
    api.train(stream, RECIPE, name="x", runs=tmp_path, resume="must")
    assert_same(tmp_path / "x", whole.folder)
    judged = api.evaluate(whole.folder, stream).scores
    assert judged.top1_error == whole.result["metrics"]["val"]["top1_error"]


def test_nothing_can_be_drawn_from_a_stream(stream: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"data\.balance: a stream is read in order.*use weights"):
        api.train(stream, override(RECIPE, data__balance="sampler"), name="x", runs=tmp_path)
    assert not (tmp_path / "x").exists()


def test_a_run_without_progress_ends_early(data: str, tmp_path: Path) -> None:
    stuck = override(RECIPE, epochs=9, training__lr=1e-12, training__patience=2, training__averaging=0.0)
    options = TrainOptions("x", tmp_path)
    lines = [e.epoch.epoch for e in api.train_events(data, stuck, options) if isinstance(e, EpochEnd)]
    best = Run(tmp_path / "x").result["metrics"]["best_epoch"]
    assert lines == list(range(1, best + 3))
    assert len(lines) < 9
    assert "ending early" in (tmp_path / "x" / "log.txt").read_text()
    with pytest.raises(RunError, match=f"ended after epoch {best + 2}, 2 epochs after.*--weights"):
        api.train(data, override(stuck, epochs=500), name="x", runs=tmp_path, resume="must")
    (tmp_path / "x" / "result.json").unlink()  # as if it had died before its end
    events = api.train_events(data, stuck, replace(options, resume="must"))
    assert [event for event in events if isinstance(event, StepEnd)] == []


@pytest.mark.parametrize(("balance", "best"), [("none", 1), ("sampler", 2)])
def test_the_best_epoch_is_that_of_what_was_asked_for(
    balance: str, best: int, data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two epochs: the first answers the common class always, the second knows the rare one too. At the end
    val calibrates the network, and is evaluated."""
    errors = iter([(5.0, 50.0), (8.0, 12.0), (0.0, 0.0), (0.0, 0.0)])

    def scored(*words: Any, **more: Any) -> Any:
        found, (top1, balanced) = evaluate_images(*words, **more), next(errors)
        return replace(found, scores=replace(found.scores, top1_error=top1, balanced_error=balanced))

    monkeypatch.setattr(evaluator, "evaluate_images", scored)
    recipe = override(RECIPE, data__balance=balance, epochs=2)
    assert api.train(data, recipe, name="x", runs=tmp_path).result["metrics"]["best_epoch"] == best


def test_killed_without_warning(data: str, whole: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE.to_toml())
    words = [sys.executable, "-c", PROGRAM, data, str(tmp_path / "recipe.toml"), str(tmp_path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    for at in (3, 18):
        code = subprocess.run([*words, str(at)], env=environment, check=False).returncode
        assert code == -signal.SIGKILL
    api.train(data, RECIPE, name="x", runs=tmp_path, resume="must")
    assert_same(tmp_path / "x", whole)


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(
    damage: str, data: str, whole: Path, tmp_path: Path
) -> None:
    events = api.train_events(data, RECIPE, TrainOptions("x", tmp_path, checkpoint_every="1"))
    for event in events:
        if isinstance(event, StepEnd) and event.step.step == 9:
            break
    events.close()
    last = tmp_path / "x" / "checkpoints" / "last.safetensors"
    content = bytearray(last.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    last.write_bytes(content[: {"cut": len(content) // 3, "flip": len(content), "empty": 0}[damage]])
    events = api.train_events(data, RECIPE, TrainOptions("x", tmp_path, "must"))
    assert isinstance(next(events), RunStarted)
    events.close()
    before = last.with_name("previous.safetensors").read_bytes()
    assert last.read_bytes() == before  # in place of the damaged one, which the next save would keep
    api.train(data, RECIPE, name="x", runs=tmp_path, resume="must")
    assert "falling back" in (tmp_path / "x" / "log.txt").read_text()
    assert_same(tmp_path / "x", whole)


def test_lengthening_a_finished_run(data: str, tmp_path: Path) -> None:
    short = override(RECIPE, epochs=1)
    assert api.train(data, short, name="x", runs=tmp_path).result["recipe"]["epochs"] == 1
    longer = override(RECIPE, epochs=2)
    assert api.train(data, longer, name="x", runs=tmp_path, resume="must").result["recipe"]["epochs"] == 2
    steps = [line["step"] for line in outcome(tmp_path / "x")[0]["lines"] if "loss" in line]
    assert steps == list(range(1, 2 * PER_EPOCH + 1))
    with pytest.raises(RunError, match="epochs: 1 now, 2 in the run"):
        api.train(data, short, name="x", runs=tmp_path, resume="must")


def test_a_file_system_without_locks_is_told_of(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", refuse)
    events = [*api.train_events(data, RECIPE, TrainOptions("x", tmp_path))]
    [started] = [event for event in events if isinstance(event, RunStarted)]
    for text in (started.text(), (tmp_path / "x" / "log.txt").read_text()):  # the first is printed
        assert "no locks on this file system" in text
        assert "make sure that no other process trains this run" in text


def test_of_two_processes_without_locks_the_later_one_goes_on(
    data: str, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    earlier = iter(api.train_events(data, RECIPE, TrainOptions("x", tmp_path)))
    next(event for event in earlier if isinstance(event, StepEnd))
    api.train(data, RECIPE, name="x", runs=tmp_path, resume="must")
    with pytest.raises(RunTaken, match="another process has begun to train this run"):
        list(earlier)
    assert json.loads((tmp_path / "x" / "status.json").read_text())["state"] == "finished"
    assert_same(tmp_path / "x", whole)


def test_a_failed_run_says_so(data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> None:
        raise OSError("the disk is on fire")

    monkeypatch.setattr("resnext.training.checkpoints.write_snapshot", broken)
    with pytest.raises(OSError, match="fire"):
        api.train(data, RECIPE, name="x", runs=tmp_path)
    status = json.loads((tmp_path / "x" / "status.json").read_text())
    assert status["state"] == "failed"
    assert "fire" in status["why"]


def test_a_run_whose_last_event_is_not_heard_out_is_finished(data: str, tmp_path: Path) -> None:
    events = api.train_events(data, RECIPE, TrainOptions("x", tmp_path))
    next(event for event in events if isinstance(event, RunFinished))
    events.close()
    status = tmp_path / "x" / "status.json"
    assert json.loads(status.read_text())["state"] == "finished"
    for left in ('{"state": "running", "why": ""}', "", "{}"):  # killed after its result; damaged
        status.write_text(left)
        api.train(data, RECIPE, name="x", runs=tmp_path, resume="must")
        assert json.loads(status.read_text())["state"] == "finished"


def test_one_process_a_run(data: str, tmp_path: Path) -> None:
    events = api.train_events(data, RECIPE, TrainOptions("x", tmp_path))
    for event in events:
        if isinstance(event, StepEnd):
            break
    for recipe in (RECIPE, override(RECIPE, epochs=9)):
        with pytest.raises(RunError, match="another process"):
            api.train(data, recipe, name="x", runs=tmp_path, resume="must")
    events.close()
    assert api.train(data, RECIPE, name="x", runs=tmp_path, resume="must").result["metrics"]


def test_a_run_that_began_from_weights_needs_them_until_its_first_checkpoint(
    data: str, whole: Path, tmp_path: Path
) -> None:
    weights = Path(shutil.copy(whole / "model" / "model.safetensors", tmp_path))
    options = TrainOptions("x", tmp_path, "auto", weights=weights)
    with pytest.raises(Stopped):
        train_until(1, data, options)
    last = tmp_path / "x" / "checkpoints" / "last.safetensors"
    saved = last.read_bytes()
    last.unlink()
    torch.save({}, weights)  # other weights by the same name
    with pytest.raises(WeightsError, match="not the file any more"):
        api.train(data, RECIPE, name="x", runs=tmp_path, resume="must")
    weights.unlink()
    last.write_bytes(saved)
    api.train(data, RECIPE, name="x", runs=tmp_path, resume="must")
    api.train(data, RECIPE, name="y", runs=tmp_path, weights=whole)
    assert_same(tmp_path / "x", tmp_path / "y")


def test_weights_that_diverge_in_the_last_step_are_not_kept(
    data: str, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "softmax", lambda logits, _: torch.full_like(logits, torch.nan))
        with pytest.raises(Diverged, match="not finite"):
            api.train(data, RECIPE, name="x", runs=tmp_path)
    assert not (tmp_path / "x" / "checkpoints" / "last.safetensors").exists()
    api.train(data, RECIPE, name="x", runs=tmp_path, resume="must")
    assert_same(tmp_path / "x", whole)
