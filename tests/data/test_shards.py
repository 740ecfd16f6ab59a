"""Numbered files are all there, and of one generation, or an error names what is missing or mixed."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnext.data.decode import DataError
from resnext.data.shards import check_shards, lone_shard_note
from resnext.data.sources import read_splits

FOLDER = Path("pets")


def shards(stem: str, total: int, suffix: str, first: int = 0) -> list[Path]:
    return [FOLDER / f"{stem}-{n:05d}-of-{total:05d}{suffix}" for n in range(first, first + total)]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".tar", ".arrow"])
@given(total=st.integers(1, 30), first=st.integers(0, 1), data=st.data())
def test_a_whole_set_passes_and_no_part_of_it_does(
    suffix: str, total: int, first: int, data: st.DataObject
) -> None:
    whole = shards("train", total, suffix, first)
    assert check_shards(whole) == ()
    left = data.draw(st.lists(st.sampled_from(whole), unique=True, max_size=total - 1, min_size=0))
    if left:
        with pytest.raises(DataError, match=f"{total - len(left)} of {total} shards are missing"):
            check_shards(left)


def test_missing_ones_are_named() -> None:
    whole = shards("train", 9, ".tar")
    with pytest.raises(DataError, match=r"1 of 9 shards are missing: train-00004-of-00009\.tar\."):
        check_shards(whole[:4] + whole[5:])
    with pytest.raises(DataError, match=r"train-00001-of-00009\.tar, .* and 5 more"):
        check_shards(whole[:1])
    with pytest.raises(DataError, match=r"999999998 of 999999999 shards are missing"):
        check_shards([FOLDER / "train-1-of-999999999.csv"])


@pytest.mark.parametrize(
    "mixed",
    [
        [*shards("train", 2, ".csv"), *shards("train", 3, ".csv")],
        [*shards("train", 2, ".csv"), FOLDER / "train.csv"],
        [*shards("train", 2, ".csv"), FOLDER / "train-00002-of-00002.csv"],
        [FOLDER / f"train-0000{n}-of-00002-{digest}.parquet" for n in (0, 1) for digest in ("ab12", "cd34")],
    ],
)
def test_two_generations(mixed: list[Path]) -> None:
    with pytest.raises(DataError, match="two generations of shards"):
        check_shards(mixed)


def test_sets_beside_each_other_are_each_looked_at() -> None:
    both = [*shards("cats-train", 2, ".tar"), *shards("dogs-train", 3, ".tar")]
    assert check_shards(both) == ()
    with pytest.raises(DataError, match="dogs-train-00002-of-00003"):
        check_shards(both[:-1])


def test_numbers_without_a_total() -> None:
    def tars(*numbers: int) -> list[Path]:
        return [FOLDER / f"train-{number:04d}.tar" for number in numbers]

    assert check_shards(tars(0, 1, 2)) == check_shards(tars(7, 8)) == ()
    (note,) = check_shards(tars(0, 1, 3, 4))
    assert note.startswith("between train-0000.tar and train-0004.tar there is no number 2")
    assert check_shards(tars(1440764, 1443537, 1484850)) == ()  # numbers of classes


def test_a_shard_alone_says_so() -> None:
    assert lone_shard_note(Path("train.csv")) == lone_shard_note(shards("train", 1, ".csv")[0]) == ()
    (note,) = lone_shard_note(shards("train", 3, ".csv")[0])
    assert "one of 3 shards" in note


CAT_DOG, DOG_CAT = ["cat", "dog"], ["dog", "cat"]


def write_shards(folder: Path, suffix: str, labels: list[str], classes: list[list[str] | None]) -> None:
    for number, (label, names) in enumerate(zip(labels, classes, strict=True)):
        table = pa.table({"image": [b"x"] * 4, label: [0, 1, 0, 1]})
        if names is not None:
            features = {label: {"names": names, "_type": "ClassLabel"}}
            table = table.replace_schema_metadata(
                {"huggingface": json.dumps({"info": {"features": features}})}
            )
        path = folder / f"train-{number:05d}-of-00002.{suffix}"
        if suffix == "parquet":
            pq.write_table(table, path)
        else:
            with pa.ipc.new_stream(path, table.schema) as writer:
                writer.write_table(table)


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
@pytest.mark.parametrize("start", ["", "stream:"])
@pytest.mark.parametrize(
    ("labels", "classes", "says"),
    [
        (["label"] * 2, [CAT_DOG, DOG_CAT], "its classes are dog, cat, and those of .*00000.* cat, dog"),
        (["label"] * 2, [CAT_DOG, None], "its classes are without names"),
        (["label"] * 2, [None, CAT_DOG], "its classes are cat, dog, and those of .* without names"),
        (["label", "Label"], [None, None], "its label columns are Label, and those of .* label"),
        (["label", "class"], [CAT_DOG, CAT_DOG], "its label columns are class"),
    ],
)
def test_shards_whose_labels_mean_other_classes_are_refused(
    suffix: str, start: str, labels: list[str], classes: list[list[str] | None], says: str, tmp_path: Path
) -> None:
    write_shards(tmp_path, suffix, labels, classes)
    with pytest.raises(DataError, match=says):
        read_splits(f"{start}{tmp_path}")
    write_shards(tmp_path, suffix, ["label"] * 2, [CAT_DOG] * 2)
    assert read_splits(f"{start}{tmp_path}").classes == ("cat", "dog")
