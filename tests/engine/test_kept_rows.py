"""The rows so far, cut off and damaged."""

from __future__ import annotations

import multiprocessing
import random
from pathlib import Path
from typing import Any

import pytest

from resnext.data.decode import DataError
from resnext.engine import Classifier, embed_images, find_images_to_embed
from resnext.engine import kept_rows as files
from resnext.engine.embedding import EmbeddingFormat
from resnext.engine.image_list import ImageList
from resnext.engine.origin import Origin
from resnext.errors import UsageError


@pytest.fixture
def images(pets: Path) -> ImageList:
    return find_images_to_embed([pets])


@pytest.fixture
def partial(
    classifier: Classifier, images: ImageList, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A file with all rows, in batches of 64, 64, 2 and 10."""
    monkeypatch.setattr(files, "WAITING_S", 0.0)
    out = tmp_path / "x.parquet"
    with pytest.raises(ZeroDivisionError):
        embed_images(classifier, images, out, progress=lambda done, total: 1 / (total - done))
    embed_images(classifier, images, tmp_path / "whole.parquet")
    return files.partial_path(out)


def ends(partial: Path, classifier: Classifier, images: ImageList) -> list[int]:
    """Where the beginning ends, and each of the whole batches."""
    out = partial.with_name("x.parquet")
    with files.open_partial(
        out, EmbeddingFormat(128), Origin.of_embeddings(classifier), images, resume=True
    ) as file:
        file._read_origin()
        return [file._end, *(file._end for _ in file._batches())]


def test_a_file_that_was_cut_anywhere_gives_each_row_once(
    partial: Path, classifier: Classifier, images: ImageList, tmp_path: Path
) -> None:
    content, whole = partial.read_bytes(), (tmp_path / "whole.parquet").read_bytes()
    borders = ends(partial, classifier, images)
    assert borders[-1] == len(content)
    draw = random.Random(0)
    near = [end + by for end in borders for by in (-9, -1, 0, 1, 5, 9) if 0 <= end + by <= len(content)]
    for size in (0, 1, 3, 4, 7, 100, *near, *(draw.randrange(len(content)) for _ in range(10))):
        for tail in (b"", b"\0" * 5000):  # blocks that a machine without power has not written
            if tail and size < borders[0]:  # the beginning was on the disk before anything else
                continue
            partial.write_bytes(content[:size] + tail)
            out = tmp_path / "x.parquet"
            summary = embed_images(classifier, images, out, resume=True)
            assert summary.resumed_at <= 140
            assert out.read_bytes() == whole, size
            out.unlink()


def test_a_batch_that_is_there_twice_counts_once(
    partial: Path, classifier: Classifier, images: ImageList, tmp_path: Path
) -> None:
    content, borders = partial.read_bytes(), ends(partial, classifier, images)
    last = content[borders[-2] :]
    partial.write_bytes(content + last + last)
    embed_images(classifier, images, tmp_path / "x.parquet", resume=True)
    assert (tmp_path / "x.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_other_files_are_left_alone(classifier: Classifier, images: ImageList, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = tmp_path / "x.parquet"
    partial = files.partial_path(out)
    stream = pa.schema([("a", pa.int64())]).serialize().to_pybytes()
    for content, says in (
        (b"a,b\n", "holds no rows that resnext kept; remove it"),
        (stream, "say another name"),
    ):
        partial.write_bytes(content)
        with pytest.raises(DataError, match=says):
            embed_images(classifier, images, out, resume=True)
        assert partial.read_bytes() == content
    partial.unlink()
    out.write_bytes(b"a,b\n")
    with pytest.raises(DataError, match="no Parquet file"):
        embed_images(classifier, images, out, resume=True)
    pq.write_table(pa.table({"a": [1]}), out)
    with pytest.raises(DataError, match="no file of embeddings"):
        embed_images(classifier, images, out, resume=True)
    (tmp_path / "elsewhere").write_bytes(b"mine")
    partial.symlink_to(tmp_path / "elsewhere")
    for resume in (False, True):
        with pytest.raises((UsageError, FileExistsError)):
            embed_images(classifier, images, tmp_path / "x.parquet", resume=resume)
    assert (tmp_path / "elsewhere").read_bytes() == b"mine"


def hold(classifier: Any, images: Any, out: Path, ready: Any, done: Any) -> None:
    with files.open_partial(out, EmbeddingFormat(128), Origin.of_embeddings(classifier), images, resume=True):
        ready.set()
        done.wait(60)


def test_two_processes_do_not_write_one_file(
    classifier: Classifier, images: ImageList, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    out = tmp_path / "x.parquet"
    other = context.Process(target=hold, args=(classifier, images, out, ready, done))
    other.start()
    assert ready.wait(60)
    with pytest.raises(UsageError, match="another process writes it"):
        embed_images(classifier, images, out, resume=True)
    done.set()
    other.join(60)
    assert embed_images(classifier, images, out, resume=True).rows == 140


def test_a_newer_schema_is_named(partial: Path, classifier: Classifier, images: ImageList) -> None:
    content = partial.read_bytes()
    assert content.count(b'{"schema": 1, "written_by"') == 1  # the contract has a schema of its own
    partial.write_bytes(content.replace(b'{"schema": 1, "written_by"', b'{"schema": 7, "written_by"'))
    with pytest.raises(DataError, match="schema 7; this version reads schema 1"):
        embed_images(classifier, images, partial.with_name("x.parquet"), resume=True)
