"""A manifest is obeyed to the letter, and what it cannot mean is refused by its line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnext.data.decode import DataError
from resnext.data.manifest import COLUMNS, ManifestRow, read_manifest, write_manifest
from resnext.data.obeying import obey
from resnext.data.sources import read_splits
from resnext.data.splits import Splits, fingerprint
from resnext.data.stored_images import ImageArrays

Row = tuple[str, str, str, str]


def make(train: int = 8, val: int = 4, test: int = 4) -> Splits:
    def images(count: int, first: int) -> ImageArrays:
        values = np.arange(first, first + count, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8)
        return ImageArrays(values, np.arange(count) % 2, ("cat", "dog"))

    return Splits("pets", images(train, 0), images(val, 100), images(test, 200))


def write(path: Path, rows: list[Row]) -> Path:
    write_manifest([ManifestRow(s, key, "cat", "leak", action, to) for s, key, action, to in rows], path)  # type: ignore[arg-type]
    return path


def contents(splits: Splits) -> dict[str, list[tuple[int, str]]]:
    """Level and class of each image, by split."""
    return {
        name: [
            (images.open(i).getpixel((0, 0))[0], images.classes[images.labels[i]]) for i in range(len(images))
        ]
        for name, images in splits.items()
    }


@pytest.fixture(params=["m.csv", "m.parquet"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / str(request.param)


def test_images_are_dropped_relabelled_and_moved(path: Path) -> None:
    splits = make()
    rows = [
        ("train", "0", "drop", ""),
        ("train", "1", "relabel", "cat"),
        ("train", "2", "move", "val"),
        ("test", "3", "move", "train"),
        ("val", "0", "keep", ""),
        ("train", "gone", "keep", ""),
    ]
    obeyed, note = obey(splits, write(path, rows))
    expected = contents(splits)
    expected["train"] = [(1, "cat"), *expected["train"][3:], (203, "dog")]
    expected["val"] = [*expected["val"], (2, "cat")]
    expected["test"] = expected["test"][:3]
    assert contents(obeyed) == expected
    assert (note.dropped, note.relabelled, note.moved) == ({"leak": 1}, 1, 2)
    assert obeyed.notes[-1] == str(note)
    assert fingerprint(obeyed) != fingerprint(splits)
    assert contents(splits) == contents(make())  # which it leaves as they were
    for name, images in obeyed.items():
        assert [images.stored_size(i) for i in range(len(images))] == [16] * len(images), name


def test_a_manifest_that_keeps_all_changes_nothing(path: Path) -> None:
    splits = make()
    obeyed, note = obey(splits, write(path, [("train", "0", "keep", "")]))
    assert fingerprint(obeyed) == fingerprint(splits)
    assert obeyed.train is splits.train
    assert note.dropped == {}


def test_drop_outweighs_what_other_rows_say(path: Path) -> None:
    both = [
        ManifestRow("train", "1", "dog", "label", "relabel", "cat"),
        ManifestRow("train", "1", "dog", "leak", "drop"),
        ManifestRow("train", "1", "dog", "dark", "keep"),
    ]
    for order in (both, both[::-1]):
        write_manifest(order, path)
        obeyed, note = obey(make(), path)
        assert len(obeyed.train) == 7
        assert note.dropped == {"leak": 1}


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([("train", "0", "remove", "")], "{0}: action: 'remove': must be keep, drop, relabel, move"),
        ([("train", "0", "drop", "")] * 2, "{1}: says the same as {0} of '0'; remove one"),
        (
            [("train", "0", "keep", ""), ("train", "77", "drop", "")],
            "{1}: '77' is not among the images of train",
        ),
        (
            [("all", "0", "drop", "")],
            "{0}: split: 'all' is no split of the set; give one of train, val, test",
        ),
        (
            [("train", "0", "drop", ""), ("train", "0", "keep", "")],
            "{1}: is about the same finding as {0} of '0'; remove one",
        ),
        (
            [("train", "0", "relabel", "cow")],
            "{0}: to: 'cow' is no class of the set; give one of 'cat', 'dog'",
        ),
        ([("train", "0", "relabel", "")], "{0}: to: is empty; give the class that '0' is to have"),
        ([("train", "0", "move", "")], "{0}: to: is empty; give the split"),
        (
            [("train", "0", "move", "dev")],
            "{0}: to: 'dev' is no split of the set; give one of train, val, test",
        ),
        ([("val", str(i), "drop", "") for i in range(4)], "leaves no image of val; keep some"),
        ([("train", str(i), "drop", "") for i in (0, 2, 4, 6)], "leaves train no image of class 'cat'"),
    ],
)
def test_what_it_cannot_mean_is_named_by_its_line(path: Path, rows: list[Row], told: str) -> None:
    names = [f"line {n}" for n in (2, 3)] if path.suffix == ".csv" else [f"row {n}" for n in (0, 1)]
    with pytest.raises(DataError) as raised:
        obey(make(), write(path, rows))
    assert told.format(*names) in str(raised.value)
    assert str(raised.value).startswith(str(path))


def test_contradicting_rows_are_refused(path: Path) -> None:
    rows = [
        ManifestRow("train", "1", "dog", kind, "relabel", to) for kind, to in (("a", "cat"), ("b", "dog"))
    ]
    write_manifest(rows, path)
    with pytest.raises(DataError, match=r"contradicts (line 2|row 0), relabel to 'cat'"):
        obey(make(), path)


def broken_files() -> Iterator[tuple[str, bytes]]:
    yield "m.txt", b"x"
    yield "m.csv", b""
    yield "m.csv", b"split,key\ntrain,0\n"
    yield "m.csv", b"split,key,action\ntrain,0\n"
    yield "m.csv", b"split,key,action\ntrain,\xff\xfe,drop\n"
    yield "m.csv", b"\x00\x01\x02"
    yield "m.parquet", b"PAR1 and nothing more"
    yield "m.parquet", b""


@pytest.mark.parametrize(("name", "content"), list(broken_files()))
def test_files_that_are_no_manifest_end_in_one_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        obey(make(), tmp_path / name)
    with pytest.raises(DataError, match="cannot be read"):
        obey(make(), tmp_path / "missing.csv")


def test_other_columns_and_types_are_read_as_a_person_means_them(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("note,action,key,split\nmine,drop,3,train\n")
    assert len(obey(make(), tmp_path / "m.csv")[0].train) == 7
    table = pa.table({"key": [3], "split": ["train"], "action": ["drop"], "to": pa.nulls(1)})
    pq.write_table(table, tmp_path / "m.parquet")
    assert len(obey(make(), tmp_path / "m.parquet")[0].train) == 7
    pq.write_table(table.set_column(0, "key", pa.array([["3"]])), tmp_path / "lists.parquet")
    with pytest.raises(DataError, match="column key holds lists"):
        obey(make(), tmp_path / "lists.parquet")
    pq.write_table(table.set_column(3, "to", pa.array([["3"]])), tmp_path / "lists.parquet")
    with pytest.raises(DataError, match="column to holds lists"):
        obey(make(), tmp_path / "lists.parquet")
    pq.write_table(table.set_column(0, "key", pa.array([b"\xff"])), tmp_path / "bytes.parquet")
    with pytest.raises(DataError, match=r"bytes\.parquet: is no manifest"):
        obey(make(), tmp_path / "bytes.parquet")


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfsplit;key;action;detail\r\n\r\ntrain;3;drop;a, b\r\n;;;\r\n",
        b"split\tkey\taction\ntrain\t3\tdrop\n",
        '"split","key","action","to"\ntrain,3,drop\n'.encode("utf-16"),
        b'split,key,action,detail\ntrain,3,drop,"one\ntwo"\n',
    ],
    ids=["semicolons", "tabs", "UTF-16", "line break"],
)
def test_what_a_spreadsheet_saved_is_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.csv").write_bytes(content)
    obeyed, note = obey(make(), tmp_path / "m.csv")
    assert [obeyed.train.keys[i] for i in range(7)] == ["0", "1", "2", "4", "5", "6", "7"]
    assert note.dropped == {"no finding": 1}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"split,key,action\n\n\ntrain,0,keep\n\ntrain,1,burn\n", "line 6: action: 'burn'"),
        (b'split,key,action,detail\ntrain,0,keep,"a\nb"\ntrain,1,burn,\n', "line 4: action: 'burn'"),
        (b"split,key,action\ntrain,0,keep,1\n", "line 2: has 4 cells, the first line 3"),
        (b"split,key,action,action\ntrain,0,drop,keep\n", "has two columns action"),
        ("split,key,action\ntrain,caf\u00e9,drop\n".encode("latin-1"), "is not UTF-8 text"),
        (b'split,key,action\ntrain,"0,drop\n', "line 2: is no line of a CSV file"),
    ],
)
def test_what_is_wrong_with_a_csv_file_is_named_by_its_line(
    tmp_path: Path, content: bytes, told: str
) -> None:
    (tmp_path / "m.csv").write_bytes(content)
    with pytest.raises(DataError) as raised:
        obey(make(), tmp_path / "m.csv")
    assert told in str(raised.value)


def test_an_image_may_get_another_label_and_move(path: Path) -> None:
    both = [
        ManifestRow("train", "1", "dog", "label", "relabel", "cat"),
        ManifestRow("train", "1", "dog", "shift", "move", "val"),
    ]
    write_manifest(both, path)
    obeyed, note = obey(make(), path)
    assert contents(obeyed)["val"][-1] == (1, "cat")
    assert len(obeyed.train) == 7
    assert (note.relabelled, note.moved) == (1, 1)


def test_where_splits_are_drawn_an_image_is_found_where_it_has_come_to(path: Path) -> None:
    whole = make()
    drawn = replace(whole, train=whole.train.select([0, 1, 4, 5, 6, 7]), val=whole.train.select([2, 3]))
    rows: list[Row] = [("train", "3", "drop", "")]
    with pytest.raises(DataError, match="'3' is not among the images of train"):
        obey(drawn, write(path, rows))
    obeyed, _ = obey(replace(drawn, drawn=("train", "val")), path)
    assert contents(obeyed)["val"] == [(2, "cat")]
    assert len(obeyed.train) == 6


def test_what_was_written_is_read(path: Path) -> None:
    row = ManifestRow("train", "=1.png", "cat", "leak", "drop", "x", "test: 2.png", 0.5, "two\nlines", "keep")
    write_manifest([row], path)
    [(place, read)] = read_manifest(path)
    assert place == f"{path}: " + ("line 2" if path.suffix == ".csv" else "row 0")
    written = ("'=1.png", "two\\nlines") if path.suffix == ".csv" else ("=1.png", "two\nlines")
    assert read == replace(row, key=written[0], detail=written[1], score=None)


@pytest.mark.parametrize("name", ["=1+1.png", "a;=b,c.png", 'quo"te.png', "caf\udce9.png", "new\nline.png"])
def test_any_name_finds_its_image_again(path: Path, name: str, tmp_path: Path, make_folder: Any) -> None:
    data = make_folder(tmp_path / "data", {"a": 4, "b": 4})
    (data / "a" / "0.png").rename(data / "a" / name)
    splits = read_splits(str(data))
    [split] = [split for split, images in splits.items() if f"a/{name}" in list(images.keys)]
    write_manifest([ManifestRow(split, f"a/{name}", "a", "leak", "relabel", "b")], path)
    obeyed = dict(obey(splits, path)[0].items())[split]
    assert obeyed.labels[list(obeyed.keys).index(f"a/{name}")] == 1


@given(st.data())
def test_it_does_what_a_list_of_images_would(data: st.DataObject) -> None:
    import tempfile

    splits = make()
    actions = st.sampled_from([("keep", ""), ("drop", ""), ("relabel", "dog"), ("move", "val")])
    chosen = {str(i): data.draw(actions) for i in range(2, 8)}  # a cat and a dog stay
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "m.csv", [("train", key, *do) for key, do in chosen.items()])  # type: ignore[misc]
        found = contents(obey(splits, path)[0])
    expected = contents(splits)
    train = expected["train"]
    expected["val"] += [one for i, one in enumerate(train) if chosen.get(str(i), ("", ""))[0] == "move"]
    expected["train"] = [
        (level, "dog" if chosen.get(str(i), ("", ""))[0] == "relabel" else label)
        for i, (level, label) in enumerate(train)
        if chosen.get(str(i), ("keep", ""))[0] in ("keep", "relabel")
    ]
    assert found == expected
    assert set(COLUMNS) >= {"split", "key", "action", "to"}
