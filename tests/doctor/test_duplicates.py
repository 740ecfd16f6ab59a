"""Altered copies are found, whatever was done to them, and different images of one class are not."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from resnext.doctor import Diagnosis, ExaminedSet, FactsFile, duplicates, examine, manifest_rows
from resnext.progress import run_to_end


def picture(seed: int, size: int = 96) -> Image.Image:
    """An image with edges of its own: coloured rectangles on a smooth ground."""
    random = np.random.default_rng(seed)
    ground = random.uniform(60, 200, (4, 4, 3)).astype(np.uint8)
    image = np.array(Image.fromarray(ground).resize((size, size), Image.Resampling.BICUBIC))
    for _ in range(12):
        x, y = random.integers(0, size - 12, 2)
        w, h = random.integers(8, size // 3, 2)
        image[y : y + h, x : x + w] = random.uniform(0, 255, 3)
    return Image.fromarray(image).filter(ImageFilter.GaussianBlur(1))


def recompressed(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=40)
    return Image.open(file)


def cropped(image: Image.Image) -> Image.Image:
    return image.crop((3, 2, image.width - 2, image.height - 3)).resize(image.size)


ALTERATIONS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "recompressed": recompressed,
    "resized": lambda image: image.resize((57, 60)),
    "cropped by 5 %": cropped,
    "mirrored": ImageOps.mirror,
    "with a border": lambda image: ImageOps.expand(image, 4, "black"),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
}


def diagnose(root: Path) -> Diagnosis:
    examined = ExaminedSet.read(str(root))
    return run_to_end(examine(examined, FactsFile(root.parent / "x.facts")))


def write(root: Path, images: dict[str, Image.Image]) -> None:
    for name, image in images.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)


@pytest.mark.parametrize("alteration", ALTERATIONS)
def test_an_altered_copy_in_another_split_is_a_leak(tmp_path: Path, alteration: str) -> None:
    root = tmp_path / "data"
    for split, first in (("train", 0), ("val", 100), ("test", 200)):
        write(root, {f"{split}/{'ab'[i % 2]}/{i}.png": picture(first + i) for i in range(8)})
    write(root, {"test/a/copy.png": ALTERATIONS[alteration](picture(3))})
    diagnosis = diagnose(root)
    row, conflict = manifest_rows(diagnosis.findings, diagnosis.examined)
    assert (row.split, row.key, row.label, row.action) == ("train", "b/3.png", "b", "drop")
    assert row.other == "test: a/copy.png"
    assert ("mirrored" in row.detail) == (alteration == "mirrored")
    assert ("there a" in row.detail) is True  # of another class
    kind = row.finding.removesuffix("leak")  # `near_`, if its pixels are others
    assert row.finding == f"{kind}leak"
    assert (conflict.split, conflict.key, conflict.finding) == ("test", "a/copy.png", f"{kind}conflict")
    assert (conflict.action, conflict.other) == ("keep", "train: b/3.png")


def test_equal_pixels_in_other_files_are_duplicates_leaks_and_conflicts(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for split, first in (("train", 0), ("val", 100), ("test", 200)):
        write(root, {f"{split}/{'ab'[i % 2]}/{i}.png": picture(first + i) for i in range(6)})
    write(
        root,
        {
            "train/a/again.bmp": picture(0),  # the same label
            "train/b/other.bmp": picture(2),  # another label
            "val/a/seen.bmp": picture(4),
            "test/a/both.bmp": picture(102),
            "test/b/twice.bmp": picture(201),
        },
    )
    diagnosis = diagnose(root)
    rows = {
        (row.split, row.key, row.finding): row.action
        for row in manifest_rows(diagnosis.findings, diagnosis.examined)
    }
    assert rows == {
        ("train", "a/again.bmp", "duplicate"): "drop",
        ("train", "b/other.bmp", "conflict"): "drop",
        ("train", "a/2.png", "conflict"): "drop",
        ("train", "a/4.png", "leak"): "drop",
        ("val", "a/2.png", "leak"): "drop",
        ("test", "b/twice.bmp", "duplicate"): "keep",
    }


def test_no_copy_hides_behind_another_one(tmp_path: Path) -> None:
    """One image in three splits, twice in one of them, under two labels in another."""
    root = tmp_path / "data"
    for split, first in (("train", 0), ("val", 100), ("test", 200)):
        write(root, {f"{split}/{'ab'[i % 2]}/{i}.png": picture(first + i) for i in range(6)})
    copies = ("train/a/x.png", "train/a/y.png", "val/a/x.png", "test/a/x.png", "test/b/y.png")
    write(root, dict.fromkeys(copies, picture(7)))
    diagnosis = diagnose(root)
    found = {
        (f"{row.split}/{row.key}", row.finding, row.other.replace(": ", "/"), row.action)
        for row in manifest_rows(diagnosis.findings, diagnosis.examined)
    }
    assert found == {
        ("train/a/x.png", "leak", "val/a/x.png", "drop"),
        ("train/a/x.png", "leak", "test/a/x.png", "drop"),
        ("train/a/y.png", "leak", "val/a/x.png", "drop"),
        ("train/a/y.png", "leak", "test/a/x.png", "drop"),
        ("train/a/y.png", "duplicate", "train/a/x.png", "drop"),
        ("val/a/x.png", "leak", "test/a/x.png", "drop"),
        ("test/a/x.png", "conflict", "test/b/y.png", "keep"),
        ("test/b/y.png", "conflict", "test/a/x.png", "keep"),
    }


def test_nearly_the_same_image_under_two_labels_is_in_conflict(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for split, first in (("train", 0), ("val", 100), ("test", 200)):
        write(root, {f"{split}/{'ab'[i % 2]}/{i}.png": picture(first + i) for i in range(6)})
    write(root, {"train/b/again.png": recompressed(picture(0))})
    diagnosis = diagnose(root)
    rows = list(manifest_rows(diagnosis.findings, diagnosis.examined))
    assert {(row.key, row.finding, row.action) for row in rows} == {
        ("a/0.png", "near_conflict", "keep"),
        ("b/again.png", "near_conflict", "keep"),
    }
    assert any(row.detail.endswith("b as train: b/again.png") for row in rows)


def test_images_of_a_class_that_agree_by_chance_are_no_duplicates(tmp_path: Path) -> None:
    """A set of strokes on black, as of handwritten digits: most of each image is the same."""
    root, random = tmp_path / "data", np.random.default_rng(0)
    for split in ("train", "test"):
        for i in range(50):
            values = np.zeros((28, 28), np.uint8)
            slant = random.uniform(-0.15, 0.15)
            for y in range(4, 24):
                x = round(14 + slant * (y - 14) + random.normal(0, 0.3))
                values[y, x - 1 : x + 1] = 255
            write(root, {f"{split}/{i % 2}/{i}.png": Image.fromarray(values)})
    findings = diagnose(root).findings
    assert sum(finding.kind == "near_leak" for finding in findings) < 0.02 * 50 * 50
    assert any(finding.kind == "many_alike" and "by chance" in finding.detail for finding in findings)


def test_a_set_of_frames_that_look_alike_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not all of its pairs are compared, nor held in memory."""
    frames = {
        f"{'train' if i % 4 else 'test'}/a/{i}.png": ImageEnhance.Brightness(picture(0)) for i in range(16)
    }
    others = {f"{split}/b/{i}.png": picture(i) for split, i in (("train", 1), ("train", 2), ("test", 3))}
    root = tmp_path / "data"
    write(
        root, others | {name: frame.enhance(0.7 + 0.02 * i) for i, (name, frame) in enumerate(frames.items())}
    )
    assert "many_alike" not in {
        one.kind for one in diagnose(root).findings if "pairs of images" in one.detail
    }
    monkeypatch.setattr(duplicates, "MAX_CANDIDATES", 20)
    [told] = [one for one in diagnose(root).findings if "pairs of images" in one.detail]
    assert told.kind == "many_alike"
    assert told.detail.startswith("over 20 pairs of images look alike")


def test_pairs_of_which_none_agrees_are_compared_too() -> None:
    """As of a set of noise, where nothing is worth a closer look."""
    noise = np.random.default_rng(0).normal(0, 40, (2, 5, 2, 32, 32)).astype(np.float32)
    similarity = duplicates.edge_similarity(noise[0], noise[1])
    assert similarity.shape == (5,)
    assert (abs(similarity) < 0.3).all()
    assert duplicates.edge_similarity(noise[0][:0], noise[1][:0]).shape == (0,)
