"""An index gives the same data set as the files that it was made from."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from resnext import api
from resnext.contract import GreyRange
from resnext.data.decode import DataError
from resnext.data.index import OLD_NOTE, OLD_NOTES, IndexFacts, PackedNames, _digest, read_index
from resnext.data.sources import read_split, read_splits
from resnext.data.splits import Splits, fingerprint
from resnext.parsing import build
from resnext.run import RunStarted

pytestmark = pytest.mark.usefixtures("no_reports")
ODD = ["ä ö.png", "a,b;c.png", os.fsdecode(b"\xff\xfe.png"), "x" * 200 + ".png"]


def assert_equal(ours: Splits, theirs: Splits) -> None:
    assert (ours.name, ours.classes, ours.allows_flips, ours.notes) == (
        theirs.name,
        theirs.classes,
        theirs.allows_flips,
        theirs.notes,
    )
    assert fingerprint(ours) == fingerprint(theirs)
    for (name, a), (other, b) in zip(ours.items(), theirs.items(), strict=True):
        assert name == other
        assert list(a.keys) == list(b.keys)
        np.testing.assert_array_equal(a.labels, b.labels)
        assert [a.stored_size(i) for i in range(len(a))] == [b.stored_size(i) for i in range(len(b))]
        assert all(a.open(i).tobytes() == b.open(i).tobytes() for i in range(0, len(a), 5))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Class folders with names of every kind."""
    random = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / "pets" / label).mkdir(parents=True)
        for name in [*ODD, *(f"{i}.png" for i in range(20))]:
            values = random.integers(0, 256, (9, 7, 3), dtype=np.uint8)
            Image.fromarray(values).save(tmp_path / "pets" / label / name)
    return tmp_path / "pets"


def test_a_folder(folder: Path, tmp_path: Path) -> None:
    index = api.index_images(folder, tmp_path / "pets.index")
    assert_equal(read_splits(str(index)), read_splits(str(folder)))
    name, images = read_split(str(index), ("cat", "dog"))
    assert (name, len(images)) == ("test", 4)


def test_a_table_of_paths(folder: Path, tmp_path: Path) -> None:
    rows = [f"{path.relative_to(folder)},{path.parent.name}" for path in sorted(folder.rglob("[0-9]*.png"))]
    (folder / "list.csv").write_text("\n".join(["path,label", *rows]))
    index = api.index_images(folder / "list.csv", tmp_path / "list.index")
    assert_equal(read_splits(str(index)), read_splits(str(folder / "list.csv")))


def test_other_processes_map_the_files_themselves(folder: Path, tmp_path: Path) -> None:
    train = read_splits(str(api.index_images(folder, tmp_path / "pets.index"))).train
    copy = pickle.dumps(train)
    assert len(copy) < 1000
    again = pickle.loads(copy)
    assert list(again.keys) == list(train.keys)
    assert again.known_scan is not None
    assert again.known_scan.shorter_px.tolist() == [7] * len(train)


def test_training_on_an_index_does_not_scan_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = api.index_images(folder, tmp_path / "pets.index")
    small = {"model": "resnext11_2x4d+template=8", "epochs": 1, "batch": 8, "data__size_px": 8}
    theirs = api.train(folder, runs=tmp_path, name="folder", **small)
    from resnext.data import scan

    def never(*_: object) -> None:
        raise AssertionError("scanned")

    monkeypatch.setattr(scan, "ThreadPoolExecutor", never)
    ours = api.train(index, runs=tmp_path, name="index", **small)
    assert ours.result["metrics"] == theirs.result["metrics"]
    assert ours.contract.mean == theirs.contract.mean


def test_bad_images_are_remembered(folder: Path, tmp_path: Path) -> None:
    (folder / "cat" / "3.png").write_bytes(b"no image")
    index = api.index_images(folder, tmp_path / "pets.index")
    for data in (folder, index):
        with pytest.raises(DataError, match=r"cat/3\.png"):
            api.train(data, runs=tmp_path, model="resnext11_2x4d+template=8")


def test_bad_images_may_have_any_name(folder: Path, tmp_path: Path) -> None:
    """A name in another encoding is no text for JSON; it must not end a scan of all images."""
    (folder / "cat" / os.fsdecode(b"caf\xe9.png")).write_bytes(b"no image")
    index = api.index_images(folder, tmp_path / "pets.index")
    small = {"model": "resnext11_2x4d+template=8", "epochs": 1, "batch": 8, "on_bad": "skip"}
    for name, data in (("folder", folder), ("index", index)):
        run = api.train(data, runs=tmp_path, name=name, **small)
        skipped = json.loads((run.folder / "data.json").read_text())["skipped"]
        (key,) = [key for split in skipped.values() for key, _ in split.values()]
        assert key.endswith(r"cat/caf\udce9.png")


def test_indexes_that_cannot_be_written_or_read(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"must end in \.index"):
        api.index_images(folder, tmp_path / "pets")
    with pytest.raises(DataError, match="not files of their own"):
        api.index_images("digits", tmp_path / "digits.index")
    index = api.index_images(folder, tmp_path / "pets.index")
    with pytest.raises(DataError, match="exists already"):
        api.index_images(folder, index)
    facts = json.loads((index / "index.json").read_text())
    for change, message in (
        ({"schema": 4}, "schema 4; this version reads up to 3"),
        ({"splits": {}}, "not a complete index"),
        ({"classes": None}, "not a complete index"),
        ({"classes": ["dog", "cat"]}, "its digest is another"),
    ):
        (index / "index.json").write_text(json.dumps(facts | change))
        with pytest.raises(DataError, match=message):
            read_index(index)
    (index / "index.json").write_text(json.dumps(facts))
    (index / "train.sizes.npy").unlink()
    with pytest.raises(DataError, match="not a complete index"):
        read_index(index)


def test_images_that_were_moved(folder: Path, tmp_path: Path) -> None:
    index = api.index_images(folder, tmp_path / "pets.index")
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="which is not there"):
        read_index(index)


def forge(index: Path, facts: dict[str, Any]) -> None:
    """Write index.json with the digest that makes it believed."""
    made = build(IndexFacts, facts, "facts")
    (index / "index.json").write_text(json.dumps(facts | {"digest": _digest(index, made)}))


@pytest.mark.parametrize(
    ("array", "change", "says"),
    [
        ("labels", lambda a: np.full_like(a, -1), "a label is none of its 2 classes"),
        ("labels", lambda a: a + 1, "a label is none of its 2 classes"),
        ("labels", lambda a: a[1:], "does not hold the 40 images"),
        ("labels", lambda a: a.astype(np.int32), "an array of another type"),
        ("ends", lambda a: a[::-1].copy(), "its names do not follow each other"),
        ("ends", lambda a: a - 1, "its names do not follow each other"),
        ("sizes", lambda a: -a, "size of a readable image is below 0"),
        ("shorter_px", lambda a: a * 0, "side of a readable image is below 1"),
        ("text", lambda a: np.frombuffer(a.tobytes().replace(b"cat/", b"/cat"), np.uint8), "leads out"),
        ("text", lambda a: np.frombuffer(a.tobytes().replace(b"cat/", b"../x"), np.uint8), "leads out"),
    ],
)
def test_arrays_that_do_not_fit_together(
    array: str, change: Any, says: str, folder: Path, tmp_path: Path
) -> None:
    """Even where the digest is right, and in an index of the first schema, which has none."""
    index = api.index_images(folder, tmp_path / "pets.index")
    facts = json.loads((index / "index.json").read_text())
    path = index / f"train.{array}.npy"
    np.save(path, change(np.load(path)))
    with pytest.raises(DataError, match="its digest is another"):
        read_index(index)
    forge(index, facts)
    with pytest.raises(DataError, match=says):
        read_index(index)
    make_old(index)
    with pytest.raises(DataError, match=rf"{says}|names, labels or sizes"):
        read_index(index)


def known_before(facts: dict[str, Any]) -> dict[str, Any]:
    """index.json without what schema 3 has added."""
    for split in facts["splits"].values():
        for name in ("grey_values", "grey", "blank"):
            del split["known"][name]
    return facts


def make_old(index: Path) -> None:
    """Turn an index into one of the first schema."""
    facts = known_before(json.loads((index / "index.json").read_text()))
    del facts["digest"]
    for split in facts["splits"].values():
        del split["inside"]
    (index / "index.json").write_text(json.dumps(facts | {"schema": 1}))
    for name in ("times", "digests"):
        for path in index.glob(f"*.{name}.npy"):
            path.unlink()


def test_an_index_of_the_first_schema(folder: Path, tmp_path: Path) -> None:
    index = api.index_images(folder, tmp_path / "pets.index")
    make_old(index)
    old, new = read_splits(str(index)), read_splits(str(folder))
    assert OLD_NOTE in old.notes
    assert_equal(replace(old, notes=new.notes), new)
    small = {"model": "resnext11_2x4d+template=8", "epochs": 1, "batch": 8, "data__size_px": 8}
    run = api.train(index, runs=tmp_path, name="x", **small)
    assert api.train(index, runs=tmp_path, name="x", resume="must", **small).result == run.result
    with pytest.raises(DataError, match="give its folder"):
        api.index_images(index, tmp_path / "again.index")
    (folder / "cat" / "3.png").write_bytes(b"another size")
    with pytest.raises(DataError, match=r"1 have changed or gone.*cat/3\.png"):
        read_index(index)


def make_second(index: Path) -> None:
    """Turn an index into one of the second schema, with the digest that its version wrote."""
    facts = known_before(json.loads((index / "index.json").read_text())) | {"schema": 2, "digest": ""}
    arrays = ("text", "ends", "labels", "sizes", "shorter_px", "times", "digests")
    names = [f"{split}.{array}.npy" for split in facts["splits"] for array in arrays]
    digests = [hashlib.sha256((index / name).read_bytes()).hexdigest() for name in names]
    digest = hashlib.sha256(json.dumps([facts, names, digests], sort_keys=True).encode()).hexdigest()
    (index / "index.json").write_text(json.dumps(facts | {"digest": digest}))


def test_an_index_of_the_second_schema(folder: Path, tmp_path: Path) -> None:
    """It judged deep grey images alone, and so does a run on it."""
    index = api.index_images(folder, tmp_path / "pets.index")
    make_second(index)
    old, new = read_splits(str(index)), read_splits(str(folder))
    assert_equal(replace(old, notes=new.notes), new)
    assert [note for note in old.notes if note not in new.notes] == [OLD_NOTES[2]]
    facts = json.loads((index / "index.json").read_text())
    (index / "index.json").write_text(json.dumps(facts | {"name": "other"}))
    with pytest.raises(DataError, match="its digest is another"):
        read_index(index)


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    """Class folders of 12 bits, stored as 16."""
    random = np.random.default_rng(0)
    for number in range(24):
        path = tmp_path / "deep" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 4000, (9, 7)).astype(np.uint16)).save(path)
    Image.fromarray(np.full((9, 7), 7, np.uint16)).save(tmp_path / "deep" / "a" / "x.png")
    return tmp_path / "deep"


SMALL: dict[str, Any] = {"model": "resnext11_2x4d+template=8", "epochs": 1, "batch": 8, "data__size_px": 8}


@pytest.mark.parametrize("grey", [None, (100.0, 3000.0)])
def test_a_run_on_an_index_has_the_range_of_one_on_its_files(
    grey: tuple[float, float] | None, deep: Path, tmp_path: Path
) -> None:
    index = api.index_images(deep, tmp_path / "deep.index")
    said: dict[str, Any] = {} if grey is None else {"data__grey": grey}
    notes: dict[str, Any] = {}

    def note(event: Any) -> None:
        if isinstance(event, RunStarted):
            notes[event.folder.name] = event.notes

    ours, theirs = (
        api.train(data, runs=tmp_path / "runs", name=data.name, on_event=note, **SMALL, **said)
        for data in (index, deep)
    )
    assert ours.contract == theirs.contract
    assert ours.contract.grey == GreyRange(*(grey or (0, 4095)))
    assert ours.result["metrics"] == theirs.result["metrics"]
    assert notes["deep.index"] == notes["deep"]
    assert any("1 image is one colour throughout: a/x.png" in note for note in notes["deep"])


def test_an_index_is_made_where_a_run_would_ask_for_the_range(deep: Path, tmp_path: Path) -> None:
    signed = np.arange(-5, 58).reshape(9, 7).astype(np.int32)
    for label in "ab":
        for number in range(10):
            Image.fromarray(signed).save(deep / label / f"{number}.tif")
    index = api.index_images(deep, tmp_path / "deep.index")
    with pytest.raises(DataError, match=r"say it with --data\.grey -5 39"):
        api.train(index, runs=tmp_path, **SMALL)
    run = api.train(index, runs=tmp_path, name="said", data__grey=(-5, 4000), **SMALL)
    assert run.contract.grey == GreyRange(-5, 4000)
    assert run.contract.mean == api.train(deep, runs=tmp_path, data__grey=(-5, 4000), **SMALL).contract.mean


def test_a_table_may_name_files_anywhere(folder: Path, tmp_path: Path) -> None:
    rows = [f"{path},{path.parent.name}" for path in sorted(folder.rglob("[0-9]*.png"))]
    (tmp_path / "list.csv").write_text("\n".join(["path,label", *rows, ""]))
    index = api.index_images(tmp_path / "list.csv", tmp_path / "list.index")
    assert_equal(read_splits(str(index)), read_splits(str(tmp_path / "list.csv")))


def test_packed_names() -> None:
    text = np.frombuffer("abcäd".encode(), np.uint8)
    names = PackedNames(text, np.array([1, 1, 5, 6]))
    assert list(names) == ["a", "", "bcä", "d"]
    assert list(names[1:]) == ["", "bcä", "d"]
    assert (names[-1], names[-4]) == ("d", "a")
    with pytest.raises(IndexError):
        names[4]
