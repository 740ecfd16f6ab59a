"""Every kind of image file ends as upright 8-bit RGB; what cannot be read is named."""

from __future__ import annotations

import io
import pickle
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from resnext.data.decode import FORMATS, BadImage, decode

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)
GREY = COLOUR[:, :, 0]


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decoded(data: bytes) -> np.ndarray:
    image = decode(data, "key")
    assert image.mode == "RGB"
    return np.asarray(image)


def grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[:, :, None], 3, axis=2)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(orientation: int, kind: str) -> None:
    # What a camera does to an upright image before it notes the orientation.
    stored = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation](COLOUR)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    data = encoded(Image.fromarray(np.ascontiguousarray(stored)), kind, exif=exif, **options)
    assert np.array_equal(decoded(data), COLOUR)


def test_damaged_metadata_do_not_make_a_bad_image(monkeypatch: pytest.MonkeyPatch) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.fromarray(COLOUR), "PNG", exif=exif)
    assert not np.array_equal(decoded(data), COLOUR)

    def broken(self: Image.Image) -> Image.Exif:
        raise ValueError("not a TIFF directory")

    monkeypatch.setattr(Image.Image, "getexif", broken)
    assert np.array_equal(decoded(data), COLOUR)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_camera_s_jpeg_is_upright(orientation: int) -> None:
    """Pillow's own list of what undoes each orientation."""
    undo = [
        None,
        Image.Transpose.FLIP_LEFT_RIGHT,
        Image.Transpose.ROTATE_180,
        Image.Transpose.FLIP_TOP_BOTTOM,
        Image.Transpose.TRANSPOSE,
        Image.Transpose.ROTATE_270,
        Image.Transpose.TRANSVERSE,
        Image.Transpose.ROTATE_90,
    ][orientation - 1]
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(np.tile(COLOUR, (4, 4, 1))), "JPEG", exif=exif)
    plain = Image.open(io.BytesIO(data)).convert("RGB")
    expected = plain if undo is None else plain.transpose(undo)
    assert np.array_equal(decoded(data), np.asarray(expected))


def test_16_bit_grey_is_scaled_not_clipped() -> None:
    wide = np.linspace(0, 65535, 54).round().astype(np.uint16).reshape(6, 9)
    for kind in ("PNG", "TIFF"):
        values = decoded(encoded(Image.fromarray(wide), kind))
        assert np.abs(values - grey(wide / 257.0)).max() <= 0.5


def test_modes() -> None:
    rgb = Image.fromarray(COLOUR)
    assert np.array_equal(decoded(encoded(Image.fromarray(GREY), "PNG")), grey(GREY))
    palette = rgb.quantize(256)
    assert np.array_equal(decoded(encoded(palette, "PNG")), np.asarray(palette.convert("RGB")))
    bits = Image.fromarray(GREY > 128)
    assert np.array_equal(decoded(encoded(bits, "PNG")), grey((GREY > 128) * np.uint8(255)))
    cmyk = rgb.convert("CMYK")
    assert np.abs(decoded(encoded(cmyk, "TIFF")).astype(int) - COLOUR).max() <= 1


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_are_white_and_opaque_ones_stay(mode: str) -> None:
    alpha = np.where(np.arange(9) < 4, 0, 255).astype(np.uint8) * np.ones((6, 1), np.uint8)
    base = Image.fromarray(COLOUR).convert("RGB" if mode == "RGBA" else "L")
    image = base.convert(mode)
    image.putalpha(Image.fromarray(alpha))
    values = decoded(encoded(image, "PNG"))
    assert (values[:, :4] == 255).all()
    assert np.array_equal(values[:, 4:], np.asarray(base.convert("RGB"))[:, 4:])


def test_a_transparent_palette_colour_is_white() -> None:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 1), 1)
    values = decoded(encoded(image, "PNG", transparency=0))
    assert values[0, 0].tolist() == [255, 255, 255]
    assert values[1, 1].tolist() == [200, 100, 50]


def test_the_first_frame_of_an_animation_counts() -> None:
    frames = [Image.new("RGB", (5, 5), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decoded(data)[2, 2].tolist() == [255, 0, 0]


def test_images_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    whole = encoded(Image.fromarray(np.tile(COLOUR, (20, 20, 1))), "JPEG")
    broken = {
        "truncated": whole[: len(whole) // 2],
        "text": b"not an image",
        "empty": b"",
        "png header": encoded(Image.fromarray(COLOUR), "PNG")[:20],
    }
    for key, data in broken.items():
        with pytest.raises(BadImage) as error:
            decode(data, key)
        assert str(error.value).startswith(f"{key}: ")
        assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)
    for path, reason in ((tmp_path / "none.png", "no such file"), (tmp_path, "folder")):
        with pytest.raises(BadImage, match=reason):
            decode(path, str(path))


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I"])
def test_wide_grey_is_scaled_in_any_byte_order(mode: str) -> None:
    values = np.array([[0, 257, 32896, 65535]])
    raw = values.astype({"I;16": "<u2", "I;16B": ">u2", "I": "<i4"}[mode]).tobytes()
    image = decode(Image.frombytes(mode, (4, 1), raw), "key")
    assert np.asarray(image)[0, :, 1].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize(
    ("image", "transparency"),
    [
        (Image.fromarray(np.array([[100, 40]], np.uint8)), 100),
        (Image.fromarray(np.array([[[1, 2, 3], [40, 40, 40]]], np.uint8)), (1, 2, 3)),
    ],
    ids=["L", "RGB"],
)
def test_a_transparent_grey_or_colour_is_white(image: Image.Image, transparency: Any) -> None:
    values = decoded(encoded(image, "PNG", transparency=transparency))
    assert values.tolist() == [[[255] * 3, [40] * 3]]


def test_half_transparent_pixels_are_mixed_with_white() -> None:
    alpha = np.arange(0, 256, dtype=np.uint8)
    pixels = np.stack([np.full(256, 200), np.full(256, 17), 255 - alpha, alpha], 1).astype(np.uint8)[None]
    share = alpha[:, None] / 255.0
    expected = pixels[0, :, :3] * share + 255 * (1 - share)
    assert np.abs(decoded(encoded(Image.fromarray(pixels), "PNG"))[0] - expected).max() <= 1


def test_the_inverted_cmyk_of_jpeg_is_inverted_back() -> None:
    blocks = np.repeat(np.repeat(COLOUR[:2, :3], 16, 0), 16, 1)
    data = encoded(Image.fromarray(blocks).convert("CMYK"), "JPEG", quality=95, subsampling=0)
    assert Image.open(io.BytesIO(data)).mode == "CMYK"
    assert np.abs(decoded(data).astype(int) - blocks).max() <= 8


def test_files_on_disk_are_named_by_their_key(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("not an image")
    (tmp_path / "empty.png").touch()
    Image.fromarray(COLOUR).save(tmp_path / "fine.bmp")
    (tmp_path / "wrong_name.jpg").write_bytes((tmp_path / "fine.bmp").read_bytes())
    for name in ("text.jpg", "empty.png"):
        with pytest.raises(BadImage, match=f"^{name}: is not an image"):
            decode(tmp_path / name, name)
    assert np.array_equal(np.asarray(decode(tmp_path / "wrong_name.jpg", "key")), COLOUR)


def test_the_transparent_value_of_16_bit_grey_is_white() -> None:
    wide = np.array([[0, 65535], [257, 0]], dtype=np.uint16)
    values = decoded(encoded(Image.fromarray(wide), "PNG", transparency=0))
    assert values[:, :, 0].tolist() == [[255, 255], [1, 255]]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA"])
def test_a_damaged_file_gives_an_image_or_is_named(kind: str) -> None:
    whole = encoded(Image.fromarray(COLOUR), kind)
    rng = np.random.default_rng(0)
    for _ in range(150):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), rng.integers(1, 6)):
            data[at] = rng.integers(256)
        try:
            assert decode(bytes(data), "key").mode == "RGB"
        except BadImage as error:
            assert str(error).startswith("key: ")  # noqa: PT017


def test_no_other_program_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Pillow hands PostScript to Ghostscript, whatever the file is called."""
    asked: list[Any] = []
    monkeypatch.setattr("subprocess.Popen.__init__", lambda *words, **_: asked.append(words))
    monkeypatch.setattr("os.system", asked.append)
    text = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n"
    for name in ("photo.jpg", "photo.eps", "photo.png"):
        (tmp_path / name).write_bytes(text)
        for source in (tmp_path / name, text):
            with pytest.raises(BadImage, match="is not an image that can be read"):
                decode(source, name)
    assert asked == []


def test_what_is_listed_is_what_is_read() -> None:
    for kind, suffixes in FORMATS.items():
        Image.init()
        assert {Image.EXTENSION[suffix] for suffix in suffixes} == {kind}
    for kind in ("ICO", "PCX", "SGI"):  # Pillow would read them
        with pytest.raises(BadImage, match="is not an image that can be read"):
            decode(encoded(Image.new("RGB", (16, 16)), kind), "key")


def claims(kind: str, mode: str, width: int, height: int) -> bytes:
    """A small file whose header claims so many pixels."""
    small = encoded(Image.new(mode, (3, 5)), kind)
    if kind == "PNG":
        data = bytearray(small)
        data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
        data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
        return bytes(data)
    return f"P6 {width} {height} 255\n".encode()


@pytest.mark.parametrize(
    ("kind", "mode", "limit", "name"),
    [
        ("PNG", "RGB", 102_000_000, "MAX_PIXELS"),
        ("PPM", "RGB", 102_000_000, "MAX_PIXELS"),
        ("PNG", "I;16", 40_000_000, "MAX_DEEP_PIXELS"),
    ],
)
def test_more_pixels_than_the_limit_are_refused_by_the_header(
    kind: str, mode: str, limit: int, name: str
) -> None:
    """With its size, the limit and where that is set; also above Pillow's own limits."""
    for height in (limit // 10_000 + 1, 60_000 if name == "MAX_PIXELS" else 10_000):
        with pytest.raises(BadImage, match=rf"claims {10_000 * height:,} pixels.*{limit:,}.*{name}\)"):
            decode(claims(kind, mode, 10_000, height), "key")
    with pytest.raises(BadImage, match="cannot be decoded"):  # allowed, but it lacks the pixels
        decode(claims(kind, mode, 2000, limit // 2000), "key")
    for size in ((65_536, 1), (1, 65_536), (102_000_000, 1)):  # which take far more memory than pixels
        with pytest.raises(BadImage, match=r"at most 65,535 of a side are decoded .*MAX_SIDE_PX"):
            decode(claims(kind, mode, *size), "key")


def test_the_limits_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resnext.data.decode.MAX_PIXELS", 53)
    with pytest.raises(BadImage, match="claims 54 pixels, and at most 53 are decoded"):
        decode(encoded(Image.fromarray(COLOUR), "PNG"), "key")
    monkeypatch.setattr("resnext.data.decode.MAX_PIXELS", 54)
    monkeypatch.setattr("resnext.data.decode.MAX_DEEP_PIXELS", 53)
    decode(encoded(Image.fromarray(COLOUR), "PNG"), "key")
    for data in (
        encoded(Image.fromarray(COLOUR), "WEBP"),
        encoded(Image.fromarray(GREY.astype("f4")), "TIFF"),
    ):
        with pytest.raises(BadImage, match=r"resnext\.data\.decode\.MAX_DEEP_PIXELS"):
            decode(data, "key")


def test_strips_change_no_pixel(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = RNG.integers(0, 65536, (6, 9), dtype=np.uint16)
    clear = Image.fromarray(np.dstack([COLOUR, GREY]))
    items = [encoded(clear, "PNG"), encoded(Image.fromarray(wide), "PNG", transparency=int(wide[2, 3]))]
    whole = [decoded(item) for item in items]
    monkeypatch.setattr("resnext.data.grey.STRIP_PX", 4)
    assert all(np.array_equal(decoded(item), values) for item, values in zip(items, whole, strict=True))


def test_an_error_shows_no_control_characters() -> None:
    error = BadImage("cat\x1b[2J\udce9.png", "line\nbreak")
    assert str(error) == r"cat\u001b[2J\udce9.png: line\nbreak"
    assert error.key == "cat\x1b[2J\\udce9.png"  # any file can hold it
