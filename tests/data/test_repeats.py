"""One file is one image, whatever leads to it: links make no second one, of another class or split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from resnext.data.decode import DataError
from resnext.data.sources import read_splits


@pytest.fixture
def pets(tmp_path: Path, make_folder: Any) -> Path:
    return make_folder(tmp_path / "pets", {"cat": 10, "dog": 10}, (4, 4))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("cat/up", ".."),
        ("dog/cats", "../cat"),
        ("dog/c0.png", "../cat/0.png"),
        ("dog/deep/c0.png", "../../cat/0.png"),
        ("dog/1b.png", "1.png"),
        ("cow", "."),
    ],
)
def test_a_link_into_the_set_is_refused(link: str, target: str, pets: Path) -> None:
    (pets / link).parent.mkdir(exist_ok=True)
    (pets / link).symlink_to(target)
    with pytest.raises(DataError, match=rf"{link} is a link into the set itself .* may be of two classes"):
        read_splits(str(pets))


def test_links_to_elsewhere_are_read_once(pets: Path, tmp_path: Path, make_folder: Any) -> None:
    """A set may be made of links to images that lie in one heap."""
    make_folder(tmp_path / "heap", {"x": 8}, (4, 4))
    for i in range(8):
        (pets / "cat" / f"x{i}.png").symlink_to(tmp_path / "heap" / "x" / f"{i}.png")
    assert sum(len(images) for _, images in read_splits(str(pets)).items()) == 28
    (pets / "dog" / "x.png").symlink_to(tmp_path / "heap" / "x" / "3.png")
    with pytest.raises(DataError, match=r"links cat/x3\.png and dog/x\.png lead to the same .*3\.png"):
        read_splits(str(pets))
    (pets / "dog" / "x.png").unlink()
    (pets / "dog" / "more").symlink_to(tmp_path / "heap" / "x")
    with pytest.raises(DataError, match="lead to the same"):
        read_splits(str(pets))


def test_a_loop_is_walked_once(pets: Path) -> None:
    (pets / "dog" / "again").symlink_to(pets / "dog")
    assert sum(len(images) for _, images in read_splits(str(pets)).items()) == 20


@pytest.mark.parametrize(
    ("link", "target", "says"),
    [
        ("val", "train", "a link makes"),
        ("val/cat", "../train/cat", "links in val lead to images of train"),
        ("val/cat", "../train/dog", "links in val lead to images of train"),
        ("val/cat/0.png", "../../train/cat/0.png", "links in val lead to images of train"),
    ],
)
def test_links_between_splits_are_refused(
    link: str, target: str, says: str, tmp_path: Path, make_folder: Any
) -> None:
    make_folder(tmp_path / "train", {"cat": 5, "dog": 5}, (4, 4))
    if link != "val":
        make_folder(tmp_path / "val", {"dog": 5} if link == "val/cat" else {"cat": 5, "dog": 5}, (4, 4))
        (tmp_path / link).unlink(missing_ok=True)
    (tmp_path / link).symlink_to(target)
    with pytest.raises(DataError, match=rf"{says}.*what is trained on cannot be judged on"):
        read_splits(str(tmp_path))


def test_splits_that_share_what_their_links_lead_to(tmp_path: Path, make_folder: Any) -> None:
    make_folder(tmp_path / "heap", {"x": 20}, (4, 4))
    for split, numbers in (("train", range(10)), ("val", range(10, 20))):
        for i in numbers:
            link = tmp_path / "pets" / split / "ab"[i % 2] / f"{i}.png"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(tmp_path / "heap" / "x" / f"{i}.png")
    assert [len(images) for _, images in read_splits(str(tmp_path / "pets")).items()] == [10, 10]
    (tmp_path / "pets" / "val" / "a" / "3.png").symlink_to(tmp_path / "heap" / "x" / "3.png")
    with pytest.raises(DataError, match="lead to images of"):
        read_splits(str(tmp_path / "pets"))


def test_rows_of_a_table_that_lead_to_one_file(pets: Path) -> None:
    (pets / "link.png").symlink_to("cat/0.png")
    (pets / "cats").symlink_to("cat")
    rows = ["cat/0.png,a", "dog/0.png,b", "dog/1.png,b", "cat/1.png,a"]
    for other in ("link.png", "cats/0.png"):
        (pets / "t.csv").write_text("\n".join(["path,label", *rows, f"{other},b", ""]))
        with pytest.raises(DataError, match=rf"{other} is 'a' in row 0 and 'b' in row 4|is 'a' in row 0"):
            read_splits(str(pets / "t.csv"))
        lines = [f"{row},{'train' if row[:3] == 'cat' else 'val'}" for row in rows]
        (pets / "t.csv").write_text("\n".join(["path,label,split", *lines, f"{other},a,val", ""]))
        with pytest.raises(DataError, match=r"1 image is in more than one split"):
            read_splits(str(pets / "t.csv"))
