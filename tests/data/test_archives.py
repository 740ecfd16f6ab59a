"""Local tars, Arrow and Parquet files: the images, labels and keys that the library `datasets` reads, too."""

from __future__ import annotations

import io
import pickle
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from resnext.data import hf_datasets
from resnext.data.decode import DataError
from resnext.data.images import ImageDataset
from resnext.data.sources import STREAM_NOTE, read_split, read_splits
from resnext.data.splits import Splits, fingerprint
from resnext.data.tables import SPLIT_BY_NAME

CLASSES = ("0", "1", "2")
COUNTS = {"train": 24, "validation": 6, "test": 9}
Files = Iterable[tuple[str, bytes]]


def png(number: int) -> bytes:
    """An image whose red value is its number."""
    file = io.BytesIO()
    Image.new("RGB", (6 + number % 3, 5), (number, 2 * number, 255 - number)).save(file, "PNG")
    return file.getvalue()


def rows() -> dict[str, list[tuple[int, int]]]:
    """(number, class) of the images of each split."""
    starts = np.cumsum([0, *COUNTS.values()])
    return {
        name: [(int(start) + i, i % 3) for i in range(count)]
        for (name, count), start in zip(COUNTS.items(), starts, strict=False)
    }


def write_tar(path: Path, files: Files) -> None:
    with tarfile.open(path, "w") as tar:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def sample(number: int, label: int) -> list[tuple[str, bytes]]:
    return [(f"{number:05d}.png", png(number)), (f"{number:05d}.cls", f"{label}\n".encode())]


def write_tars(root: Path) -> None:
    root.mkdir(exist_ok=True)
    for split, images in rows().items():
        for shard, members in enumerate((images[:5], images[5:])):
            files = [file for number, label in members for file in sample(number, label)]
            write_tar(root / f"pets-{split}-{shard:04d}.tar", files)


def tables() -> dict[str, pa.Table]:
    """The images of each split as the library `datasets` stores them."""
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    made = {}
    for split, images in rows().items():
        column = [{"bytes": png(number), "path": f"{number}.png"} for number, _ in images]
        labels = [label for _, label in images]
        made[split] = pa.table({"image": pa.array(column, kind), "label": labels})
    return made


def write_arrow(root: Path) -> None:
    for split, table in tables().items():
        with pa.ipc.new_stream(root / f"{split}.arrow", table.schema) as file:
            file.write_table(table, max_chunksize=4)


def write_parquet(root: Path) -> None:
    for split, table in tables().items():
        half = len(table) // 2
        for shard, part in enumerate((table.slice(0, half), table.slice(half))):
            pq.write_table(part, root / f"{split}-{shard:05d}-of-00002.parquet", row_group_size=5)


def numbers(images: ImageDataset) -> list[int]:
    return [np.asarray(images.open(i))[0, 0, 0].item() for i in range(len(images))]


def check(data: str) -> Splits:
    """All images of all splits, with their labels and in their order."""
    splits = read_splits(data)
    assert splits.classes == CLASSES
    for (_, images), (split, expected) in zip(splits.items(), rows().items(), strict=True):
        assert numbers(images) == [number for number, _ in expected], split
        assert images.labels.tolist() == [label for _, label in expected]
        again = pickle.loads(pickle.dumps(images))  # as for a worker process
        assert numbers(again) == [number for number, _ in expected]
    return splits


@pytest.mark.parametrize("prefix", ["", "stream:"])
@pytest.mark.parametrize("write", [write_tars, write_arrow, write_parquet])
def test_every_format_whole_and_as_a_stream(write: Any, prefix: str, tmp_path: Path) -> None:
    write(tmp_path)
    splits = check(f"{prefix}{tmp_path}")
    assert (STREAM_NOTE in splits.notes) == (prefix == "stream:")
    name, test = read_split(f"{prefix}{tmp_path}", CLASSES)
    assert (name, len(test)) == ("test", 9)


@pytest.mark.parametrize("prefix", ["", "stream:"])
def test_a_single_tar(prefix: str, tmp_path: Path) -> None:
    write_tars(tmp_path)
    alone = read_splits(f"{prefix}{tmp_path / 'pets-train-0001.tar'}")
    assert sum(len(images) for _, images in alone.items()) == 19


def by_library(data: Path, builder: str, cache: Path, streaming: bool) -> Splits:
    """The same set as the library `datasets` reads it, which earlier versions asked to."""
    datasets = pytest.importorskip("datasets")
    suffix = {"webdataset": "tar"}.get(builder, builder)
    files = {name: sorted(map(str, data.glob(f"*{name}*.{suffix}"))) for name in COUNTS}
    found = datasets.load_dataset(builder, data_files=files, cache_dir=str(cache), streaming=streaming)
    convert = hf_datasets._as_stream if streaming else hf_datasets._as_images
    images = {SPLIT_BY_NAME[name]: convert(dataset, data) for name, dataset in found.items()}
    return Splits("pets", images["train"], images["val"], images["test"])


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(("write", "builder"), [(write_tars, "webdataset"), (write_arrow, "arrow")])
def test_runs_of_earlier_versions_find_the_same_set(
    write: Any, builder: str, streaming: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys, labels and sizes, which are in the fingerprint, are those of the library."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_UPDATE_DOWNLOAD_COUNTS", False)
    (tmp_path / "pets").mkdir()
    write(tmp_path / "pets")
    theirs = by_library(tmp_path / "pets", builder, tmp_path / "cache", streaming)
    ours = read_splits(f"{'stream:' * streaming}{tmp_path / 'pets'}")
    assert list(ours.train.keys) == list(theirs.train.keys)
    assert fingerprint(ours) == fingerprint(theirs)


@pytest.mark.parametrize("write", [write_tars, write_arrow])
def test_nothing_is_written(write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    before = sorted(tmp_path.iterdir())
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)  # nor is the library needed
    check(str(tmp_path))
    check(f"stream:{tmp_path}")
    assert sorted(tmp_path.iterdir()) == before


def test_archives_beside_their_extracted_images_are_not_read(tmp_path: Path, make_folder: Any) -> None:
    write_tars(tmp_path)
    make_folder(tmp_path, {"a": 6, "b": 6})
    assert read_splits(str(tmp_path)).classes == ("a", "b")
    write_tars(tmp_path / "whole")
    make_folder(tmp_path / "whole" / "train", {"a": 6, "b": 6})
    assert read_splits(str(tmp_path / "whole")).classes == ("a", "b")


@pytest.mark.parametrize("system", ["__MACOSX/pets", "@eaDir", ".cache/a", "__MACOSX"])
def test_what_a_system_left_beside_tars_does_not_hide_them(
    system: str, tmp_path: Path, make_folder: Any
) -> None:
    write_tars(tmp_path)
    make_folder(tmp_path, {system: 2}, (4, 4))
    (tmp_path / "._pets-train-0000.tar").write_bytes(b"of a Mac")
    check(str(tmp_path))


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("Train", "Val", "TEST"),
        ("training_set", "dev", "test_images"),
        ("seg_train/seg_train", "seg_val/seg_val", "testing"),
    ],
)
def test_folders_of_tars_are_splits_as_folders_of_images_are(
    train: str, val: str, test: str, tmp_path: Path
) -> None:
    for folder, images in zip((train, val, test), rows().values(), strict=True):
        (tmp_path / folder).mkdir(parents=True)
        write_tar(
            tmp_path / folder / "0.tar", [file for number, label in images for file in sample(number, label)]
        )
    check(str(tmp_path))
    check(f"stream:{tmp_path}")
    (tmp_path / train / "0.tar").rename(tmp_path / train / "test-0.tar")
    with pytest.raises(DataError, match=r"test-0\.tar: is it train or test\? Rename it"):
        read_splits(str(tmp_path))


@pytest.mark.parametrize("prefix", ["", "stream:"])
@pytest.mark.parametrize(
    ("tars", "images"), [("train", "val/a"), ("test", "train/a"), ("Eval", "training_set")]
)
def test_splits_in_two_formats_are_refused(
    tars: str, images: str, prefix: str, tmp_path: Path, make_folder: Any
) -> None:
    """Read alone, the tars would be the whole set."""
    make_folder(tmp_path, {images: 3}, (4, 4))
    (tmp_path / tars).mkdir()
    write_tar(tmp_path / tars / "0.tar", [file for n in range(6) for file in sample(n, n % 2)])
    other = images.split("/")[0]
    with pytest.raises(DataError, match=rf"{tars} holds \.tar files, and {other} images; give all"):
        read_splits(f"{prefix}{tmp_path}")


def test_two_spellings_of_one_split_are_not_joined(tmp_path: Path) -> None:
    write_tars(tmp_path)
    for shard in (0, 1):
        file = tmp_path / f"pets-validation-{shard:04d}.tar"
        (tmp_path / f"pets-val-{shard:04d}.tar").write_bytes(file.read_bytes())
    with pytest.raises(DataError, match="files called val and files called validation are all val; keep one"):
        read_splits(str(tmp_path))
    write_tars(tmp_path / "folders")
    for name in ("Train", "training"):
        (tmp_path / "folders" / name).mkdir()
    with pytest.raises(DataError, match="Train and training are all train; keep one"):
        read_splits(str(tmp_path / "folders"))


def test_files_whose_split_is_not_clear(tmp_path: Path) -> None:
    write_tars(tmp_path)
    (tmp_path / "more.tar").write_bytes((tmp_path / "pets-test-0000.tar").read_bytes())
    with pytest.raises(DataError, match=r"more\.tar: no word of its name says which split"):
        read_splits(str(tmp_path))
    (tmp_path / "more.tar").rename(tmp_path / "val-train.tar")
    with pytest.raises(DataError, match="is it train or val"):
        read_splits(str(tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"found no \.tar"):
        read_splits(f"stream:{tmp_path / 'empty'}")


@pytest.mark.parametrize("prefix", ["", "stream:"])
def test_arrow_files_of_one_split_may_differ_in_width(prefix: str, tmp_path: Path) -> None:
    whole = tables()["train"]
    narrow = whole.set_column(1, "label", whole["label"].cast(pa.int8()))
    for number, table in enumerate((whole, narrow)):
        with pa.ipc.new_stream(tmp_path / f"all-{number}.arrow", table.schema) as file:
            file.write_table(table)
    splits = read_splits(f"{prefix}{tmp_path}")
    assert sum(len(images) for _, images in splits.items()) == 48


@pytest.mark.parametrize("write", [write_tars, write_arrow, write_parquet])
def test_a_stream_of_local_files_knows_when_they_change(write: Any, tmp_path: Path) -> None:
    write(tmp_path)
    before = read_splits(f"stream:{tmp_path}").train.stamp(0)
    assert read_splits(f"stream:{tmp_path}").train.stamp(0) == before
    file = min(tmp_path.glob("*train*"))
    file.write_bytes(file.read_bytes())
    assert read_splits(f"stream:{tmp_path}").train.stamp(0) != before


BYTES = {
    "bytes": pa.binary(),
    "many bytes": pa.large_binary(),
    "image": pa.struct({"bytes": pa.binary(), "path": pa.string()}),
    "large image": pa.struct({"path": pa.large_string(), "bytes": pa.large_binary()}),
}


@pytest.mark.parametrize("kind", BYTES.values(), ids=BYTES)
def test_every_type_that_holds_bytes_is_streamed(kind: pa.DataType, tmp_path: Path) -> None:
    for split, images in rows().items():
        encoded = [png(number) for number, _ in images]
        values = [{"bytes": one} for one in encoded] if pa.types.is_struct(kind) else encoded
        table = pa.table({"image": pa.array(values, kind), "label": [label for _, label in images]})
        with pa.ipc.new_stream(tmp_path / f"{split}.arrow", table.schema) as file:
            file.write_table(table)
        pq.write_table(table, tmp_path / f"{split}.parquet")
    for suffix in (".arrow", ".parquet"):
        (tmp_path / suffix[1:]).mkdir()
        for path in tmp_path.glob(f"*{suffix}"):
            path.rename(tmp_path / suffix[1:] / path.name)
        check(f"stream:{tmp_path / suffix[1:]}")
        check(str(tmp_path / suffix[1:]))


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.struct({"path": pa.string()}), pa.struct({"bytes": pa.string()})]
)
def test_a_stream_without_bytes_is_refused(kind: pa.DataType, tmp_path: Path) -> None:
    values = [None] * 4
    pq.write_table(pa.table({"image": pa.array(values, kind), "label": [0, 1] * 2}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"column image holds .*a stream needs the images' bytes"):
        read_splits(f"stream:{tmp_path}")
