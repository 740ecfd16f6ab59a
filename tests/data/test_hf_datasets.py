"""Data sets that `datasets` reads: of the hub, in place of which are local files, and saved to the disk."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from resnext.data import hf_datasets
from resnext.data.decode import DataError
from resnext.data.images import ImageDataset
from resnext.data.sources import read_splits, read_splits_by_name

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


def numbers(images: ImageDataset) -> list[int]:
    return [np.asarray(images.open(i))[0, 0, 0].item() for i in range(len(images))]


def check(data: str, classes: tuple[str, ...] = CLASSES) -> None:
    """All images of all splits, with their labels and in their order."""
    splits = read_splits(data)
    assert splits.classes == classes
    for (_, images), (split, expected) in zip(splits.items(), rows().items(), strict=True):
        assert numbers(images) == [number for number, _ in expected], split
        assert images.labels.tolist() == [label for _, label in expected]


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


@pytest.mark.parametrize("names", [("train", "valid", "validation"), ("Train", "test", "testing")])
def test_two_spellings_of_one_split_are_not_joined(names: tuple[str, ...], tmp_path: Path) -> None:
    made = as_dataset_dict().values()
    datasets.DatasetDict(dict(zip(names, made, strict=True))).save_to_disk(tmp_path / "saved")
    with pytest.raises(DataError, match=f"saved: {names[1]} and {names[2]} are all .*; keep one"):
        read_splits(str(tmp_path / "saved"))
    whole = dict(zip((*names[:2], "unsupervised"), made, strict=True))
    datasets.DatasetDict(whole).save_to_disk(tmp_path / "one")
    found = read_splits_by_name(str(tmp_path / "one"))
    assert [len(images) for images in found.values()] == [24, 6]


@pytest.mark.parametrize("kind", ["large_binary", "binary"])
def test_a_hub_stream_of_either_type_of_bytes(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for split, images in rows().items():
        features = datasets.Features(image=datasets.Value(kind), label=datasets.Value("string"))
        columns = {"image": [png(n) for n, _ in images], "label": [CLASSES[label] for _, label in images]}
        datasets.Dataset.from_dict(columns, features).to_parquet(tmp_path / f"{split}.parquet")
    load = datasets.load_dataset
    monkeypatch.setattr(datasets, "load_dataset", lambda name, _, **options: load(str(tmp_path), **options))
    check("stream:hf:owner/pets")


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


def test_a_stream_of_the_hub_says_what_it_does_not_promise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_parquet(tmp_path / "owner" / "pets")
    load = datasets.load_dataset
    monkeypatch.setattr(
        datasets, "load_dataset", lambda name, _, **options: load(str(tmp_path / name), **options)
    )
    assert hf_datasets.REMOTE_NOTE in read_splits("stream:hf:owner/pets").notes
    assert hf_datasets.REMOTE_NOTE not in read_splits("hf:owner/pets").notes


def test_a_saved_set_that_is_cut_between_two_batches_is_refused(tmp_path: Path) -> None:
    """Such a file can be read to its end, but that is not the end it had."""
    whole = as_dataset_dict()["train"]
    whole.save_to_disk(tmp_path / "saved")
    (file,) = (tmp_path / "saved").glob("*.arrow")
    content = file.read_bytes()
    file.write_bytes(content[:-8])
    assert len(datasets.load_from_disk(str(tmp_path / "saved"))) == len(whole)
    with pytest.raises(DataError, match=r"is cut short"):
        read_splits(str(tmp_path / "saved"))


def test_the_library_is_needed_for_the_hub_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(hf_datasets.SourceMissing, match=r"pip install 'resnext\[hf\]'"):
        read_splits("hf:owner/pets")
