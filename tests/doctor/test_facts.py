"""Each kind of broken or odd file is named, and ordinary ones are not."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resnext.data.sources import read_splits
from resnext.doctor import ExaminedSet, FactsFile, examine, manifest_rows
from resnext.doctor.facts import MARKS, marks_of, measure, sharpness
from resnext.progress import run_to_end


def textured(seed: int, size: tuple[int, int] = (64, 48), grey: bool = False) -> Image.Image:
    random = np.random.default_rng(seed)
    small = random.uniform(0, 255, (12, 16, 3)).astype(np.uint8)
    image = Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)
    values = np.asarray(image, float) + random.normal(0, 12, (size[1], size[0], 3))
    made = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    return made.convert("L").convert("RGB") if grey else made


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(textured(1), exif=exif)


def odd_files() -> dict[str, tuple[str, bytes]]:
    """A name and the content for each kind of finding on a file."""
    plain = encoded(textured(2))
    deep = Image.fromarray(np.asarray(textured(3).convert("L"), np.uint16) * 257)
    palette = textured(4).quantize(16)
    frames = [textured(i).convert("P") for i in (5, 6)]
    faint = Image.fromarray(np.full((48, 64, 3), 200, np.uint8))
    dark = textured(7).point(lambda value: value // 8)
    blurred = textured(8, (8, 6)).resize((640, 480), Image.Resampling.BICUBIC).resize((64, 48))
    blurred = Image.fromarray(np.tile(np.linspace(0, 200, 64, dtype=np.uint8)[None, :, None], (48, 1, 3)))
    return {
        "empty_file": ("empty.jpg", b""),
        "truncated": ("cut.jpg", plain[: len(plain) // 2]),
        "unreadable": ("page.jpg", b"<!doctype html><html>not found</html>"),
        "wrong_extension": ("really-png.jpg", encoded(textured(9), "PNG")),
        "several_frames": (
            "film.gif",
            encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        ),
        "cmyk": ("print.jpg", encoded(textured(10).convert("CMYK"))),
        "deep_16_bit": ("deep.png", encoded(deep, "PNG")),
        "palette_transparency": ("clear.png", encoded(palette, "PNG", transparency=3)),
        "exif_rotated": ("turned.jpg", turned()),
        "nearly_blank": ("faint.png", encoded(faint, "PNG")),
        "dark": ("dark.png", encoded(dark, "PNG")),
        "blurred": ("blurred.png", encoded(blurred, "PNG")),
        "odd_size": ("huge.png", encoded(textured(11, (1600, 1200)), "PNG")),
        "odd_aspect": ("strip.png", encoded(textured(12, (400, 40)), "PNG")),
        "grey": ("grey.png", encoded(textured(13, grey=True), "PNG")),
    }


#: What an odd file of one kind is besides, by its nature.
ALSO = {"deep_16_bit": {"grey"}, "blurred": {"grey"}}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    for i in range(240):
        path = root / "ab"[i % 2] / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(textured(100 + i)))
    return root


def test_every_kind_of_file_is_named_and_no_ordinary_one(data: Path) -> None:
    for name, content in odd_files().values():
        (data / "a" / name).write_bytes(content)
    examined = ExaminedSet.read(str(data))
    diagnosis = run_to_end(examine(examined, FactsFile(data.parent / "x.facts")))
    found: dict[str, set[str]] = {}
    for row in manifest_rows(diagnosis.findings, diagnosis.examined):
        found.setdefault(row.key, set()).add(row.finding)
        assert row.action == ("drop" if row.finding in ("empty_file", "truncated", "unreadable") else "keep")
    assert found == {f"a/{name}": {kind, *ALSO.get(kind, set())} for kind, (name, _) in odd_files().items()}


def test_what_is_measured_is_that_of_the_pixels(data: Path) -> None:
    from resnext.data.sources import read_split

    _, images = read_split(str(data), ("a", "b"))
    indices, facts, broken = measure(images, [4, 7])
    assert indices.tolist() == [4, 7]
    assert broken == {}
    for index, row in zip(indices, facts, strict=True):
        image = Image.open(data / images.keys[index])
        grey = np.asarray(image.convert("L"), float)
        assert (row["width"], row["height"]) == image.size
        assert row["mean"] == pytest.approx(grey.mean(), abs=0.5)
        assert row["spread"] == pytest.approx(grey.std(), abs=0.5)
        assert row["bright"] == pytest.approx(np.percentile(grey, 99), abs=1)
        assert row["marks"] == 0
    assert len(MARKS) <= 32


@pytest.mark.parametrize("name", ["plain.jpg", "really-jpeg.png", "noname"])
@pytest.mark.parametrize("kind", ["plain", "grey", "turned", "two"])
def test_the_header_of_a_jpeg_file_says_the_same_by_both_decoders(
    name: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MPO, the format of cameras with two images in a file, is read as JPEG."""
    content = {
        "plain": encoded(textured(1)),
        "grey": encoded(textured(1).convert("L")),
        "turned": turned(),
        "two": encoded(textured(1), "MPO", save_all=True, append_images=[textured(2)]),
    }[kind]
    fast = marks_of(content, name)
    monkeypatch.setattr("resnext.doctor.facts.is_installed", lambda: False)
    assert fast == marks_of(content, name)
    found = {mark for bit, mark in enumerate(MARKS) if fast >> bit & 1}
    wrong = {"wrong_extension"} if name == "really-jpeg.png" else set()
    assert found == wrong | ({"exif_rotated"} if kind == "turned" else set())


def test_sharpness_is_the_deviation_of_the_laplacian_over_that_of_the_levels() -> None:
    levels = np.asarray(textured(3).convert("L"))
    values = levels.astype(float)
    around = values[:-2, 1:-1] + values[2:, 1:-1] + values[1:-1, :-2] + values[1:-1, 2:]
    laplacian = 4 * values[1:-1, 1:-1] - around
    assert sharpness(levels) == pytest.approx(laplacian.std() / values.std(), rel=1e-5)
    assert sharpness(np.full((9, 9), 7, np.uint8)) == 0


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_file_whose_end_is_zeros_was_copied_in_part(tmp_path: Path, kind: str) -> None:
    noise = Image.effect_noise((64, 64), 60).convert("RGB")
    whole = encoded(noise, kind)
    half = whole[: len(whole) // 2]
    files = {"part": half + bytes(len(whole) - len(half)), "padded": whole + bytes(500)}
    for name, content in files.items():
        for split in ("train", "val"):
            for label in "ab":
                path = tmp_path / "data" / split / label / f"{name}.{kind.lower()}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
    images = read_splits(str(tmp_path / "data")).train
    readable, _, broken = measure(images, range(len(images)))
    padded = [index for index, key in enumerate(images.keys) if "padded" in key]
    assert readable.tolist() == padded
    assert {one.finding for one in broken.values()} == {"truncated"}
    assert all("bytes are zeros" in one.reason for one in broken.values())
