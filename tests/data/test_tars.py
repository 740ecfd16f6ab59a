"""A tar is whole, and each of its samples has one image and one class, or an error says what is wrong."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from resnext.data.decode import BadImage, DataError
from resnext.data.tars import read_members, read_tars

FILES = {"a/1.jpg": b"one" * 300, "a/1.cls": b"3", "a/2.jpg": b"two" * 500, "a/2.cls": b"7"}


def tar_of(files: dict[str, bytes], **options: Any) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", **options) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return written.getvalue()


def write(folder: Path, content: bytes) -> Path:
    (folder / "t.tar").write_bytes(content)
    return folder / "t.tar"


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_those_that_the_standard_library_unpacks(form: int, tmp_path: Path) -> None:
    long = {"x" * 90 + "/" + "y" * 90 + ".jpg": b"z" * 513} if form != tarfile.USTAR_FORMAT else {}
    path = write(tmp_path, tar_of(FILES | long | {"ä.jpg": b""}, format=form))
    content = path.read_bytes()
    found = {one.name: content[one.offset : one.offset + one.size] for one in read_members(path)}
    with tarfile.open(path) as tar:
        assert found == {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]


def test_no_part_of_a_tar_is_taken_for_the_whole(tmp_path: Path) -> None:
    """Cut at every place, it is refused, unless only a part of the empty blocks at its end is missing."""
    whole = tar_of(FILES)
    end = len(whole.rstrip(b"\0"))
    end += -end % 512 + 1024
    for size in [*range(0, end, 64), *range(511, end, 512), end - 1]:
        with pytest.raises(DataError, match=r"t\.tar: "):
            read_members(write(tmp_path, whole[:size]))
    for size in range(end, len(whole) + 1, 512):
        assert len(read_members(write(tmp_path, whole[:size]))) == 4


def test_what_follows_the_end_is_not_left_out(tmp_path: Path) -> None:
    whole = tar_of(FILES)
    for more in (whole, b"x", bytes(2**20 + 1)):  # a second tar; rubbish; a file half fetched
        with pytest.raises(DataError, match="more follows its end"):
            read_members(write(tmp_path, whole + more))
    assert len(read_members(write(tmp_path, whole + bytes(2**19)))) == 4


def test_a_damaged_header_does_not_end_a_tar(tmp_path: Path) -> None:
    whole = tar_of(FILES)
    for member in read_members(write(tmp_path, whole)):
        damaged = bytearray(whole)
        damaged[member.offset - 400] ^= 1  # in its header
        with pytest.raises(DataError, match=r"t\.tar: "):
            read_members(write(tmp_path, bytes(damaged)))


def test_links_and_hidden_files_are_no_samples(tmp_path: Path) -> None:
    path = write(
        tmp_path, tar_of(FILES | {"a/.3.jpg": b"", "a/__3.jpg": b"", "a/readme": b"", "b/about.md": b""})
    )
    images, keys = read_tars([path], path)
    assert keys == ["a/1", "a/2"]
    assert list(images.keys) == ["a/1.jpg", "a/2.jpg"]
    assert [images.read_bytes(i) for i in range(2)] == [FILES["a/1.jpg"], FILES["a/2.jpg"]]
    assert [images.classes[i] for i in images.labels] == ["3", "7"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"a/1.cls": b""}, "1.cls holds '', no class by number"),
        ({"a/1.cls": b"cat"}, "1.cls holds 'cat', no class by number"),
        ({"a/1.cls": None}, "no label column beside a/1"),
        (dict.fromkeys(FILES), "has no samples"),
    ],
)
def test_samples_without_a_class(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    files = {name: content for name, content in (FILES | change).items() if content is not None}
    path = write(tmp_path, tar_of(files))
    with pytest.raises(DataError, match=says):
        read_tars([path], path)


def test_a_class_without_an_image_is_a_bad_image(tmp_path: Path) -> None:
    path = write(tmp_path, tar_of({name: c for name, c in FILES.items() if name != "a/2.jpg"}))
    images, _ = read_tars([path], path)
    assert len(images) == 2
    with pytest.raises(BadImage, match=r"t\.tar#1: has no bytes"):
        images.open(1)


def test_a_file_twice_in_one_sample(tmp_path: Path) -> None:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for name in ("1.jpg", "1.cls", "1.jpg"):
            member = tarfile.TarInfo(name)
            member.size = 1
            tar.addfile(member, io.BytesIO(b"1"))
    path = write(tmp_path, written.getvalue())
    with pytest.raises(DataError, match=r"has 1\.jpg twice in one sample"):
        read_tars([path], path)


def test_a_tar_that_became_shorter(tmp_path: Path) -> None:
    path = write(tmp_path, tar_of(FILES))
    images, _ = read_tars([path], path)
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(BadImage, match="has no bytes"):
        images.open(1)


def test_a_compressed_tar_is_refused(tmp_path: Path) -> None:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("1.jpg"))
    with pytest.raises(DataError, match="not compressed"):
        read_members(write(tmp_path, written.getvalue()))


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.SYMTYPE])
def test_links_are_no_samples_that_may_be_lost(kind: bytes, tmp_path: Path) -> None:
    written = io.BytesIO(tar_of(FILES))
    with tarfile.open(fileobj=written, mode="a") as tar:
        link = tarfile.TarInfo("a/3.jpg")
        link.type, link.linkname = kind, "a/1.jpg"
        tar.addfile(link)
    with pytest.raises(DataError, match=r"t\.tar: a/3\.jpg is a link to a/1\.jpg.*--hard-dereference"):
        read_members(write(tmp_path, written.getvalue()))


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"a/1.label": b"4"}, r"a/1 has cls and label, and which is meant is not certain"),
        ({"a/1.CLS": b"4"}, r"a/1 has cls and CLS, and which"),
        ({"a/1.png": b"x"}, r"a/1 has jpg and png, and which"),
    ],
)
def test_a_sample_has_one_image_and_one_class(more: dict[str, bytes], says: str, tmp_path: Path) -> None:
    files = {"a/1.jpg": b"one", "a/1.cls": b"3"} | more | {"a/2.jpg": b"two", "a/2.cls": b"7"}
    with pytest.raises(DataError, match=says):
        read_tars([write(tmp_path, tar_of(files))], tmp_path)


def test_a_sample_that_was_appended_again_is_not_two(tmp_path: Path) -> None:
    written = io.BytesIO(tar_of(FILES))
    with tarfile.open(fileobj=written, mode="a") as tar:
        for name, content in {"a/1.jpg": b"one", "a/1.cls": b"9"}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    with pytest.raises(DataError, match="has the sample a/1 twice, as where files were appended"):
        read_tars([write(tmp_path, written.getvalue())], tmp_path)


def test_a_long_label_is_not_cut(tmp_path: Path) -> None:
    files = {"1.jpg": b"x", "1.label": b"a" * 1000, "2.jpg": b"x", "2.label": b"a" * 1000 + b"b"}
    with pytest.raises(DataError, match=r"2\.label has 1,001 bytes, and is no class"):
        read_tars([write(tmp_path, tar_of(files))], tmp_path)


def test_empty_bytes_at_the_end_are_told(tmp_path: Path) -> None:
    """Tools that make room for a whole file first leave zeros where the rest was not fetched."""
    files = {f"{i}.{kind}": b"7" for i in range(40) for kind in ("jpg", "cls")}
    whole = tar_of(files)
    assert read_tars([write(tmp_path, whole)], tmp_path)[0].notes == ()
    cut = whole[: 16 * 1024] + bytes(len(whole) - 16 * 1024)
    images, _ = read_tars([write(tmp_path, cut)], tmp_path)
    assert len(images) < 40
    assert images.notes[0].startswith("t.tar ends in ")
    assert images.notes[0].endswith("empty bytes: is it whole?")
