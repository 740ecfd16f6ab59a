"""Sources that `datasets` reads, each from local files, beside a folder of the same pictures."""

from __future__ import annotations

import io
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from resnext.data import hub
from resnext.data.batches import WindowedPlan
from resnext.data.decode import BadPicture, DataError
from resnext.data.pictures import Pictures
from resnext.data.scan import scan
from resnext.data.sources import read_split, read_splits
from resnext.data.streams import Stream

datasets = pytest.importorskip("datasets")
CLASSES = ("cat", "dog", "eel")
COUNTS = {"train": 24, "validation": 6, "test": 9}


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def png(number: int) -> bytes:
    """A picture that tells its number."""
    file = io.BytesIO()
    Image.new("RGB", (6 + number % 3, 5), (number, 2 * number, 255 - number)).save(file, "PNG")
    return file.getvalue()


def rows() -> dict[str, list[tuple[int, int]]]:
    """(number, class) of the pictures of each split."""
    starts = np.cumsum([0, *COUNTS.values()])
    return {
        name: [(int(start) + i, i % 3) for i in range(count)]
        for (name, count), start in zip(COUNTS.items(), starts, strict=False)
    }


def write_tars(root: Path) -> None:
    root.mkdir(exist_ok=True)
    for split, pictures in rows().items():
        for shard, part in enumerate((pictures[:5], pictures[5:])):
            with tarfile.open(root / f"pets-{split}-{shard:04d}.tar", "w") as tar:
                for number, label in part:
                    for suffix, content in (("png", png(number)), ("cls", str(label).encode())):
                        member = tarfile.TarInfo(f"{number:05d}.{suffix}")
                        member.size = len(content)
                        tar.addfile(member, io.BytesIO(content))


def as_dataset_dict() -> Any:
    features = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=list(CLASSES)))
    return datasets.DatasetDict(
        {
            split: datasets.Dataset.from_dict(
                {
                    "image": [{"bytes": png(number), "path": f"{number}.png"} for number, _ in pictures],
                    "label": [label for _, label in pictures],
                },
                features=features,
            )
            for split, pictures in rows().items()
        }
    )


def write_parquet(root: Path) -> None:
    (root / "data").mkdir(parents=True, exist_ok=True)
    for split, dataset in as_dataset_dict().items():
        half = len(dataset) // 2
        for shard, part in enumerate((range(half), range(half, len(dataset)))):
            dataset.select(part).to_parquet(root / f"{split}-{shard:05d}-of-00002.parquet")


def write_arrow(root: Path) -> None:
    as_dataset_dict().save_to_disk(root / "saved")
    for split in COUNTS:
        (file,) = (root / "saved" / split).glob("*.arrow")
        file.rename(root / f"{split}.arrow")


def numbers(pictures: Pictures) -> list[int]:
    return [np.asarray(pictures.open(i))[0, 0, 0].item() for i in range(len(pictures))]


def check(data: str, classes: tuple[str, ...] = CLASSES) -> None:
    """All pictures of all splits, with their labels and in their order."""
    splits = read_splits(data)
    assert splits.classes == classes
    for (_, pictures), (split, expected) in zip(splits.items(), rows().items(), strict=True):
        assert numbers(pictures) == [number for number, _ in expected], split
        assert pictures.labels.tolist() == [label for _, label in expected]


@pytest.mark.parametrize("prefix", ["", "stream:"])
def test_webdataset_tars(prefix: str, tmp_path: Path) -> None:
    write_tars(tmp_path / "pets")
    check(f"{prefix}{tmp_path / 'pets'}", ("0", "1", "2"))
    name, test = read_split(f"{prefix}{tmp_path / 'pets'}", ("0", "1", "2"))
    assert (name, len(test)) == ("test", 9)
    alone = read_splits(f"{prefix}{tmp_path / 'pets' / 'pets-train-0001.tar'}")
    assert sum(len(pictures) for _, pictures in alone.items()) == 19


@pytest.mark.parametrize("prefix", ["", "stream:"])
def test_arrow_files(prefix: str, tmp_path: Path) -> None:
    write_arrow(tmp_path)
    check(f"{prefix}{tmp_path}")


def test_archives_beside_what_came_out_of_them_are_not_read(tmp_path: Path, make_folder: Any) -> None:
    write_tars(tmp_path)
    make_folder(tmp_path, {"a": 6, "b": 6})
    assert read_splits(str(tmp_path)).classes == ("a", "b")
    write_tars(tmp_path / "whole")
    make_folder(tmp_path / "whole" / "train", {"a": 6, "b": 6})
    assert read_splits(str(tmp_path / "whole")).classes == ("a", "b")


def test_a_set_saved_to_disk(tmp_path: Path) -> None:
    whole = as_dataset_dict()
    whole.save_to_disk(tmp_path / "saved")
    check(str(tmp_path / "saved"))
    order = list(range(24))[::-1]
    whole["train"].select(order).save_to_disk(tmp_path / "alone")
    splits = read_splits(str(tmp_path / "alone"))
    assert sorted(n for _, pictures in splits.items() for n in numbers(pictures)) == list(range(24))
    with pytest.raises(DataError, match="leave out stream:"):
        read_splits(f"stream:{tmp_path / 'saved'}")


def test_a_stream_of_parquet(tmp_path: Path) -> None:
    write_parquet(tmp_path)
    check(str(tmp_path))
    check(f"stream:{tmp_path}")


@pytest.mark.parametrize("prefix", ["", "stream:"])
def test_a_repository_of_the_hub(prefix: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its files lie in a folder here; `datasets` reads that folder as it would the repository."""
    write_parquet(tmp_path / "owner" / "pets")
    load, asked = datasets.load_dataset, []

    def local(name: str, config: str | None, **options: Any) -> Any:
        asked.append((name, config))
        return load(str(tmp_path / name), **options)

    monkeypatch.setattr(datasets, "load_dataset", local)
    check(f"{prefix}hf:owner/pets:small")
    assert asked == [("owner/pets", "small")]
    assert read_splits(f"{prefix}hf:owner/pets").name == "pets"


def test_errors_name_the_way_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_tars(tmp_path / "pets")
    (tmp_path / "pets" / "more.tar").write_bytes((tmp_path / "pets" / "pets-test-0000.tar").read_bytes())
    with pytest.raises(DataError, match=r"more\.tar: no word of its name says which split"):
        read_splits(str(tmp_path / "pets"))
    (tmp_path / "pets" / "more.tar").rename(tmp_path / "pets" / "val-train.tar")
    with pytest.raises(DataError, match="is it train or val"):
        read_splits(str(tmp_path / "pets"))
    with pytest.raises(DataError, match=r"found no \.tar"):
        read_splits(f"stream:{tmp_path}")
    (tmp_path / "broken-train.tar").write_bytes(b"no archive" * 100)
    with pytest.raises(DataError, match="broken-train"):
        read_splits(str(tmp_path / "broken-train.tar"))
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(hub.SourceMissing, match=r"pip install 'resnext\[hf\]'"):
        read_splits("hf:owner/pets")


def stream(count: int, window: int) -> tuple[Stream, list[int]]:
    """A stream, and how many pictures were read from it each time it was begun."""
    begun: list[int] = []

    def read() -> Any:
        begun.append(0)
        for number in range(count):
            begun[-1] += 1
            yield png(number)

    keys, labels = [str(i) for i in range(count)], np.arange(count) % 3
    return Stream(read, keys, labels, CLASSES, window), begun


def test_an_order_shuffled_within_windows_reads_once() -> None:
    pictures, begun = stream(100, window=16)
    plan = WindowedPlan(100, batch=10, epochs=3, seed=1, window=16)
    for epoch in range(3):
        order = plan.order(epoch).tolist()
        assert [np.asarray(pictures.open(i))[0, 0, 0] for i in order] == order
    assert begun == [100, 100, 100]
    assert len(pictures._place.passed) <= 32


def test_a_tenth_of_a_stream_is_looked_at_in_one_pass_by_any_number_of_threads() -> None:
    pictures, begun = stream(2000, window=640)
    held_out = pictures.select(np.sort(np.random.default_rng(0).permutation(2000)[:200]))
    assert held_out.window == 64
    for _ in scan(held_out, threads=16):
        pass
    assert len(begun) == 1
    assert held_out.select(np.arange(0, 200, 2)).window == 32


def test_any_order_is_right() -> None:
    pictures, _ = stream(60, window=4)
    for i in np.random.default_rng(0).integers(0, 60, 200):
        assert np.asarray(pictures.open(int(i)))[0, 0, 0] == i
    copy = pickle.loads(pickle.dumps(stream_of_bytes()))
    assert np.asarray(copy.open(2))[0, 0, 0] == 2


class _Read:
    def __call__(self) -> Any:
        return iter([png(0), png(1), png(2)])


def stream_of_bytes() -> Stream:
    return Stream(_Read(), ["0", "1", "2"], np.zeros(3, dtype=np.int64), CLASSES)


def test_a_stream_that_became_shorter_says_so() -> None:
    pictures = Stream(_Read(), ["0", "1", "2", "3"], np.zeros(4, dtype=np.int64), CLASSES)
    with pytest.raises(BadPicture, match="has become shorter"):
        pictures.open(3)


def test_each_epoch_of_a_windowed_plan_is_a_permutation_that_stays_near() -> None:
    plan = WindowedPlan(1000, batch=10, epochs=2, seed=3, window=50)
    first, second = plan.order(0), plan.order(1)
    assert sorted(first.tolist()) == list(range(1000))
    assert np.abs(first - np.arange(1000)).max() < 50
    assert np.abs(first - np.arange(1000)).mean() > 10
    assert first.tolist() != second.tolist()
    assert plan.order(0).tolist() == first.tolist()
    assert WindowedPlan(7, 2, 1, 0, window=50).order(0).tolist() != list(range(7))
