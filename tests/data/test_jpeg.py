"""Small JPEG files are decoded by libjpeg-turbo alone, and have the pixels that Pillow gives them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from resnext.data import decode as decoding
from resnext.data.decode import BadImage, decode
from resnext.data.jpeg import Jpeg
from resnext.data.pixels import upright

pytest.importorskip("simplejpeg")


def encoded(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def picture(width: int, height: int, mode: str, seed: int) -> Image.Image:
    """Smooth in some places and noisy in others."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (3, 3, 3), np.uint8)).resize((width, height))
    noise = random.normal(0, random.uniform(0, 40), (height, width, 1))
    values = np.clip(np.asarray(coarse, np.float64) + noise, 0, 255).astype(np.uint8)
    return Image.fromarray(values).convert(mode)


@given(
    width=st.integers(1, 70),
    height=st.integers(1, 70),
    mode=st.sampled_from(["RGB", "L"]),
    quality=st.integers(1, 100),
    subsampling=st.sampled_from([0, 1, 2]),
    progressive=st.booleans(),
    orientation=st.sampled_from([None, *range(10)]),
    restart=st.sampled_from([0, 1]),
    seed=st.integers(0, 99),
)
def test_pixels_are_those_of_pillow(
    width: int,
    height: int,
    mode: str,
    quality: int,
    subsampling: int,
    progressive: bool,
    orientation: int | None,
    restart: int,
    seed: int,
) -> None:
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    data = encoded(
        picture(width, height, mode, seed),
        quality=quality,
        subsampling=subsampling,
        progressive=progressive,
        restart_marker_rows=restart,
        **{} if orientation is None else {"exif": exif},
    )
    assert Jpeg.open(data) is not None
    with Image.open(io.BytesIO(data)) as image:
        theirs = upright(image)
    ours = decode(data, "x.jpg")
    assert ours.mode == "RGB"
    assert np.array_equal(np.asarray(ours), np.asarray(theirs))


@given(place=st.floats(0, 1), cut=st.booleans(), seed=st.integers(0, 999))
def test_damaged_files_are_as_pillow_reads_them(place: float, cut: bool, seed: int) -> None:
    """A file that is cut short is refused; of a changed one Pillow decides."""
    data = bytearray(encoded(picture(40, 30, "RGB", seed), quality=90))
    at = int(place * (len(data) - 1))
    if cut:
        del data[at:]
    else:
        data[at] ^= 1 << seed % 8

    def answer(most: int) -> bytes | None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(decoding, "SMALL_PIXELS", most)
            try:
                return decode(bytes(data), "x.jpg").tobytes()
            except BadImage:
                return None

    assert answer(2**18) == answer(0)


def test_a_small_file_of_many_pixels_is_left_to_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(Image.new("RGB", (1024, 300)))
    monkeypatch.setattr(Jpeg, "decode_all", lambda self: pytest.fail("decoded"))
    assert decode(data, "x.jpg").size == (1024, 300)
