"""A run goes on with the images that it was started with, and with no others."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from resnext import api
from resnext.data import stored_images
from resnext.run import RunError

pytestmark = pytest.mark.usefixtures("no_reports")
SMALL = {"model": "resnet11+template=8", "epochs": 1, "batch": 8, "data__size_px": 8}
SIZE = (12, 10)


def bmp(seed: int) -> bytes:
    """An image whose size in bytes does not depend on what it shows."""
    values = np.random.default_rng(seed).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(values).save(file, "BMP")
    return file.getvalue()


def write_folder(root: Path) -> Path:
    for number in range(24):
        path = root / "ab"[number % 2] / f"{number:02d}.bmp"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bmp(number))
    return root


def write_tar(root: Path, seed: int = 0) -> Path:
    root.mkdir(exist_ok=True)
    with tarfile.open(root / "all.tar", "w") as tar:
        for number in range(24):
            for suffix, content in (("bmp", bmp(seed + number)), ("cls", b"01"[number % 2 : number % 2 + 1])):
                member = tarfile.TarInfo(f"{number:02d}.{suffix}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return root


def touch(paths: Any, later_s: int = 60) -> None:
    for path in paths:
        time = path.stat().st_mtime_ns + later_s * 10**9
        os.utime(path, ns=(time, time))


def train(data: Path | str, runs: Path, resume: str = "must") -> api.Run:
    return api.train(data, name="x", runs=runs, resume=resume, **SMALL)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, no_reports: None) -> Path:
    """A data set, and a run of it."""
    root = tmp_path_factory.mktemp("finished")
    train(write_folder(root / "pets"), root, "never")
    return root


@pytest.fixture
def root(finished: Path, tmp_path: Path) -> Path:
    """The same at another place, with the same times."""
    shutil.copytree(finished, tmp_path / "root")
    return tmp_path / "root"


def test_other_images_of_equal_size_are_refused(root: Path) -> None:
    for path in (root / "pets").rglob("*.bmp"):
        path.write_bytes(bmp(1000 + int(path.stem)))
    touch((root / "pets").rglob("*.bmp"))
    with pytest.raises(
        RunError, match=r"data: 24 images hold something else, a/00\.bmp, .* and 21 more"
    ) as error:
        train(root / "pets", root)
    assert error.value.exit_code == 2


def test_one_changed_image_is_named(root: Path) -> None:
    path = root / "pets" / "b" / "07.bmp"
    path.write_bytes(bmp(1007))
    touch([path])
    with pytest.raises(RunError, match=r"data: 1 image holds something else, b/07\.bmp\n"):
        train(root / "pets", root)


def test_two_classes_that_changed_places_are_refused(root: Path) -> None:
    for number in range(0, 24, 2):
        one, other = root / "pets" / "a" / f"{number:02d}.bmp", root / "pets" / "b" / f"{number + 1:02d}.bmp"
        one.rename(root / "elsewhere")
        other.rename(one)
        (root / "elsewhere").rename(other)
    touch((root / "pets" / "a").iterdir())
    with pytest.raises(RunError, match="images hold something else"):
        train(root / "pets", root)


def test_nothing_is_read_where_times_are_the_same(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(path: Path) -> bytes:
        raise AssertionError(f"read {path}")

    monkeypatch.setattr(stored_images, "read_regular_file", never)
    train(root / "pets", root)


def test_a_copy_is_the_same_set_and_read_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, names = stored_images.read_regular_file, []
    monkeypatch.setattr(
        stored_images, "read_regular_file", lambda path: (names.append(path.name), read(path))[1]
    )
    touch((root / "pets").rglob("*.bmp"))
    train(root / "pets", root)
    assert sorted(names) == [f"{number:02d}.bmp" for number in range(24)]
    train(root / "pets", root)
    assert len(names) == 24
    path = root / "pets" / "a" / "00.bmp"
    path.write_bytes(bmp(1000))
    touch([path], 3600)
    with pytest.raises(RunError, match=r"a/00\.bmp"):
        train(root / "pets", root)


@pytest.mark.parametrize("damage", ["gone", "cut", "flipped"])
def test_without_its_list_everything_is_read(damage: str, root: Path) -> None:
    path = root / "x" / "contents.npz"
    content = bytearray(path.read_bytes())
    content[300] ^= 1
    path.write_bytes({"gone": b"", "cut": content[:100], "flipped": content}[damage])
    if damage == "gone":
        path.unlink()
    train(root / "pets", root)
    assert path.read_bytes()[:2] == b"PK"  # written again
    path.unlink()
    (root / "pets" / "a" / "00.bmp").write_bytes(bmp(1000))
    with pytest.raises(RunError, match="data: images hold something else than in the run"):
        train(root / "pets", root)


def test_a_run_of_an_earlier_version_is_resumed_by_its_fingerprint(root: Path) -> None:
    about = json.loads((root / "x" / "data.json").read_text())
    assert len(about.pop("contents")) == 16
    (root / "x" / "data.json").write_text(json.dumps(about))
    (root / "x" / "contents.npz").unlink()
    touch((root / "pets").rglob("*.bmp"))
    train(root / "pets", root)
    (root / "pets" / "a" / "00.bmp").write_bytes(bmp(1000) + b"x")
    with pytest.raises(RunError, match="images were added, removed or changed"):
        train(root / "pets", root)


@pytest.mark.parametrize("prefix", ["", "stream:"])
def test_images_in_archives(prefix: str, tmp_path: Path) -> None:
    data = f"{prefix}{write_tar(tmp_path / 'tars')}"
    train(data, tmp_path, "never")
    touch((tmp_path / "tars").iterdir())
    train(data, tmp_path)
    write_tar(tmp_path / "tars", seed=1000)
    touch((tmp_path / "tars").iterdir(), 3600)
    with pytest.raises(RunError, match="data: 24 images hold something else"):
        train(data, tmp_path)


def test_an_index_stands_for_its_images(root: Path) -> None:
    """A run of a folder goes on with its index, and the digests of the index are compared."""
    index = api.index_images(root / "pets", root / "pets.index")
    touch((root / "pets").rglob("*.bmp"))
    train(index, root)
    for path in (root / "pets").rglob("*.bmp"):
        path.write_bytes(bmp(1000 + int(path.stem)))
    shutil.rmtree(index)
    with pytest.raises(RunError, match="data: 24 images hold something else"):
        train(api.index_images(root / "pets", index), root)
