"""Mistakes that people make at the command line and in Python: each is answered with what to type instead."""

from __future__ import annotations

import contextlib
import io
import shlex
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import resnext
from resnext.cli import main
from resnext.errors import EXIT_CODES

#: A training of a second, for mistakes that are found when it has begun.
QUICK = "--model resnet11+template=8 --epochs 1 --batch 8 --data.size-px 16 --data.resize-px 16"
#: Begins what is typed in Python.
PYTHON = ">>> "
#: Code of a wrong type in Python, where the error is Python's own.
TYPE_ERROR = -1


@dataclass(frozen=True)
class TypingMistake:
    """What was typed, the exit code that README.md promises, and words that the answer must have."""

    typed: str
    code: int
    cure: str


M = TypingMistake
MISTAKES: dict[str, tuple[TypingMistake, ...]] = {
    "commands and options": (
        M("trian images", 2, "Is it 'train'?"),
        M("fit images", 2, "Is it 'train'?"),
        M("version", 2, "Is it '--version'?"),
        M("train images --epoch 3", 2, "Is it --epochs?"),
        M("train images --lr 0.1", 2, "Is it --training.lr?"),
        M("train images --batch-size 8", 2, "Is it --batch?"),
        M("train images --learning-rate 0.1", 2, "Is it --training.lr?"),
        M("train images --gpu 0", 2, "Is it --device?"),
        M("predict runs/pets a.png --output answers.csv", 2, "Is it --out?"),
        M("train --data images", 2, "typed without it: resnext train DATA"),
        M("predict --model runs/pets a.png", 2, "typed without it: resnext predict MODEL IMAGES"),
    ),
    "missing words": (
        M("train", 2, "DATA A folder of class folders"),
        M("train images --epochs", 2, "Missing value for argument '--epochs'"),
        M("evaluate runs/pets", 2, "DATA As for train"),
        M("predict runs/pets", 2, "predict needs IMAGES: files, folders or globs"),
        M(
            "convert runs/pets",
            2,
            "--to STR Name of the same network in another form, such as",
        ),
        M("compare runs/pets", 2, "compare needs RUN RUN"),
        M("design", 2, "--params, --macs, --activations or --latency-ms"),
        M("bench data", 2, "bench data needs one DATA"),
    ),
    "values": (
        M("train images --epochs three", 2, "--epochs {None}|INT"),
        M("train images --training.lr fast", 2, "--training.lr FLOAT"),
        M("train images --batch 0", 2, "must be at least 1"),
        M("train images --workers -1", 2, "must be at least 0"),
        M("train images --training.lr -0.1", 2, "must be positive"),
        M("train images --checkpoint-every often", 2, "say steps as in 200, or time as in 90s or 10min"),
        M("train images --log paper", 2, "'tensorboard', 'mlflow', 'wandb'"),
        M("train images --device gpu", 5, "say cpu, cuda, cuda:1 or mps"),
        M("predict runs/pets a.png --top 0", 2, "must be at least 1"),
        M("evaluate runs/pets images --split valid", 2, "'val'"),
        M("evaluate runs/pets images --device cuda:9", 5, "try --device cpu"),
        M("design --params many", 2, "say a number such as 25M"),
        M("design --params 25M --tolerance -1", 2, "must be at least 0"),
        M("select images small --like images --others -1", 2, "must be at least 0"),
        M("experiments run cardinality --workers -1", 2, "must be at least 0"),
    ),
    "data": (
        M("train nowhere", 3, "Give a folder of class folders, as in DATA/cat/1.jpg"),
        M("train image", 3, "Is it 'images'?"),
        M("train a.png", 3, "give the folder of these folders"),
        M("train empty", 3, "expected one folder for each class with its images, as in empty/cat/1.jpg"),
        M("train one", 3, "a classifier needs two or more"),
        M("train runs/pets", 3, "give the folder of its images"),
        M("train https://example.org/images.zip", 3, "download it first"),
        M("evaluate runs/pets birds", 3, "Rename or remove them, or train with them"),
        M("select images small --like birds", 3, "link the missing ones into it"),
        M("select images small --like images --others 5", 3, "say --others 0"),
        M("index images set", 3, "as in set.index"),
    ),
    "models and runs": (
        M("evaluate nowhere images", 2, "give a run folder, a hub folder or a weights file"),
        M("predict empty a.png", 2, "give the folder of a finished run, such as runs/NAME"),
        M("predict a.csv a.png", 4, "give a run folder, a hub folder or a file of weights"),
        M("predict a.png runs/pets", 2, "the model comes first, as in runs/NAME a.png"),
        M(
            "predict runs/half a.png",
            2,
            "`resnext train DATA --runs runs --name half --resume must`",
        ),
        M("report runs/half", 2, "--name half --resume must` goes on"),
        M("report runs", 2, "give the folder of a finished run, such as runs/NAME"),
        M("report a.csv", 2, "give the folder of a finished run, such as runs/NAME"),
        M(f"train images {QUICK} --name pets", 2, "Give another --name, or --resume auto to resume it"),
        M(f"train images {QUICK} --name pets --resume must --seed 7", 2, "seed: 7 now, 0 in the run"),
        M("train images --resume must", 2, "--resume needs the --name of the run"),
        M("train images --resume must --name other", 2, "--resume auto starts it"),
        M("train images --name a/b", 2, "--runs says where it lies"),
        M(
            f"train birds {QUICK} --weights nowhere",
            2,
            "give a run folder, a hub folder or a weights file",
        ),
        M("train birds --recipe probe", 2, "add --weights resnext50_32x4d"),
        M("train birds --dry-run --then finetune", 2, "leave out --then"),
        M("train birds --weights runs/pets --recipe probe --training.lr 1", 2, "leave it at 0.1"),
        M("train birds --new-head", 2, "--new-head needs --weights"),
    ),
    "recipes and networks": (
        M("train images --recipe imagnet", 2, "Nearest: imagenet"),
        M("train images --recipe small --config types.toml", 2, "leave one of them out"),
        M("train images --config none.toml", 2, "`resnext recipes small > none.toml` writes one"),
        M("train images --config empty", 2, "such as runs/NAME/config.toml"),
        M("train images --config unknown.toml", 2, "there is no field 'epoch'. Nearest: epochs"),
        M("train images --config types.toml", 2, "training.lr: must be a number, not 'fast'"),
        M("train images --model resnxt50_32x4d", 2, "Nearest: resnext50_32x4d"),
        M("train images --model resnext50", 2, "as in resnext50_32x4d"),
        M("convert runs/pets --to resnext50_32x4d", 4, "Its other forms are resnet11+template=8+transform="),
    ),
    "images and output": (
        M("predict runs/pets nowhere.png", 3, "there is no such file or folder; look at the spelling"),
        M("predict runs/pets '*.bmp'", 3, "no file is called so; say another pattern"),
        M("predict runs/pets empty", 3, "in a format that is read (JPEG, PNG, ...)"),
        M("predict runs/pets text.png", 3, "--on-bad skip"),
        M("evaluate runs/pets damaged", 3, "--on-bad skip"),
        M("predict runs/pets -- -", 2, "write them to a file and give its path"),
        M("predict runs/pets https://example.org/a.png", 2, "download it first"),
        M("predict runs/pets a.png --out answers.txt", 2, "must end in .csv, .jsonl, .parquet"),
        M("predict runs/pets a.png --out none/answers.csv", 2, "make it first, or say another"),
        M("evaluate runs/pets images --json empty", 2, "give the name of a file in it"),
        M("describe resnet50 --figure block.png", 2, "as in block.svg"),
        M("bench step --out empty", 2, "give the name of a file in it"),
    ),
    "Python": (
        M('>>> resnext.train("images", lr=0.1)', 2, "training__lr=... in Python"),
        M('>>> resnext.train("images", batch_size=8)', 2, "Nearest: batch"),
        M('>>> resnext.train("images", num_workers=2)', 2, "Nearest: workers"),
        M('>>> resnext.train("images", epochs="3")', 2, "epochs: must be a whole number"),
        M('>>> resnext.train("images", workers="2")', 2, "must be a whole number"),
        M('>>> resnext.train("images", checkpoint_every=200)', 2, "must be text, in quotes"),
        M('>>> resnext.train("images", log="wandb")', 2, "as in log=['wandb']"),
        M('>>> resnext.Recipe(epochs="3")', 2, "epochs: must be a whole number"),
        M('>>> resnext.load("nope")', 2, "give a run folder, a hub folder or a weights file"),
        M('>>> resnext.load("runs/pets", "gpu")', 5, "say cpu, cuda, cuda:1 or mps"),
        M('>>> resnext.create("resnxt50_32x4d")', 2, "Nearest: resnext50_32x4d"),
        M('>>> resnext.create("resnet18", classes="10")', 2, "classes must be a whole number"),
        M('>>> resnext.create("resnet18", classes=0)', 2, "classes must be at least 1"),
        M('>>> resnext.predict("runs/pets", "a.png")', TYPE_ERROR, "as in predict([image])"),
        M('>>> resnext.predict("runs/pets", [["a.png"]])', TYPE_ERROR, "give a path, bytes, a file open"),
        M(
            '>>> resnext.predict("runs/pets", [np.zeros((3, 8, 8))])',
            TYPE_ERROR,
            "give uint8, grey (H, W)",
        ),
        M('>>> resnext.predict("runs/pets", ["https://a.b/c.png"])', 3, "download it first"),
        M('>>> list(resnext.predict_many("runs/pets", "images"))', TYPE_ERROR, "as in ['images']"),
        M('>>> resnext.evaluate("runs/pets", "images", split="valid")', 3, "found train, val"),
        M(
            '>>> resnext.evaluate(resnext.create("resnet18"), "images")',
            TYPE_ERROR,
            "a model is a Classifier",
        ),
        M('>>> resnext.compare("runs/pets")', 2, "as in ['runs/NAME', 'runs/OTHER']"),
        M('>>> resnext.compare(["runs/pets"])', 2, "as in ['runs/NAME', 'runs/OTHER']"),
        M('>>> resnext.select("images", "small", like="images", judged="valid")', 2, "must be val or test"),
    ),
}


@pytest.fixture
def place(tmp_path: Path, make_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the mistakes are made: sets of cats and dogs and of birds, a finished run, one that was left."""
    for name, classes in (("images", ("cat", "dog")), ("birds", ("jay", "owl", "wren"))):
        for split, count in (("train", 6), ("val", 2)):
            make_folder(tmp_path / name / split, dict.fromkeys(classes, count), (16, 16))
    make_folder(tmp_path / "one", {"cat": 4})
    (tmp_path / "empty").mkdir()
    make_folder(tmp_path / "damaged" / "val", {"cat": 2, "dog": 2})
    (tmp_path / "damaged" / "val" / "cat" / "0.png").write_text("no image")
    shutil.copy(tmp_path / "one" / "cat" / "0.png", tmp_path / "a.png")
    for name, text in (
        ("a.csv", "path,label\na.png,cat\n"),
        ("text.png", "no image"),
        ("unknown.toml", "epoch = 3\n"),
        ("types.toml", '[training]\nlr = "fast"\n'),
    ):
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    with monkeypatch.context() as patch:
        patch.setattr("resnext.api.training.write_report", lambda *_, **__: None)
        assert main(f"train images {QUICK} --name pets".split()) == 0
    shutil.copytree("runs/pets", "runs/half")
    shutil.rmtree("runs/half/model")
    Path("runs/half/result.json").unlink()
    return tmp_path


def answer(typed: str) -> tuple[int, str]:
    """The exit code of what was typed, and all that was printed, on one line. Other errors are raised."""
    if typed.startswith(PYTHON):
        try:
            raise AssertionError(
                f"no error but {eval(typed.removeprefix(PYTHON), {'resnext': resnext, 'np': np})!r}"
            )
        except resnext.ResnextError as error:
            return error.exit_code, str(error)
        except TypeError as error:
            return TYPE_ERROR, str(error)
    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(said):
        code = main(shlex.split(typed))
    return code, " ".join(said.getvalue().replace("│", " ").split())


def files(place: Path) -> dict[str, int]:
    """What lies in `place`, with the times of the last changes."""
    return {str(path): path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()}


def test_mistakes_are_answered_with_the_cure(place: Path, record: Callable[..., None]) -> None:
    before, started = files(place), time.monotonic()
    wrong, groups = [], []
    for name, group in MISTAKES.items():
        answers = [(mistake, *answer(mistake.typed)) for mistake in group]
        cured = [mistake for mistake, _, said in answers if mistake.cure in said and "Traceback" not in said]
        codes = Counter(str(code) for _, code, _ in answers)
        groups.append({"group": name, "mistakes": len(group), "cured": len(cured), "codes": codes})
        wrong += [one for one in answers if one[0] not in cured or one[0].code != one[1]]
    assert wrong == [], wrong
    assert files(place) == before  # bad input loses nothing, and leaves nothing
    record("mistakes", groups=groups, seconds=round(time.monotonic() - started, 1))


def test_the_table_promises_nothing_else() -> None:
    every: list[Any] = [one for group in MISTAKES.values() for one in group]
    assert len({one.typed for one in every}) == len(every) >= 60
    assert {one.code for one in every} <= {*EXIT_CODES, TYPE_ERROR} - {0, 1}
