"""What is embedded: data sets with their labels, or files without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from resnext.data.decode import DataError
from resnext.engine import find_images_to_embed
from resnext.errors import UsageError


def test_a_data_set_gives_all_of_its_splits(pets: Path) -> None:
    found = find_images_to_embed([pets])
    rows = found.describe(np.arange(len(found)))
    assert [(part.split, len(part.images)) for part in found.parts] == [("train", 130), ("test", 10)]
    assert rows["split"] == ["train"] * 130 + ["test"] * 10
    assert rows["label"] == [key.split("/")[0] for key in rows["key"]]
    alone = find_images_to_embed([pets], "test")
    assert alone.describe(np.arange(10))["key"] == rows["key"][130:]


def test_a_table_and_a_folder_of_class_folders_have_labels_and_no_splits(pets: Path, tmp_path: Path) -> None:
    paths = sorted(map(str, (pets / "test").rglob("*.png")))
    table = {"image": [Path(path).read_bytes() for path in paths], "label": [p.split("/")[-2] for p in paths]}
    pq.write_table(pa.table(table), tmp_path / "table.parquet")
    for source in (tmp_path / "table.parquet", pets / "test"):
        found = find_images_to_embed([source])
        rows = found.describe(np.arange(10))
        assert set(rows["split"]) == {None}
        assert sorted(rows["label"]) == ["cat"] * 5 + ["dog"] * 5


def test_named_sets_are_sets() -> None:
    found = find_images_to_embed(["digits"])
    assert [part.split for part in found.parts] == ["train", "val", "test"]
    assert len(found) == 1797


def test_files_have_no_labels(pets: Path) -> None:
    (pets / "test" / "cat" / "notes.txt").touch()
    found = find_images_to_embed([pets / "test" / "cat", pets / "test" / "dog" / "0.png"])
    rows = found.describe(np.arange(6))
    assert set(rows["label"]) == {None}
    assert all(Path(key).is_file() for key in rows["key"])
    assert (
        found.notes == ("skipped 1 file that are not read as images: 1 .txt",) or "1 .txt" in found.notes[0]
    )
    nested = find_images_to_embed([f"{pets}/**/*.png"])
    assert len(nested) == 140


@pytest.mark.parametrize("start", [0, 1, 63, 64, 65, 128, 129, 130, 131, 139, 140])
def test_the_rest_begins_where_a_batch_does(start: int, pets: Path) -> None:
    """Batches of 64 are made of each part by itself."""
    found = find_images_to_embed([pets])
    begins = [0, 64, 128, 130, 140]
    first = next(one for one in begins if one >= start)
    keys: list[str] = []
    for place, images in found.rest(start, 64):
        assert place == first + len(keys)
        keys += images.keys
    assert keys == found.describe(np.arange(first, 140))["key"]


def test_the_digest_changes_with_every_image(pets: Path) -> None:
    before = find_images_to_embed([pets]).digest()
    assert find_images_to_embed([pets]).digest() == before
    changed = pets / "test" / "dog" / "3.png"
    content = changed.read_bytes()
    for action in (
        changed.touch,
        lambda: changed.write_bytes(content + b"\0"),
        lambda: changed.rename(changed.with_name("33.png")),
        changed.with_name("33.png").unlink,
    ):
        action()
        after = find_images_to_embed([pets]).digest()
        assert after != before
        before = after


def test_what_cannot_be_embedded(pets: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no val split; found train, test"):
        find_images_to_embed([pets], "val")
    with pytest.raises(UsageError, match="--split test: files and folders of images"):
        find_images_to_embed([pets / "test" / "cat"], "test")
    with pytest.raises(UsageError, match=r"pets: is a data set, and of these one .* 'IMAGES/\*\*/\*\.jpg'"):
        find_images_to_embed([pets / "test" / "cat" / "0.png", pets])
    with pytest.raises(DataError, match="there is no image here"):
        find_images_to_embed([tmp_path / "none"])
    (tmp_path / "only" / "one").mkdir(parents=True)
    with pytest.raises(DataError) as error:
        find_images_to_embed([tmp_path / "only"])
    assert "whatever their labels" in error.value.__notes__[0]
