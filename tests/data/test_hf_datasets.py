"""Data sets that `datasets` reads, each from local files, beside a folder of the same images."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from resnext.data import hf_datasets
from resnext.data.decode import DataError
from resnext.data.images import ImageDataset
from resnext.data.sources import read_split, read_splits

datasets = pytest.importorskip("datasets")
CLASSES = ("cat", "dog", "eel")
COUNTS = {"train": 24, "validation": 6, "test": 9}


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


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


def write_tars(root: Path) -> None:
    root.mkdir(exist_ok=True)
    for split, images in rows().items():
        for shard, members in enumerate((images[:5], images[5:])):
            with tarfile.open(root / f"pets-{split}-{shard:04d}.tar", "w") as tar:
                for number, label in members:
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
                    "image": [{"bytes": png(number), "path": f"{number}.png"} for number, _ in images],
                    "label": [label for _, label in images],
                },
                features=features,
            )
            for split, images in rows().items()
        }
    )


def write_parquet(root: Path) -> None:
    (root / "data").mkdir(parents=True, exist_ok=True)
    for split, dataset in as_dataset_dict().items():
        half = len(dataset) // 2
        for shard, rows_of_shard in enumerate((range(half), range(half, len(dataset)))):
            dataset.select(rows_of_shard).to_parquet(root / f"{split}-{shard:05d}-of-00002.parquet")


def write_arrow(root: Path) -> None:
    as_dataset_dict().save_to_disk(root / "saved")
    for split in COUNTS:
        (file,) = (root / "saved" / split).glob("*.arrow")
        file.rename(root / f"{split}.arrow")


def numbers(images: ImageDataset) -> list[int]:
    return [np.asarray(images.open(i))[0, 0, 0].item() for i in range(len(images))]


def check(data: str, classes: tuple[str, ...] = CLASSES) -> None:
    """All images of all splits, with their labels and in their order."""
    splits = read_splits(data)
    assert splits.classes == classes
    for (_, images), (split, expected) in zip(splits.items(), rows().items(), strict=True):
        assert numbers(images) == [number for number, _ in expected], split
        assert images.labels.tolist() == [label for _, label in expected]


@pytest.mark.parametrize("prefix", ["", "stream:"])
def test_webdataset_tars(prefix: str, tmp_path: Path) -> None:
    write_tars(tmp_path / "pets")
    check(f"{prefix}{tmp_path / 'pets'}", ("0", "1", "2"))
    name, test = read_split(f"{prefix}{tmp_path / 'pets'}", ("0", "1", "2"))
    assert (name, len(test)) == ("test", 9)
    alone = read_splits(f"{prefix}{tmp_path / 'pets' / 'pets-train-0001.tar'}")
    assert sum(len(images) for _, images in alone.items()) == 19


@pytest.mark.parametrize("prefix", ["", "stream:"])
def test_arrow_files(prefix: str, tmp_path: Path) -> None:
    write_arrow(tmp_path)
    check(f"{prefix}{tmp_path}")


def test_archives_beside_their_extracted_images_are_not_read(tmp_path: Path, make_folder: Any) -> None:
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
    assert sorted(n for _, images in splits.items() for n in numbers(images)) == list(range(24))
    with pytest.raises(DataError, match="leave out stream:"):
        read_splits(f"stream:{tmp_path / 'saved'}")


def test_a_stream_of_parquet(tmp_path: Path) -> None:
    write_parquet(tmp_path)
    check(str(tmp_path))
    check(f"stream:{tmp_path}")


@pytest.mark.parametrize("prefix", ["", "stream:"])
def test_a_repository_of_the_hub(prefix: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its files are in a local folder, which `datasets` reads as it would read the repository."""
    write_parquet(tmp_path / "owner" / "pets")
    load, asked = datasets.load_dataset, []

    def local(name: str, config: str | None, **options: Any) -> Any:
        asked.append((name, config))
        return load(str(tmp_path / name), **options)

    monkeypatch.setattr(datasets, "load_dataset", local)
    check(f"{prefix}hf:owner/pets:small")
    assert asked == [("owner/pets", "small")]
    assert read_splits(f"{prefix}hf:owner/pets").name == "pets"


def test_errors_say_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
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
    with pytest.raises(hf_datasets.SourceMissing, match=r"pip install 'resnext\[hf\]'"):
        read_splits("hf:owner/pets")
