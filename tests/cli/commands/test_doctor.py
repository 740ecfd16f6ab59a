"""`resnext doctor`, and `train --manifest` with what it wrote."""

from __future__ import annotations

import csv
import html
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from resnext.doctor import facts_file

pytestmark = pytest.mark.usefixtures("no_reports")
Run = Callable[..., int]


@pytest.fixture
def messy(tmp_path: Path) -> Path:
    """A set with a leak, a copy, a broken file, and a class that val lacks."""
    root, random = tmp_path / "messy", np.random.default_rng(0)
    for split, classes, count in (("train", "abc", 8), ("val", "ab", 3), ("test", "abc", 3)):
        for name in classes:
            for i in range(count):
                path = root / split / name / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                ground = random.uniform(0, 255, (6, 6, 3)).astype(np.uint8)
                Image.fromarray(ground).resize((32, 32), Image.Resampling.NEAREST).save(path)
    Image.open(root / "train/a/0.png").save(root / "test/a/leak.bmp")
    Image.open(root / "train/b/1.png").save(root / "train/b/copy.bmp")
    (root / "train/c/broken.png").write_bytes((root / "train/c/0.png").read_bytes()[:40])
    return root


def rows(path: Path) -> dict[tuple[str, str, str], str]:
    with open(path, newline="") as file:
        return {(row["split"], row["key"], row["finding"]): row["action"] for row in csv.DictReader(file)}


FOUND = {
    ("train", "a/0.png", "leak"): "drop",
    ("train", "b/copy.bmp", "duplicate"): "drop",
    ("train", "c/broken.png", "truncated"): "drop",
}


def test_from_finding_to_a_run_that_obeys(
    messy: Path, tmp_path: Path, run: Run, quick: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "m.csv"
    assert run("doctor", messy, "--out", out) == 4
    told = capsys.readouterr()
    assert "missing_class: val has no image of c" in told.out
    assert "3 findings of harm high" in told.err
    assert {key: action for key, action in rows(out).items() if key[2] not in ("near_duplicate",)} == FOUND
    summary = json.loads(out.with_suffix(".json").read_text())
    assert {name: one["count"] for name, one in summary["findings"].items() if one["harm"] == "high"} == {
        "leak": 1,
        "truncated": 1,
        "missing_class": 1,
    }
    dropped = {name: one["dropped"] for name, one in summary["findings"].items()}
    assert dropped | {"leak": 1, "duplicate": 1, "truncated": 1} == dropped
    assert sum(dropped.values()) == 3
    page = out.with_suffix(".html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert "test: a/leak.bmp" in page

    train = ["train", messy, "--runs", tmp_path, "--name", "x", *quick]
    assert run(*train) == 3  # the broken one stops it
    assert run(*train, "--manifest", out) == 0
    assert "left out 3 images (1 leak, 1 duplicate, 1 truncated)" in capsys.readouterr().out
    about = json.loads((tmp_path / "x" / "data.json").read_text())
    assert about["manifest"]["digest"] == summary["manifest"]["digest"]
    assert about["counts"] == {"train": 23, "val": 6, "test": 10}
    assert about["train_counts"] == [7, 8, 8]

    longer = [*train, "--resume", "must", "--epochs", "2"]
    assert run(*longer) == 4 or "manifest: none now" in capsys.readouterr().err
    assert run(*longer, "--manifest", out) == 0


def test_exit_codes_by_harm(
    messy: Path, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "m.parquet"
    assert run("doctor", messy, "--out", out, "--fail-on", "never") == 0
    assert run("doctor", "digits", "--out", tmp_path / "c.parquet") == 0
    assert run("doctor", tmp_path / "nothing", "--out", out) == 3
    assert run("doctor", messy, "--out", tmp_path / "m.txt") == 2
    assert run("doctor", messy, "--out", out, "--folds", "1") == 2
    (tmp_path / "empty").mkdir()
    assert run("doctor", tmp_path / "empty", "--out", out) == 3
    broken = tmp_path / "broken"
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png", "a/3.png", "b/3.png"):
        (broken / name).parent.mkdir(parents=True, exist_ok=True)
        (broken / name).write_bytes(b"no image")
    capsys.readouterr()
    assert run("doctor", broken, "--out", tmp_path / "b.csv") == 3
    assert "none of 6 images can be read" in capsys.readouterr().err
    assert not (tmp_path / "b.csv").exists()


def test_only_new_and_changed_images_are_looked_at(
    messy: Path, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["doctor", messy, "--out", tmp_path / "m.csv", "--fail-on", "never", "--json", "-"]

    def looked_at() -> int:
        capsys.readouterr()
        assert run(*words) == 0
        summary: dict[str, Any] = json.loads(capsys.readouterr().out)
        return int(summary["looked_at"])

    total = sum(1 for path in messy.rglob("*") if path.is_file())
    assert looked_at() == total
    first = rows(tmp_path / "m.csv")
    assert looked_at() == 1  # what cannot be read may have been repaired
    assert rows(tmp_path / "m.csv") == first
    Image.new("RGB", (32, 32), "red").save(messy / "train/a/7.png")
    Image.open(messy / "train/a/3.png").save(messy / "val/a/new.png")
    assert looked_at() == 3
    assert ("train", "a/3.png", "leak") in rows(tmp_path / "m.csv")
    assert ("train", "a/7.png", "nearly_blank") in rows(tmp_path / "m.csv")


def test_a_stopped_doctor_goes_on_and_shards_join(
    messy: Path, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts = tmp_path / "w.csv", tmp_path / "p.csv"
    assert run("doctor", messy, "--out", whole, "--fail-on", "never") == 0
    for number in range(3):
        assert run("doctor", messy, "--out", parts, "--shard", f"{number}/3") == 0
        assert not parts.exists()
    capsys.readouterr()
    assert run("doctor", messy, "--out", parts, "--fail-on", "never", "--json", "-") == 0
    assert json.loads(capsys.readouterr().out)["looked_at"] == 1  # the broken one
    assert parts.read_text() == whole.read_text()

    stopped, added = tmp_path / "s.csv", facts_file.FactsFile.add

    def add_half(self: facts_file.FactsFile, found: np.ndarray) -> None:
        added(self, found[: len(found) // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr(facts_file.FactsFile, "add", add_half)
    assert run("doctor", messy, "--out", stopped) == 130
    monkeypatch.setattr(facts_file.FactsFile, "add", added)
    assert not stopped.exists()
    capsys.readouterr()
    assert run("doctor", messy, "--out", stopped, "--fail-on", "never", "--json", "-") == 0
    assert 0 < json.loads(capsys.readouterr().out)["looked_at"] < 42 - 10
    assert stopped.read_text() == whole.read_text()


def test_sets_that_training_refuses_are_examined(
    tmp_path: Path, make_folder: Any, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_folder(tmp_path / "d", {"cat": 6, "Cat ": 4, "dog": 5})
    (data / "cow").mkdir()
    assert run("doctor", data, "--out", tmp_path / "m.csv") == 4
    told = capsys.readouterr().out
    assert "lookalike_classes" in told
    assert "'Cat ' and 'cat' differ by" in told
    assert "empty_class: no image of cow" in told
    assert "refused:" in told


def test_labels_are_judged_with_a_model(
    trained: Path, colours: Path, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("cleanlab")
    import shutil

    data = shutil.copytree(colours, tmp_path / "data")
    for i in range(40):  # more images of each colour, one of them in the wrong folder
        for name in "abc":
            source = Image.open(colours / "train" / name / f"{i % 8}.png")
            noise = np.random.default_rng((i, ord(name))).normal(0, 6, (16, 20, 3))
            values = np.clip(np.asarray(source, float) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(values).save(data / "train" / name / f"more{i}.png")
    (data / "train/a/more0.png").rename(data / "train/b/wrong.png")
    words = ["doctor", data, "--out", tmp_path / "m.csv", "--model", trained, "--folds", "3"]
    assert run(*words, "--fail-on", "never", "--device", "cpu") == 0
    assert "estimated to be wrong" in capsys.readouterr().out
    summary = json.loads((tmp_path / "m.json").read_text())
    assert summary["labels"]["judged"] == 24 + 120 + 6
    assert rows(tmp_path / "m.csv")[("train", "b/wrong.png", "label")] == "drop"
    assert "<svg" in (tmp_path / "m.html").read_text()


def test_bad_images_are_put_in_quarantine_within_a_budget(
    messy: Path, tmp_path: Path, run: Run, quick: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", messy, "--runs", tmp_path, *quick]
    assert run(*words, "--name", "x", "--on-bad", "skip", "--bad-budget", "1%") == 3
    assert "1 of 42 images cannot be read, more than --bad-budget 1% allows" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
    assert run(*words, "--name", "x", "--bad-budget", "1%") == 2
    assert run(*words, "--name", "x", "--on-bad", "skip", "--bad-budget", "many") == 2
    assert run(*words, "--name", "x", "--on-bad", "quarantine", "--bad-budget", "1") == 0
    quarantine = tmp_path / "x" / "quarantine.csv"
    assert rows(quarantine) == {("train", "c/broken.png", "unreadable"): "drop"}
    assert run(*words, "--name", "y", "--manifest", quarantine) == 0
    assert json.loads((tmp_path / "y" / "data.json").read_text())["skipped"]["train"] == {}


def test_what_a_person_decided_stays(messy: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "m.csv"
    assert run("doctor", messy, "--out", out) == 4
    text = out.read_text()
    [leak] = [line for line in text.splitlines() if '"leak"' in line]
    changed = leak.replace('"drop","","test', '"keep","","test')
    assert changed != leak
    own = 'test,b/0.png,b,"seen by me",drop,\nval,gone.png,b,"seen by me",drop,\n'
    out.write_text(text.replace(leak, changed) + own)
    Image.new("RGB", (32, 32), "red").save(messy / "train/a/7.png")
    assert run("doctor", messy, "--out", out) == 4
    assert rows(out) == rows(out) | {
        ("train", "a/0.png", "leak"): "keep",
        ("test", "b/0.png", "seen by me"): "drop",
        ("train", "a/7.png", "nearly_blank"): "keep",
        ("train", "b/copy.bmp", "duplicate"): "drop",
    }
    assert ("val", "gone.png", "seen by me") not in rows(out)
    assert json.loads(out.with_suffix(".json").read_text())["manifest"]["decisions"] == 2
    (messy / "test/a/leak.bmp").unlink()  # the finding goes, and the decision about it with the next doctor
    assert run("doctor", messy, "--out", out, "--fail-on", "never") == 0
    assert rows(out)[("test", "b/0.png", "seen by me")] == "drop"


def test_nothing_that_is_not_of_the_doctor_is_written_over(
    messy: Path, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "images.csv"
    table.write_text(
        "path,label\n" + "".join(f"{messy}/train/{c}/{i}.png,{c}\n" for c in "ab" for i in range(8))
    )
    before = table.read_bytes()
    assert run("doctor", table, "--out", table) == 3
    assert table.read_bytes() == before
    assert "say another --out" in capsys.readouterr().err
    for name in ("m.json", "m.html"):
        (tmp_path / name).write_text("{}")
        assert run("doctor", messy, "--out", tmp_path / "m.csv") == 3
        assert f"{name}: is there already" in capsys.readouterr().err
        (tmp_path / name).unlink()
    assert run("doctor", messy, "--out", tmp_path / "m.csv", "--fail-on", "never") == 0
    assert run("doctor", messy, "--out", tmp_path / "m.parquet", "--fail-on", "never") == 0


def test_one_class_under_two_names_in_two_splits(
    messy: Path, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str], quick: list[str]
) -> None:
    for split, name in (("train", "cat"), ("val", "Cat"), ("test", "cat")):
        (messy / split / "a").rename(messy / split / name)
    assert run("doctor", messy, "--out", tmp_path / "m.csv") == 4
    told = capsys.readouterr().out
    assert told.count("lookalike_classes:") == 1
    assert "the classes 'Cat' and 'cat' differ by case only" in told
    assert run("train", messy, "--runs", tmp_path, *quick) == 3
    assert "which train lacks: the classes 'Cat' and 'cat' differ by case only" in capsys.readouterr().err


def test_what_the_manifest_would_leave_empty_is_told(
    messy: Path, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    shutil.rmtree(messy / "val")
    shutil.copytree(messy / "test", messy / "val")
    for path in (messy / "train" / "c").iterdir():
        path.write_bytes(b"no image")
    assert run("doctor", messy, "--out", tmp_path / "m.csv") == 4
    told = capsys.readouterr()
    assert "emptied: all 10 images of val would be left out" in told.out
    assert "emptied: no image of c would be left in train, of 9" in told.out


def test_a_set_without_splits_that_grew(
    tmp_path: Path, make_folder: Any, run: Run, quick: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_folder(tmp_path / "d", {"a": 20, "b": 20})
    words = ["doctor", data, "--out", tmp_path / "m.csv", "--fail-on", "never", "--json", "-"]
    assert run(*words) == 0
    out = tmp_path / "own.csv"
    out.write_text("split,key,action\n" + "".join(f"train,a/{i}.png,drop\n" for i in range(0, 20, 4)))
    Image.new("RGB", (20, 16), "red").save(data / "a" / "0new.png")
    capsys.readouterr()
    assert run(*words) == 0
    assert json.loads(capsys.readouterr().out)["looked_at"] == 1
    assert run("train", data, "--manifest", out, "--runs", tmp_path, "--name", "x", *quick) == 0
    assert "left out 5 images" in capsys.readouterr().out


def test_the_next_command_can_be_pasted(
    messy: Path, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    data = messy.rename(tmp_path / "my pets")
    out = tmp_path / "my out" / "m[1].csv"
    out.parent.mkdir()
    for number in range(2):
        assert run("doctor", data, "--out", out, "--shard", f"{number}/2") == 0
    assert run("doctor", data, "--out", out) == 4
    told = capsys.readouterr()
    command = f"resnext train '{data}' --manifest '{out}'"
    assert command in told.err.replace("\n", " ")
    assert "1 of them looked at now" in told.out
    assert command in html.unescape(out.with_suffix(".html").read_text())


def test_findings_on_the_set_alone_are_mended_in_the_data(
    tmp_path: Path, make_folder: Any, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_folder(tmp_path / "d", {"cat": 9, "dog": 9})
    (data / "cow").mkdir()
    assert run("doctor", data, "--out", tmp_path / "m.csv") == 4
    told = capsys.readouterr().err
    assert "mend the data, which training refuses as they are" in told
    assert "--manifest" not in told
    assert "Training refuses the set as it is" in (tmp_path / "m.html").read_text()


def test_a_model_and_no_image_of_train_that_can_be_read(
    trained: Path, colours: Path, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("cleanlab")
    import shutil

    data = shutil.copytree(colours, tmp_path / "data")
    for path in (data / "train").rglob("*.png"):
        path.write_bytes(b"no image")
    words = ["doctor", data, "--out", tmp_path / "m.csv", "--model", trained, "--device", "cpu"]
    assert run(*words) == 4
    assert "images of train would be left out" in capsys.readouterr().out


def test_quarantine_keeps_what_the_manifest_said(
    messy: Path, tmp_path: Path, run: Run, quick: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = tmp_path / "m.csv"
    manifest.write_text(
        "split,key,finding,action,to\ntrain,a/0.png,leak,drop,\ntrain,c/broken.png,,move,val\n"
        "train,a/1.png,dark,keep,\n"
    )
    words = ["train", messy, "--runs", tmp_path, *quick]
    assert run(*words, "--name", "x", "--manifest", manifest, "--on-bad", "quarantine") == 0
    quarantine = tmp_path / "x" / "quarantine.csv"
    assert rows(quarantine) == {
        ("train", "a/0.png", "leak"): "drop",
        ("train", "c/broken.png", ""): "move",
        ("train", "c/broken.png", "unreadable"): "drop",
    }
    assert run(*words, "--name", "y", "--manifest", quarantine) == 0
    assert "left out 2 images (1 leak, 1 unreadable)" in capsys.readouterr().out
