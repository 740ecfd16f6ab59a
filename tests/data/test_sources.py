"""DATA in all its layouts becomes labelled images; classes are matched by name."""

from __future__ import annotations

import csv
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from resnext import api
from resnext.data.decode import UNSUPPORTED_SUFFIXES, DataError
from resnext.data.folders import images_under
from resnext.data.images import ImageDataset
from resnext.data.sources import read_split, read_splits, split_notes
from resnext.data.splits import SPLIT_SEED, fingerprint, stratified_holdout


def class_by_key(images: ImageDataset) -> dict[str, str]:
    return {k: images.classes[i] for k, i in zip(images.keys, images.labels, strict=True)}


@pytest.mark.parametrize("val", ["val", "valid", "validation"])
def test_a_folder_with_splits(val: str, tmp_path: Path, make_folder: Any) -> None:
    make_folder(tmp_path / "train", {"1": 2, "2": 2, "10": 2, "a": 2, "B": 2})
    make_folder(tmp_path / val, {"a": 1, "2": 1})
    make_folder(tmp_path / "test", {"10": 3})
    splits = read_splits(str(tmp_path))
    assert splits.classes == ("1", "10", "2", "B", "a")  # plain string order
    for _, images in splits.items():
        assert all(Path(key).parts[0] == name for key, name in class_by_key(images).items())
    assert [len(p) for _, p in splits.items()] == [10, 2, 3]


def test_a_flat_folder_is_always_divided_alike(tmp_path: Path, make_folder: Any) -> None:
    make_folder(tmp_path, {"a": 40, "b": 60})
    first, second = read_splits(str(tmp_path)), read_splits(str(tmp_path))
    assert {name: len(p) for name, p in first.items()} == {"train": 80, "val": 10, "test": 10}
    for (_, one), (_, other) in zip(first.items(), second.items(), strict=True):
        assert list(one.keys) == list(other.keys)
    assert np.bincount(first.val.labels).tolist() == [4, 6]
    assert len({key for _, p in first.items() for key in p.keys}) == 100


def test_train_without_val_gives_a_tenth_to_val(tmp_path: Path, make_folder: Any) -> None:
    make_folder(tmp_path / "train", {"a": 30, "b": 30})
    splits = read_splits(str(tmp_path))
    assert (len(splits.train), len(splits.val), splits.test) == (54, 6, None)


TENTH = "no val split: a stratified tenth of train"


@pytest.mark.parametrize(
    ("counts", "parts", "note"),
    [
        ({"a": 3, "b": 3}, [4, 2], "no splits: divided into 4 train, 2 val, none for test"),
        ({"a": 5, "b": 5}, [6, 2, 2], "no splits: divided into 6 train, 2 val, 2 test"),
        ({"train/a": 2, "train/b": 2}, [2, 2], f"{TENTH}, but at least one image of each class (2 images)"),
        ({"train/a": 9, "train/b": 11}, [18, 2], f"{TENTH} (2 images)"),
        ({"train/a": 4, "val/a": 1, "train/b": 4, "test": 1}, [8, 1], "left out test, whose images"),
    ],
)
def test_what_is_said_of_few_images(
    counts: dict[str, int], parts: list[int], note: str, tmp_path: Path, make_folder: Any
) -> None:
    splits = read_splits(str(make_folder(tmp_path, counts, (4, 4))))
    assert [len(images) for _, images in splits.items()] == parts
    assert any(said.startswith(note) for said in splits.notes)


def test_digits_have_one_split() -> None:
    splits = read_splits("digits")
    assert [len(p) for _, p in splits.items()] == [1077, 180, 540]
    assert len({key for _, p in splits.items() for key in p.keys}) == 1797


@pytest.fixture
def files(tmp_path: Path, make_folder: Any) -> Path:
    return make_folder(tmp_path / "pictures", {"cat": 20, "ant": 20})  # type: ignore[no-any-return]


def rows_of(folder: Path) -> list[tuple[str, str]]:
    return [(str(p.relative_to(folder.parent)), p.parent.name) for p in sorted(folder.rglob("*.png"))]


def test_csv_with_and_without_a_split_column(files: Path) -> None:
    rows = rows_of(files)
    table = files.parent / "all.csv"
    with open(table, "w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *rows])
    splits = read_splits(str(table))
    assert splits.classes == ("ant", "cat")
    assert [len(p) for _, p in splits.items()] == [32, 4, 4]
    assert splits.train.open(0).size == (20, 16)
    with open(table, "w", newline="") as file:
        parts = ["valid" if i % 4 == 0 else "train" for i in range(len(rows))]
        csv.writer(file).writerows(
            [("path", "label", "Split"), *((*r, p) for r, p in zip(rows, parts, strict=True))]
        )
    splits = read_splits(str(table))
    assert [len(p) for _, p in splits.items()] == [30, 10]
    assert all(Path(key).parts[1] == name for key, name in class_by_key(splits.val).items())


def test_parquet_with_named_classes_and_with_strings(files: Path) -> None:
    names = ["cat", "ant"]  # not in order: labels must follow names
    rows = rows_of(files)
    images = [{"bytes": (files.parent / path).read_bytes(), "path": path} for path, _ in rows]
    table = pa.table({"image": images, "label": [names.index(name) for _, name in rows]})
    features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    table = table.replace_schema_metadata(metadata)
    folder = files.parent / "tables"
    folder.mkdir()
    pq.write_table(table.slice(0, 25), folder / "train-00000-of-00002.parquet")
    pq.write_table(table.slice(25), folder / "train-00001-of-00002.parquet")
    strings = pa.table({"image": [i["bytes"] for i in images], "label": [name for _, name in rows]})
    pq.write_table(strings, folder / "test.parquet")
    splits = read_splits(str(folder))
    assert splits.classes == ("ant", "cat")
    assert all(Path(key).parts[1] == name for key, name in class_by_key(splits.train).items())
    assert splits.test is not None
    assert [splits.classes[i] for i in splits.test.labels] == [name for _, name in rows]
    with Image.open(files.parent / rows[3][0]) as image:
        assert splits.test.open(3).tobytes() == image.convert("RGB").tobytes()
    assert splits.test.keys[3] == "test.parquet#3"


def test_labels_follow_names_of_the_network_not_of_the_folder(tmp_path: Path, make_folder: Any) -> None:
    make_folder(tmp_path, {"b": 3, "c": 3})
    split, images = read_split(str(tmp_path), ("a", "b", "c", "d"))
    assert split == "all"
    assert set(images.labels.tolist()) == {1, 2}
    assert all(Path(key).parts[0] == name for key, name in class_by_key(images).items())
    with pytest.raises(DataError, match="'c'"):
        read_split(str(tmp_path), ("a", "b"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("path,label\n", "no rows"),
        ("where,label\na.png,x\n", "no image column"),
        ("path,what\na.png,x\n", "no label column"),
        ("path,label\na.png\n", "fewer fields"),
        ("path,label,split\na.png,x,dev\n", "'dev'"),
    ],
)
def test_tables_that_cannot_be_used(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=says) as error:
        read_splits(str(tmp_path / "t.csv"))
    assert "t.csv" in str(error.value)


def test_other_layouts_that_cannot_be_used(tmp_path: Path, make_folder: Any) -> None:
    make_folder(tmp_path / "two" / "train", {"a": 4, "b": 4})
    make_folder(tmp_path / "two" / "val", {"a": 1})
    make_folder(tmp_path / "two" / "valid", {"a": 1})
    with pytest.raises(DataError, match="keep one"):
        read_splits(str(tmp_path / "two"))
    loose = make_folder(tmp_path / "loose", {"x": 4}) / "x"
    with pytest.raises(DataError, match="4 images but no class folders"):
        read_splits(str(loose))
    with pytest.raises(DataError, match="Is it 'loose'"):
        read_splits(str(tmp_path / "lose"))
    with pytest.raises(DataError, match="Is it 'digits'"):
        read_splits("digit")
    make_folder(tmp_path / "few", {"a": 9, "b": 2})
    with pytest.raises(DataError, match="'b' has fewer than 3"):
        read_splits(str(tmp_path / "few"))


def test_the_fingerprint_changes_with_the_images(tmp_path: Path, make_folder: Any) -> None:
    data = str(make_folder(tmp_path, {"a": 5, "b": 5}))
    before = fingerprint(read_splits(data))
    assert fingerprint(read_splits(data)) == before
    make_folder(tmp_path, {"a": 5, "b": 6})
    assert fingerprint(read_splits(data)) != before
    (tmp_path / "b" / "5.png").unlink()
    assert fingerprint(read_splits(data)) == before
    with open(tmp_path / "a" / "0.png", "ab") as file:
        file.write(b"x")
    assert fingerprint(read_splits(data)) != before


@pytest.mark.parametrize("entry", ["train", "val"])
def test_names_decide_labels_where_a_split_lacks_classes(
    entry: str, tmp_path: Path, make_folder: Any
) -> None:
    make_folder(tmp_path / "train", {"a": 3, "b": 3, "c": 3, "d": 3})
    make_folder(tmp_path / "val", {"b": 2, "d": 1})
    splits = read_splits(str(tmp_path))
    assert splits.val.classes == splits.classes == ("a", "b", "c", "d")
    assert splits.val.labels.tolist() == [1, 1, 3]
    assert any("no image of a, c" in note for note in splits.notes)
    name, images = read_split(str(tmp_path), ("d", "c", "b", "a"), entry)
    assert name == entry
    assert all(Path(key).parts[0] == word for key, word in class_by_key(images).items())


def test_folders_that_cannot_be_used_are_named(tmp_path: Path, make_folder: Any) -> None:
    make_folder(tmp_path / "extra" / "train", {"a": 3, "b": 3})
    make_folder(tmp_path / "extra" / "val", {"a": 1, "zebra": 1})
    (tmp_path / "empty").mkdir()
    make_folder(tmp_path / "one", {"a": 30})
    make_folder(tmp_path / "hollow", {"a": 9, "b": 9})
    (tmp_path / "hollow" / "c").mkdir()
    (tmp_path / "hollow" / "c" / "notes.txt").touch()
    make_folder(tmp_path / "unseen" / "train", {"a": 3, "b": 3})
    (tmp_path / "unseen" / "val" / "a").mkdir(parents=True)
    make_folder(tmp_path / "headless" / "val", {"a": 3, "b": 3})
    for folder, says in (
        ("extra", "val has images of 'zebra', which train lacks"),
        ("empty", "is empty"),
        ("one", "only one class, 'a'"),
        ("hollow", "class 'c' has no images"),
        ("unseen", "val has no images"),
        ("headless", "no train split"),
    ):
        with pytest.raises(DataError, match=says) as error:
            read_splits(str(tmp_path / folder))
        assert str(tmp_path / folder) in str(error.value)


def test_a_folder_that_cannot_be_read_is_named_wherever_it_lies(
    tmp_path: Path, make_folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(tmp_path, {"a": 9, "b/deep": 9, "b": 9})
    scandir = os.scandir

    def refusing(path: Any) -> Any:  # root may read all, so permissions would not do
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", refusing)
    for look in (lambda: read_splits(str(tmp_path)), lambda: images_under(tmp_path)):
        with pytest.raises(DataError, match=r"b/deep: this folder cannot be read \(Permission denied\)"):
            look()


@pytest.fixture
def as_nobody() -> Iterator[Callable[[str], DataError]]:
    """Gives a folder of the current folder to read as a user who may not read all, as the superuser may."""
    user = os.geteuid()

    def read(data: str) -> DataError:
        if user == 0:
            os.seteuid(65534)
        try:
            with pytest.raises(DataError) as error:
                read_splits(data)
        finally:
            os.seteuid(user)
        return error.value

    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        Path(place).chmod(0o755)
        patch.chdir(place)
        yield read
        for path in Path().rglob("*"):
            path.chmod(0o755)


@pytest.mark.parametrize("mode", [0o000, 0o444])
@pytest.mark.parametrize("prefix", ["", "stream:"])
def test_a_data_folder_that_may_not_be_read(
    mode: int, prefix: str, as_nobody: Callable[[str], DataError], make_folder: Any
) -> None:
    data = make_folder(Path("data"), {"a": 4, "b": 4}, (4, 4))
    data.chmod(mode)
    assert str(as_nobody(f"{prefix}data")) == "data: cannot be read (Permission denied)"
    data.chmod(0o755)
    (data / "inner").mkdir()
    data.chmod(mode)
    assert str(as_nobody(f"{prefix}data/inner")) == "data/inner: cannot be read (Permission denied)"


@pytest.mark.parametrize("folder", ["data/train", "data/val", "data/train/a", "data/test"])
def test_a_folder_in_it_that_may_not_be_read(
    folder: str, as_nobody: Callable[[str], DataError], make_folder: Any
) -> None:
    make_folder(Path("data"), {"train/a": 4, "train/b": 4, "val/a": 4, "test/a": 1}, (4, 4))
    Path(folder).chmod(0)
    assert f"{folder}: " in str(as_nobody("data"))
    assert "cannot be read (Permission denied)" in str(as_nobody("data"))


def test_hidden_and_other_files_are_no_images(tmp_path: Path, make_folder: Any) -> None:
    make_folder(tmp_path, {"a": 15, "b": 15})
    before = fingerprint(read_splits(str(tmp_path)))
    for name in (".hidden/x.png", "a/.x.png", "a/.thumbs/x.png", "a/notes.txt", "loose.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert fingerprint(read_splits(str(tmp_path))) == before
    make_folder(tmp_path / "a", {"deep": 1})
    (tmp_path / "a" / "deep" / "again").symlink_to(tmp_path / "a")  # a loop
    assert "a/deep/0.png" in read_split(str(tmp_path), ("a", "b"))[1].keys


def test_images_in_unsupported_formats_are_reported(tmp_path: Path, make_folder: Any) -> None:
    make_folder(tmp_path, {"a": 20, "b": 20})
    for name in ("a/x.PSD", "a/sub/y.psd", "b/z.dng", "b/notes.txt", "b/.w.psd"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert read_splits(str(tmp_path)).notes[0] == (
        "left out 3 images in formats that are not read (.dng, .psd), the first a/x.PSD: convert them to "
        "JPEG or PNG"
    )
    for image in tmp_path.glob("b/*.png"):
        image.unlink()
    with pytest.raises(DataError, match=r"class 'b' has no images.*3 images in formats that are not read"):
        read_splits(str(tmp_path))


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["1.dng", "2.PSD"], r"has 2 images in formats that are not read \(\.dng, \.psd\), the first 1\.dng"),
        (["1.svg", "notes.txt"], r"has 1 image in formats that are not read \(\.svg\).*columns path"),
        (["notes.txt", "LICENSE", "t.csv"], r"has 3 files, no images and no folders.*There is t\.csv"),
        ([".hidden.png", "Thumbs.db"], "is empty"),
    ],
)
@pytest.mark.parametrize("split", ["", "val"])
def test_a_folder_without_folders_says_what_is_there(
    names: list[str], says: str, split: str, tmp_path: Path, make_folder: Any
) -> None:
    if split:
        make_folder(tmp_path / "train", {"a": 3, "b": 3}, (4, 4))
        (tmp_path / split).mkdir()
    for name in names:
        (tmp_path / split / name).write_bytes(b"text")
    with pytest.raises(DataError, match=f"{tmp_path / split}: {says}"):
        read_splits(str(tmp_path))


@pytest.mark.skipif(".heic" not in UNSUPPORTED_SUFFIXES, reason="HEIC is read here")
def test_a_folder_of_photos_of_a_telephone(tmp_path: Path) -> None:
    for name in ("cat/1.HEIC", "dog/2.heic"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    for folder, says in ((tmp_path, "no images.*2 images"), (tmp_path / "cat", "has 1 image")):
        with pytest.raises(DataError, match=rf"{says} in formats .*or pip install 'resnext\[heif\]'"):
            read_splits(str(folder))


def test_images_without_a_suffix_are_images_wherever_they_lie(tmp_path: Path, make_folder: Any) -> None:
    make_folder(tmp_path, {"train/a": 10, "train/b": 10, "test": 3, "heap": 3}, (4, 4))
    for path in sorted(tmp_path.rglob("*.png")):
        path.rename(path.with_suffix(""))
    (tmp_path / "test" / "LICENSE").write_text("free")
    with pytest.raises(DataError, match="has 3 images but no class folders"):
        read_splits(str(tmp_path / "heap"))
    notes = read_splits(str(tmp_path)).notes
    assert "left out test, whose images have no labels" in notes
    assert "left out heap: folders with images whose names are not train, val or test" in notes


def test_splits_that_training_made_are_made_again(tmp_path: Path, make_folder: Any) -> None:
    make_folder(tmp_path / "train", {"a": 20, "b": 20})
    splits = read_splits(str(tmp_path))
    again = read_split(str(tmp_path), splits.classes, "train", fingerprint(splits))[1]
    assert list(again.keys) == list(splits.train.keys)
    everything = read_split(str(tmp_path), splits.classes, "train")[1]
    assert len(everything) == 40 > len(again)


def test_splits_are_not_made_of_images_that_may_have_been_trained_on(
    tmp_path: Path, make_folder: Any
) -> None:
    make_folder(tmp_path, {"a": 20, "b": 20})
    splits = read_splits(str(tmp_path))
    make_folder(tmp_path, {"a": 21})
    with pytest.raises(DataError, match=r"has no test split of its own.*leave out --split"):
        read_split(str(tmp_path), splits.classes, "test", fingerprint(splits))
    assert read_split(str(tmp_path), splits.classes, None, fingerprint(splits))[0] == "all"
    assert len(read_split(str(tmp_path), splits.classes, "test", None)[1]) == 4  # nothing was


def test_a_class_named_like_a_split_is_reported(tmp_path: Path, make_folder: Any) -> None:
    make_folder(tmp_path, {"bus": 6, "car": 6, "train": 6})
    with pytest.raises(DataError, match=r"train: has 6 images but no class folders.*a class, as bus is\?"):
        read_splits(str(tmp_path))
    shutil.rmtree(tmp_path / "train")
    make_folder(tmp_path / "train", {"electric": 6, "steam": 6})
    splits = read_splits(str(tmp_path))
    assert splits.classes == ("electric", "steam")
    assert "left out bus, car: folders with images whose names are not train, val or test" in splits.notes
    (tmp_path / "tables").mkdir()
    shutil.move(tmp_path / "bus", tmp_path / "tables" / "bus")
    for name, numbers in (("train", range(4)), ("val", range(4, 6))):
        rows = [f"bus/{i}.png,{'ab'[i % 2]}" for i in numbers]
        (tmp_path / "tables" / f"{name}.csv").write_text("\n".join(["path,label", *rows, ""]))
    assert read_splits(str(tmp_path / "tables")).notes == ()  # here they are the images


@pytest.mark.parametrize("names", [("Training", "Testing"), ("TRAIN", "Test"), ("train", "testing")])
def test_names_of_splits_in_other_case(names: tuple[str, str], tmp_path: Path, make_folder: Any) -> None:
    for name in names:
        make_folder(tmp_path / name, {"a": 10, "b": 10})
    splits = read_splits(str(tmp_path))
    assert splits.classes == ("a", "b")
    assert [name for name, _ in splits.items()] == ["train", "val", "test"]
    make_folder(tmp_path / "test", {"a": 1})
    with pytest.raises(DataError, match="are all test; keep one"):
        read_splits(str(tmp_path))


def test_equal_images_elsewhere_have_an_equal_fingerprint(tmp_path: Path, make_folder: Any) -> None:
    one, other = (str(make_folder(tmp_path / name, {"a": 20, "b": 10})) for name in ("here", "there"))
    assert fingerprint(read_splits(one)) == fingerprint(read_splits(other))
    (tmp_path / "there" / "a").rename(tmp_path / "there" / "c")
    assert fingerprint(read_splits(one)) != fingerprint(read_splits(other))


@pytest.mark.parametrize("counts", [(3, 3), (10, 10), (30, 70, 3), (41, 9, 17, 5)])
def test_a_division_leaves_every_class_something_to_train_on(counts: tuple[int, ...], tmp_path: Path) -> None:
    """A tenth each for val and test, in shares that differ by less than two images, and one more of each
    class that would have none and can spare it."""
    words = [chr(97 + i) for i, n in enumerate(counts) for _ in range(n)]
    table = tmp_path / "t.csv"
    with open(table, "w", newline="") as file:
        rows = [(f"{i}.png", word) for i, word in enumerate(words)]
        csv.writer(file).writerows([("path", "label"), *rows])
    splits = read_splits(str(table))
    tenth = len(words) // 10
    held = [] if splits.test is None else splits.test.labels
    tested = set() if splits.test is None else set(splits.test.keys)
    everything = np.array([splits.classes.index(word) for word in words])
    rest = np.array([splits.classes.index(word) for path, word in rows if path not in tested])
    for labels, of, share, spare in (
        (held, everything, tenth, 3),
        (splits.val.labels, rest, max(1, tenth), 2),
    ):
        without = np.bincount(of[stratified_holdout(of, share, SPLIT_SEED)[1]], minlength=len(counts)) == 0
        lacking = without & (np.bincount(of, minlength=len(counts)) >= spare)
        assert len(labels) == (share + np.sum(lacking) if share else 0)
        held_out = np.bincount(np.asarray(labels, dtype=np.int64), minlength=len(counts))
        assert share == 0 or held_out.min() >= 1
    assert sorted(k for _, p in splits.items() for k in p.keys) == sorted(path for path, _ in rows)
    assert all(dict(rows)[k] == word for _, p in splits.items() for k, word in class_by_key(p).items())
    assert np.bincount(splits.train.labels, minlength=len(counts)).min() >= 1
    shown = np.bincount(np.asarray(held, dtype=np.int64), minlength=len(counts))
    assert np.abs(shown - np.array(counts) * tenth / len(words)).max() <= 1


def test_a_set_has_the_name_of_its_folder_or_file(
    tmp_path: Path, make_folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pa.table({"image": [b"x"] * 20, "label": ["a", "b"] * 10})
    (tmp_path / "v1.5").mkdir()
    pq.write_table(table, tmp_path / "v1.5" / "pets.parquet")
    monkeypatch.chdir(tmp_path / "v1.5")
    for data in (".", "./", f"{tmp_path}/v1.5/", f"{tmp_path}/v1.5"):
        assert read_splits(f"stream:{data}").name == "v1.5"
    assert read_splits("stream:pets.parquet").name == read_splits("pets.parquet").name == "pets"
    assert read_splits(str(make_folder(tmp_path / "v2.0", {"a": 5, "b": 5}, (4, 4)))).name == "v2.0"


def test_tables_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1 cut off")
    with pytest.raises(DataError, match="cannot be read as parquet"):
        read_splits(str(tmp_path / "t.parquet"))
    (tmp_path / "t.txt").touch()
    with pytest.raises(DataError, match=r"must end in \.parquet or \.csv"):
        read_splits(str(tmp_path / "t.txt"))


def write_images(path: Path, words: list[str], **columns: list[Any]) -> None:
    """A table of images that no one opens."""
    names = [f"{path.stem}/{i}.png" for i in range(len(words))]
    table = pa.table({"path": names, "label": words, **columns})
    if path.suffix == ".csv":
        lines = [table.column_names, *zip(*table.to_pydict().values(), strict=True)]
        path.write_text("".join(",".join(map(str, line)) + "\n" for line in lines))
    else:
        pq.write_table(table, path)


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_shards_of_a_split_are_all_there(suffix: str, tmp_path: Path) -> None:
    for split in ("train", "val"):
        for number in range(3):
            write_images(tmp_path / f"{split}-{number:05d}-of-00003{suffix}", ["a", "b"] * 5)
    assert [len(images) for _, images in read_splits(str(tmp_path)).items()] == [30, 30]
    gone = tmp_path / f"val-00001-of-00003{suffix}"
    gone.rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=f"1 of 3 shards are missing: {gone.name}"):
        read_splits(str(tmp_path))
    (tmp_path / "elsewhere").rename(gone)
    write_images(tmp_path / f"train-00000-of-00002{suffix}", ["a", "b"])
    with pytest.raises(DataError, match="two generations of shards"):
        read_splits(str(tmp_path))
    (tmp_path / f"train-00000-of-00002{suffix}").rename(tmp_path / f"train{suffix}")
    with pytest.raises(DataError, match="two generations of shards"):
        read_splits(str(tmp_path))
    (tmp_path / f"train{suffix}").unlink()
    other = {".parquet": ".csv", ".csv": ".parquet"}[suffix]
    write_images(tmp_path / f"val{other}", ["a", "b"])
    with pytest.raises(DataError, match="are all val; keep one"):
        read_splits(str(tmp_path))
    for path in tmp_path.glob("val-*"):
        path.unlink()
    write_images(tmp_path / f"val{suffix}", ["a", "b"])
    with pytest.raises(DataError, match=r"val\.csv and val\.parquet are all val; keep one"):
        read_splits(str(tmp_path))


def test_one_shard_of_several_says_so(tmp_path: Path) -> None:
    write_images(tmp_path / "train-00001-of-00003.parquet", ["a", "b"] * 10)
    notes = read_splits(str(tmp_path / "train-00001-of-00003.parquet")).notes
    assert any("is one of 3 shards" in note for note in notes)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("path,label,label\na.png,x,y\n", "several columns called 'label'"),
        ("path,Label,label\na.png,x,y\n", "the columns Label and label"),
        ("path,label,split,Split\na.png,x,val,train\n", "the columns split and Split"),
        ("path,label\na.png,x\n,y\n", r"names no image in row 1 \(from 0\)"),
        ("path,label\na.png,x\nb.png,y\na.png,y\n", r"a\.png is 'x' in row 0 and 'y' in row 2"),
        ('path,label\na.png,x\nb.png,"y\nc.png,x\n', "cannot be read as csv"),
        ("path,label,split\na.png,x,val\nb.png,y,\n", r"holds '' in row 1 \(from 0\)"),
    ],
)
def test_tables_of_which_two_things_could_be_meant(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=says):
        read_splits(str(tmp_path / "t.csv"))


def test_columns_that_nobody_asks_for_may_be_nameless(tmp_path: Path) -> None:
    lines = ["path,label,,", *(f"{i}.png,{'ab'[i % 2]},," for i in range(20)), ""]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    assert read_splits(str(tmp_path / "t.csv")).classes == ("a", "b")


def test_a_table_whose_last_line_has_no_end_is_reported(tmp_path: Path) -> None:
    write_images(tmp_path / "t.csv", ["a", "b"] * 10)
    assert not any("line end" in note for note in read_splits(str(tmp_path / "t.csv")).notes)
    (tmp_path / "t.csv").write_text((tmp_path / "t.csv").read_text()[:-1])
    assert (
        "the last line of t.csv has no line end: is the file whole?"
        in read_splits(str(tmp_path / "t.csv")).notes
    )


def test_only_regular_files_are_images(tmp_path: Path, make_folder: Any) -> None:
    make_folder(tmp_path, {"a": 15, "b": 15})
    before = fingerprint(read_splits(str(tmp_path)))
    os.mkfifo(tmp_path / "a" / "pipe.png")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "b" / "socket.png"))
    splits = read_splits(str(tmp_path))
    assert fingerprint(splits) == before
    assert "left out 2 files that are pipes, sockets or devices, the first a/pipe.png" in splits.notes


def test_a_link_that_leads_nowhere_is_a_missing_image(tmp_path: Path, make_folder: Any) -> None:
    make_folder(tmp_path, {"a": 15, "b": 15})
    (tmp_path / "a" / "gone.png").symlink_to("nowhere.png")
    (tmp_path / "a" / "itself.png").symlink_to("itself.png")
    keys = [key for _, images in read_splits(str(tmp_path)).items() for key in images.keys]
    assert {"a/gone.png", "a/itself.png"} < set(keys)


def test_two_class_folders_that_are_one(tmp_path: Path, make_folder: Any) -> None:
    make_folder(tmp_path, {"a": 15, "b": 15})
    (tmp_path / "c").symlink_to(tmp_path / "a")
    with pytest.raises(DataError, match="the class folders a and c are one folder"):
        read_splits(str(tmp_path))


def test_images_beside_class_folders_are_reported(tmp_path: Path, make_folder: Any) -> None:
    make_folder(tmp_path, {"a": 15, "b": 15})
    for name in ("y.png", "x.jpg", ".z.png", "notes.txt", "v.dng"):
        (tmp_path / name).touch()
    (tmp_path / "a" / "0.png").rename(tmp_path / "w")
    assert "left out 4 images beside the class folders, the first v.dng" in read_splits(str(tmp_path)).notes


def test_a_split_without_labels_is_left_out_and_reported(tmp_path: Path) -> None:
    """As the hub has ImageNet: the labels of its test images are kept back, and -1."""
    names = {"huggingface": json.dumps({"info": {"features": {"label": {"names": ["a", "b"]}}}})}
    for split, labels in (("train", [0, 1] * 10), ("val", [0, 1] * 2), ("test", [-1] * 4)):
        table = pa.table({"image": [b"x"] * len(labels), "label": labels}).replace_schema_metadata(names)
        pq.write_table(table, tmp_path / f"{split}.parquet")
    splits = read_splits(str(tmp_path))
    assert (len(splits.train), len(splits.val), splits.test) == (20, 4, None)
    assert splits.notes == ("left out test, whose images have no labels",)
    assert read_split(str(tmp_path), ("a", "b"))[0] == "val"
    with pytest.raises(DataError, match="no test split; found train, val"):
        read_split(str(tmp_path), ("a", "b"), "test")
    with pytest.raises(DataError, match="not one image has a label"):
        read_splits(str(tmp_path / "test.parquet"))


def test_whole_number_labels_are_names_too(tmp_path: Path) -> None:
    values = [10, 9, 100] * 10
    pq.write_table(pa.table({"img": [b"x"] * 30, "label": values}), tmp_path / "t.parquet")
    splits = read_splits(str(tmp_path / "t.parquet"))
    assert splits.classes == ("10", "100", "9")
    rows = {f"t.parquet#{i}": str(v) for i, v in enumerate(values)}
    assert {k: v for _, p in splits.items() for k, v in class_by_key(p).items()} == rows


def test_a_table_without_rows(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"image": pa.array([], pa.binary()), "label": pa.array([], pa.string())}),
        tmp_path / "t.parquet",
    )
    with pytest.raises(DataError, match="has no rows"):
        read_splits(str(tmp_path / "t.parquet"))


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_a_test_table_without_labels_is_left_out(suffix: str, tmp_path: Path) -> None:
    """As competitions give it: the labels of test are theirs."""

    def write(split: str, **columns: list[Any]) -> None:
        table = pa.table(columns)
        path = tmp_path / f"{split}{suffix}"
        if suffix == ".parquet":
            pq.write_table(table, path)
        elif suffix == ".jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
        else:
            rows = [table.column_names, *([*row.values()] for row in table.to_pylist())]
            path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))

    for folder in ("trainx", "testx"):
        (tmp_path / folder).mkdir()
        for i in range(6):
            Image.new("RGB", (4, 4)).save(tmp_path / folder / f"{i}.png")
    names = [f"trainx/{i}.png" for i in range(6)]
    write("train", id_code=names, diagnosis=list("aaabbb"))
    write("test", id_code=[name.replace("train", "test") for name in names])
    splits = read_splits(str(tmp_path))
    assert (splits.classes, splits.test) == (("a", "b"), None)
    assert "left out test, whose images have no labels" in splits.notes
    write("test", id_code=names, label=list("aabbab"))  # now it has some
    with pytest.raises(DataError, match="more than one split"):
        read_splits(str(tmp_path))


def test_the_notes_of_an_index_are_told_wherever_it_is_read(tmp_path: Path, make_folder: Any) -> None:
    make_folder(tmp_path / "data", {"a": 10, "b": 10})
    Image.new("RGB", (4, 4)).save(tmp_path / "data" / "loose.png")
    api.index_images(tmp_path / "data", tmp_path / "set.index")
    note = "left out 1 image beside the class folders, the first loose.png"
    assert note in read_splits(str(tmp_path / "set.index")).notes
    assert note in split_notes(read_split(str(tmp_path / "set.index"), ("a", "b"))[1])
