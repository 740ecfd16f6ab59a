"""Laws of embeddings: those of the network, each image once, whatever happens on the way."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

import resnext
from resnext.contract import GreyRange
from resnext.data.decode import BadImage, DataError
from resnext.data.stored_images import UnlabelledImages
from resnext.engine import (
    Classifier,
    EmbeddingSummary,
    ModelError,
    TorchEngine,
    embed_images,
    find_images_to_embed,
)
from resnext.engine import kept_rows as files
from resnext.engine.image_list import ImageList, Part
from resnext.errors import UsageError
from resnext.models import create


def embed(classifier: Classifier, pets: Path, out: Path, **options: Any) -> EmbeddingSummary:
    return embed_images(classifier, find_images_to_embed([pets]), out, **options)


def stop_after(count: int) -> Callable[[int, int], None]:
    """A `progress` that ends the run when so many images are done."""

    def progress(done: int, total: int) -> None:
        if done >= count:
            raise KeyboardInterrupt

    return progress


@torch.no_grad()
def test_rows_are_what_the_classifier_of_the_network_receives(
    classifier: Classifier, pets: Path, tmp_path: Path
) -> None:
    seen: list[torch.Tensor] = []
    summary = embed(classifier, pets, tmp_path / "x.parquet")
    table = pq.read_table(tmp_path / "x.parquet").to_pydict()
    assert (summary.rows, summary.images, summary.features) == (140, 140, 128)
    classifier.network.fc.register_forward_hook(lambda _, x, y: seen.append(x[0]))
    paths = [pets / split / key for split, key in zip(table["split"], table["key"], strict=True)]
    for start in range(0, 140, 70):
        classifier.predict(paths[start : start + 70])
    assert np.allclose(np.array(table["embedding"]), torch.cat(seen).numpy(), atol=1e-6)
    assert table["label"] == [path.parent.name for path in paths]
    assert len(set(paths)) == 140
    assert all(path.is_file() for path in paths)
    assert pq.read_schema(tmp_path / "x.parquet").names == ["key", "split", "label", "embedding"]


def test_deep_grey_images_are_seen_as_the_contract_says(classifier: Classifier, tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (8, 8))
    Image.fromarray(levels.astype(np.uint8)).save(tmp_path / "a.png")
    Image.fromarray((16 * levels - 500).astype(np.int32)).save(tmp_path / "b.tif")
    contract = replace(classifier.contract, grey=GreyRange(-500, 16 * 255 - 500))
    deep = Classifier(TorchEngine(classifier.network, contract))
    embed(deep, tmp_path, tmp_path / "x.parquet")
    shallow, same = pq.read_table(tmp_path / "x.parquet")["embedding"].to_pylist()
    assert shallow == same


def test_of_no_images_there_are_no_rows_and_of_none_that_can_be_read_an_error(
    classifier: Classifier, tmp_path: Path
) -> None:
    none = ImageList((Part(None, UnlabelledImages([]), is_labelled=False),))
    summary = embed_images(classifier, none, tmp_path / "none.parquet")
    assert (summary.rows, summary.images, summary.resumed_at, summary.notes) == (0, 0, 0, ())
    assert embed_images(classifier, none, tmp_path / "none.parquet", resume=True).notes == ()
    (tmp_path / "bad.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="none of 1 images can be read"):
        embed(classifier, tmp_path / "bad.png", tmp_path / "bad.parquet", on_bad="skip")


def test_images_without_labels_have_none(classifier: Classifier, pets: Path, tmp_path: Path) -> None:
    found = find_images_to_embed([pets / "test" / "cat", str(pets / "train" / "dog" / "*.png")])
    embed_images(classifier, found, tmp_path / "x.parquet")
    table = pq.read_table(tmp_path / "x.parquet").to_pydict()
    assert set(table["label"]) == set(table["split"]) == {None}
    assert all(Path(key).is_file() for key in table["key"])
    assert len(set(table["key"])) == 55


@pytest.mark.parametrize("stops", [(1,), (64, 100, 131), (64, 64, 128, 135, 139), (140,)])
@pytest.mark.parametrize("waiting_s", [0.0, 30.0])
def test_a_stopped_run_goes_on_to_the_same_bytes(
    stops: tuple[int, ...],
    waiting_s: float,
    classifier: Classifier,
    pets: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rows written after each batch, or when it stops."""
    monkeypatch.setattr(files, "WAITING_S", waiting_s)
    embed(classifier, pets, tmp_path / "whole.parquet")
    out = tmp_path / "cut.parquet"
    for count in stops:
        with pytest.raises(KeyboardInterrupt) as error:
            embed(classifier, pets, out, resume=True, progress=stop_after(count))
        assert any("--resume goes on" in note for note in error.value.__notes__)
        assert not out.exists()
    summary = embed(classifier, pets, out, resume=True)
    assert summary.rows == 140
    assert out.read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert sorted(path.name for path in tmp_path.glob("*.parquet*")) == ["cut.parquet", "whole.parquet"]
    again = embed(classifier, pets, out, resume=True)  # a finished one is left as it is
    assert (again.resumed_at, again.notes) == (140, summary.notes)


def test_row_groups_do_not_depend_on_when_rows_came(
    classifier: Classifier, pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "ROW_GROUP_ROWS", 50)
    embed(classifier, pets, tmp_path / "x.parquet")
    groups = pq.ParquetFile(tmp_path / "x.parquet")
    assert [groups.metadata.row_group(i).num_rows for i in range(groups.num_row_groups)] == [50, 50, 40]
    before = (tmp_path / "x.parquet").read_bytes()
    monkeypatch.setattr(files, "WAITING_S", 0.0)
    embed(classifier, pets, tmp_path / "x.parquet")
    assert (tmp_path / "x.parquet").read_bytes() == before


@pytest.mark.parametrize("bad", [[0], [63], [62, 63, 64, 129], list(range(60, 128)), list(range(100, 140))])
def test_bad_images_are_left_out_once(
    bad: list[int], classifier: Classifier, pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where they are the last of a batch, or all of it, and the run is stopped after them."""
    images = find_images_to_embed([pets])
    keys = images.describe(np.arange(140))
    paths = [pets / split / key for split, key in zip(keys["split"], keys["key"], strict=True)]
    for index in bad:
        paths[index].write_bytes(b"no image")
    with pytest.raises(BadImage):
        embed(classifier, pets, tmp_path / "x.parquet")
    summary = embed(classifier, pets, tmp_path / "whole.parquet", on_bad="skip")
    assert (summary.rows, len(summary.bad)) == (140 - len(bad), len(bad))
    monkeypatch.setattr(files, "WAITING_S", 0.0)
    out = tmp_path / "cut.parquet"
    for count in (64, 128, 131, 140):
        with pytest.raises(KeyboardInterrupt):
            embed(classifier, pets, out, resume=True, on_bad="skip", progress=stop_after(count))
    embed(classifier, pets, out, resume=True, on_bad="skip")
    assert out.read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_an_image_that_was_repaired_is_taken(classifier: Classifier, pets: Path, tmp_path: Path) -> None:
    path = sorted((pets / "train" / "dog").iterdir())[-1]
    content = path.read_bytes()
    path.write_bytes(b"no image")
    out = tmp_path / "x.parquet"
    with pytest.raises(BadImage):
        embed(classifier, pets, out)
    path.write_bytes(content)
    assert embed(classifier, pets, out, resume=True).rows == 140


def test_images_that_have_changed_are_named(classifier: Classifier, pets: Path, tmp_path: Path) -> None:
    out, changed = tmp_path / "x.parquet", pets / "train" / "cat" / "1.png"
    with pytest.raises(KeyboardInterrupt):
        embed(classifier, pets, out, progress=stop_after(64))
    before, stamp = changed.read_bytes(), changed.stat().st_mtime_ns
    Image.new("RGB", (16, 16)).save(changed)
    with pytest.raises(DataError, match=r"has a row of cat/1\.png, which has changed since; put back"):
        embed(classifier, pets, out, resume=True)
    changed.unlink()
    with pytest.raises(DataError, match=r"cat/1\.png, in whose place cat/10\.png is now: images were"):
        embed(classifier, pets, out, resume=True)
    with pytest.raises(DataError, match=r"was begun with 64 images or more, and now there are only 10"):
        embed(classifier, pets / "test", out, resume=True)
    changed.write_bytes(before)
    os.utime(changed, ns=(stamp, stamp))
    assert embed(classifier, pets, out, resume=True).rows == 140
    changed.touch()
    with pytest.raises(DataError, match="embeddings of other images, or of these before some changed"):
        embed(classifier, pets, out, resume=True)


def test_another_model_is_told(classifier: Classifier, pets: Path, tmp_path: Path) -> None:
    out, arch, contract = tmp_path / "x.parquet", classifier.network.arch, classifier.contract
    networks = {
        r"resnet11\+template=8 with other weights \(SHA-256 [0-9a-f]{16}": (create(arch, 2), contract),
        "another contract: contract.mean differs": (create(arch, 1), replace(contract, mean=(0.4,) * 3)),
        r"resnet11\+template=8, not resnet11\+template=8\+attention=se": (
            create(replace(arch, attention="se")),
            contract,
        ),
    }
    others = {says: Classifier(TorchEngine(*pair)) for says, pair in networks.items()}
    with pytest.raises(KeyboardInterrupt):
        embed(classifier, pets, out, progress=stop_after(64))
    for _ in range(2):  # with the rows so far, then with the finished file
        for says, other in others.items():
            with pytest.raises(ModelError, match=says):
                embed(other, pets, out, resume=True)
        assert embed(Classifier(TorchEngine(create(arch, 1), contract)), pets, out, resume=True).rows == 140


def test_rows_so_far_are_not_written_over(classifier: Classifier, pets: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.parquet"
    with pytest.raises(KeyboardInterrupt):
        embed(classifier, pets, out, progress=stop_after(64))
    before = (tmp_path / "x.parquet.partial").read_bytes()
    with pytest.raises(UsageError, match=r"x\.parquet\.partial: has the rows of a run .* --resume goes on"):
        embed(classifier, pets, out)
    assert (tmp_path / "x.parquet.partial").read_bytes() == before


def test_a_run_without_rows_leaves_nothing(classifier: Classifier, pets: Path, tmp_path: Path) -> None:
    for path in pets.rglob("*.png"):
        path.write_bytes(b"no image")
    with pytest.raises(BadImage):
        embed(classifier, pets, tmp_path / "x.parquet")
    with pytest.raises(DataError, match="none of 140 images can be read"):
        embed(classifier, pets, tmp_path / "x.parquet", on_bad="skip")
    assert [*tmp_path.iterdir()] == [pets]


def test_a_full_disk_loses_no_row(
    classifier: Classifier, pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "WAITING_S", 0.0)
    embed(classifier, pets, tmp_path / "whole.parquet")
    out, calls = tmp_path / "x.parquet", []
    full_at = (3, 5, 6)  # of rows, and of the Parquet file

    def fsync(handle: int) -> None:
        calls.append(handle)
        if len(calls) in full_at:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", fsync)
    for _ in range(3):
        with pytest.raises(OSError, match="No space left") as error:
            embed(classifier, pets, out, resume=True)
        assert "--resume goes on" in error.value.__notes__[0]
        assert not out.exists()
    assert embed(classifier, pets, out, resume=True).rows == 140
    assert out.read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert len([*tmp_path.glob("x.*")]) == 1


def test_embeddings_that_are_not_finite_are_refused(
    classifier: Classifier, pets: Path, tmp_path: Path
) -> None:
    with torch.no_grad():
        classifier.network.get_parameter("bn1.weight").fill_(float("inf"))
    with pytest.raises(resnext.Diverged, match="features are not finite"):
        embed(classifier, pets, tmp_path / "x.parquet")
