"""Odd image files as cameras, scanners, microscopes and browsers make them: shown right, or the cure is said.

What a person would see is known before a file is written: pixels that were made here. Files that Pillow does
not write are made by hand.
"""

from __future__ import annotations

import base64
import io
import re
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from resnext.contract import GreyRange
from resnext.data.decode import BadImage, DataError, decode
from resnext.data.jpeg import Jpeg, is_installed
from resnext.data.scan import scan
from resnext.data.sources import read_split
from resnext.progress import run_to_end
from resnext.run.scanning import choose_grey

Pixels = NDArray[np.uint8]
#: Name, file, what it shows or what the refusal says, and how many levels a pixel may differ.
Case = tuple[str, bytes, Pixels | str, int]
#: Files and what each shows.
Files = list[tuple[bytes, Pixels]]
#: Name, files, the setting `data.grey`, and what the refusal says (nothing: it is not refused).
SetCase = tuple[str, Files, tuple[float, float] | None, str]
#: Most levels that lossy formats change of the smooth images here.
LOSSY = 12
#: The grey of `colours(33, 21)` by `cjpeg -arithmetic -grayscale`: Pillow writes no arithmetic coding.
ARITHMETIC = (
    "|JeWF01!$>Nk#wx0RR9200961|JwjV00RO70|EjA0|NsD0|NvF2n7WM1O*BQ2L=cX3JeSj3JVJj4iXRz4iOFu3lJ6%5fc;@6%`B*7Z?^47"
    "!ni}6#vNp3kU!e03iVZ5di<p00saM5C#9*00;pA002J#(ius?o3-v2jN^CUO6#M;kTg;mgMUYjW{-!LnnTomyMO-xt>*T%C6z%q2IC-}Mz"
    "F1#vG%mU07*`ql^n^h%mG-A`WLntpN^(%*#Fr"
)


def colours(width: int, height: int) -> Pixels:
    """Smooth, so that lossy formats keep it, and different in all its corners."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    return np.rint(np.stack([40 + 180 * x, 220 - 150 * y, 60 + 120 * x * y], -1)).astype(np.uint8)


def on_grey(values: NDArray[Any]) -> Pixels:
    return np.repeat(np.rint(values).astype(np.uint8)[:, :, None], 3, axis=2)


def saved(image: Image.Image | NDArray[Any], kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(np.ascontiguousarray(image))
    image.save(file, kind, **options)
    return file.getvalue()


def tiff(pixels: bytes | list[bytes], size: tuple[int, int], order: str = "<", **tags: Any) -> bytes:
    """A TIFF with these tags (`t277=3`), whose pixels are strips or tiles."""
    parts = [pixels] if isinstance(pixels, bytes) else pixels
    width, height = size
    place, count = (273, 279) if "t322" not in tags else (324, 325)
    fields: dict[int, Any] = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 277: 1}
    fields |= {} if place == 324 else {278: height}
    fields |= {int(name[1:]): value for name, value in tags.items()}
    body, offsets = bytearray(), []
    for part in parts:
        offsets.append(8 + len(body))
        body += part + b"\0" * (len(part) % 2)
    fields |= {place: tuple(offsets), count: tuple(map(len, parts))}
    entries, extra = b"", b""
    start = 8 + len(body) + 2 + 12 * len(fields) + 4
    for tag in sorted(fields):
        values = fields[tag] if isinstance(fields[tag], tuple) else (fields[tag],)
        wide = tag in (273, 279, 324, 325, 254, 330)
        stored = struct.pack(f"{order}{len(values)}{'I' if wide else 'H'}", *values)
        if len(stored) > 4:
            extra, stored = extra + stored, struct.pack(f"{order}I", start + len(extra))
        entries += struct.pack(f"{order}HHI", tag, 4 if wide else 3, len(values)) + stored.ljust(4, b"\0")
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8 + len(body))
    return head + bytes(body) + struct.pack(f"{order}H", len(fields)) + entries + bytes(4) + extra


def tiles(values: Pixels, encode: Callable[[Pixels], bytes]) -> list[bytes]:
    """Tiles of 16x16, from left to right and down, the last ones filled up."""
    rows, columns = (-side % 16 for side in values.shape[:2])
    whole = np.pad(values, ((0, rows), (0, columns), (0, 0)), "edge")
    return [
        encode(np.ascontiguousarray(whole[y : y + 16, x : x + 16]))
        for y in range(0, whole.shape[0], 16)
        for x in range(0, whole.shape[1], 16)
    ]


def lzw(values: Pixels) -> bytes:
    """As Pillow packs it into a TIFF of one strip."""
    whole = saved(values, "TIFF", compression="tiff_lzw")
    tags = Image.open(io.BytesIO(whole)).tag_v2  # type: ignore[attr-defined]
    return whole[tags[273][0] :][: tags[279][0]]


def png(size: tuple[int, int], bits: int, kind: int, pixels: bytes, *more: bytes, passes: int = 0) -> bytes:
    """A PNG whose rows are given packed, each after its filter."""
    head = struct.pack(">IIBBBBB", *size, bits, kind, 0, 0, passes)
    chunks = [b"IHDR" + head, *more, b"IDAT" + zlib.compress(pixels), b"IEND"]
    packed = (struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def rows(values: NDArray[Any]) -> bytes:
    """The rows of an image, each after a zero: a PNG's filter that changes nothing."""
    return b"".join(b"\0" + row.tobytes() for row in np.ascontiguousarray(values))


def interlaced(values: Pixels) -> bytes:
    """The seven passes of PNG over the pixels."""
    starts = (
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    )
    parts = [values[y::down, x::across] for y, x, down, across in starts]
    return b"".join(rows(part) for part in parts if part.size)


def bmp(pixels: bytes, size: tuple[int, int], bits: int, method: int = 0, extra: bytes = b"") -> bytes:
    """A BMP of Windows; a negative height says that the first row is at the top."""
    head = struct.pack("<IiiHHIIiiII", 40, *size, 1, bits, method, len(pixels), 2835, 2835, 0, 0)
    start = 14 + len(head) + len(extra)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + head + extra + pixels


def filled(values: NDArray[Any]) -> bytes:
    """Rows filled up to multiples of four bytes, as in a BMP."""
    flat = np.ascontiguousarray(values).reshape(len(values), -1).view(np.uint8)
    return np.pad(flat, ((0, 0), (0, -flat.shape[1] % 4))).tobytes()


def tga(pixels: bytes, size: tuple[int, int], depth: int, flags: int) -> bytes:
    return struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, *size, depth, flags) + pixels


def with_alpha(image: Pixels, alpha: NDArray[Any]) -> Pixels:
    return np.dstack([image, alpha.astype(np.uint8)])


def over_white(image: Pixels, alpha: NDArray[Any]) -> Pixels:
    share = alpha[:, :, None] / 255
    return np.rint(image * share + 255 * (1 - share)).astype(np.uint8)


#: What a camera stores of an upright image before it notes an orientation.
TURNED: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


def orientation(number: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = number
    return exif


def pngs(size: tuple[int, int]) -> Iterator[Case]:
    colour, (width, height) = colours(*size), size
    grey, key = colour[:, :, 0], colour[2, 2, 0]
    wide = np.linspace(0, 65535, grey.size).round().astype(np.uint16).reshape(grey.shape)
    few = (np.arange(grey.size).reshape(grey.shape) % 16).astype(np.uint8)
    nibbles = np.pad(few, ((0, 0), (0, width % 2)))
    half = np.where(np.arange(width) < 5, 0, 255) * np.ones((height, 1))
    deep = colour.astype(">u2") * 257
    yield "PNG of 1 bit", saved(grey > 128, "PNG"), on_grey((grey > 128) * 255), 0
    packed = rows(nibbles[:, ::2] << 4 | nibbles[:, 1::2])
    yield "PNG of 4 bits", png(size, 4, 0, packed), on_grey(few * 17), 0
    clear = on_grey(np.where(few == 3, 255, few * 17))
    yield "PNG of 4 bits, one value clear", png(size, 4, 0, packed, b"tRNS\0\3"), clear, 0
    yield "PNG, 16-bit grey", saved(wide, "PNG"), on_grey(wide / 257), 1
    yield (
        "PNG, 16-bit grey, black clear",
        saved(wide, "PNG", transparency=0),
        on_grey(np.where(wide == 0, 255, np.rint(wide / 257))),
        1,
    )
    yield "PNG, 16-bit colour", png(size, 16, 2, rows(deep)), colour, 0
    clear = np.where((colour == colour[2, 2]).all(2, keepdims=True), 255, colour).astype(np.uint8)
    name = b"tRNS" + struct.pack(">HHH", *deep[2, 2].tolist())
    yield "PNG, 16-bit colour, one clear", png(size, 16, 2, rows(deep), name), clear, 0
    yield (
        "PNG, 16-bit grey with alpha",
        png(size, 16, 4, rows(np.dstack([wide, half * 257]).astype(">u2"))),
        over_white(on_grey(wide / 257), half),
        1,
    )
    yield (
        "PNG, 16-bit colour with alpha",
        png(size, 16, 6, rows(np.dstack([deep, half * 257]).astype(">u2"))),
        over_white(colour, half),
        1,
    )
    yield (
        "PNG, half clear",
        saved(with_alpha(colour, grey), "PNG"),
        over_white(colour, grey),
        1,
    )
    yield "PNG, all clear", saved(with_alpha(colour, grey * 0), "PNG"), colour, 0
    yield (
        "PNG, grey with alpha",
        saved(np.dstack([grey, half]).astype(np.uint8), "PNG"),
        over_white(on_grey(grey), half),
        0,
    )
    palette = Image.fromarray(grey)
    palette = Image.frombytes("P", size, grey.tobytes())
    palette.putpalette(bytes(np.repeat(np.arange(256), 3).astype(np.uint8)))
    clear = on_grey(np.where(grey == key, 255, grey))
    yield "PNG, a clear colour of the palette", saved(palette, "PNG", transparency=int(key)), clear, 0
    alphas = bytes(range(255, -1, -1))
    yield (
        "PNG, an alpha for each colour of the palette",
        saved(palette, "PNG", transparency=alphas),
        over_white(on_grey(grey), 255.0 - grey),
        1,
    )
    yield "PNG, interlaced", png(size, 8, 2, interlaced(colour), passes=1), colour, 0
    frames = [Image.new("RGB", size, "blue")]
    yield "PNG, animated", saved(colour, "PNG", save_all=True, append_images=frames), colour, 0


def jpegs(size: tuple[int, int]) -> Iterator[Case]:
    colour, fine = colours(*size), {"quality": 90}
    image = Image.fromarray(colour)
    yield "JPEG, progressive", saved(image, "JPEG", progressive=True, **fine), colour, LOSSY
    yield "JPEG, grey", saved(colour[:, :, 0], "JPEG", **fine), on_grey(colour[:, :, 0]), LOSSY
    yield "JPEG, red green blue", saved(image, "JPEG", keep_rgb=True, **fine), colour, LOSSY
    yield (
        "JPEG, followed by a video",
        saved(image, "JPEG", **fine) + b"\0\0\0\x18ftypmp42" * 99,
        colour,
        LOSSY,
    )
    yield "JPEG of a phone (MPO)", saved(image, "MPO", save_all=True, append_images=[image]), colour, LOSSY
    for number, turn in TURNED.items():
        stored = np.ascontiguousarray(turn(colour))
        yield (
            f"JPEG, orientation {number}",
            saved(stored, "JPEG", exif=orientation(number), **fine),
            colour,
            LOSSY,
        )
    black = np.full(colour.shape[:2], 51, np.uint8)
    inks, printed = with_alpha(255 - colour, black), np.rint(colour * 0.8).astype(np.uint8)
    adobe = saved(Image.fromarray(inks, "CMYK"), "JPEG", quality=95)
    yield "JPEG, inverted CMYK of Adobe", adobe, printed, LOSSY
    start = adobe.index(b"Adobe") - 4
    yield (
        "JPEG, CMYK without mark: inverted, as browsers have it",
        adobe[:start] + adobe[start + 16 :],
        printed,
        LOSSY,
    )
    light = np.asarray(Image.fromarray(255 - colour).convert("YCbCr"))
    light = with_alpha(255 - light, black)
    ycck = bytearray(saved(Image.fromarray(light, "CMYK"), "JPEG", quality=95))
    ycck[start + 15] = 2
    yield "JPEG, YCCK of Adobe", bytes(ycck), printed, LOSSY
    small = colours(33, 21) @ [0.299, 0.587, 0.114]
    yield "JPEG, arithmetic coding", base64.b85decode(ARITHMETIC), on_grey(small), LOSSY


def tiffs(size: tuple[int, int]) -> Iterator[Case]:
    colour, width = colours(*size), size[0]
    grey, image = colour[:, :, 0], Image.fromarray(colour)
    wide = np.linspace(0, 65535, grey.size).round().astype(np.uint16).reshape(grey.shape)
    three: dict[str, Any] = {"t258": (8, 8, 8), "t277": 3, "t262": 2}
    bits = grey > 128
    for method in ("raw", "group3", "group4", "packbits"):
        yield f"TIFF of 1 bit, {method}", saved(bits, "TIFF", compression=method), on_grey(bits * 255), 0
    yield (
        "TIFF of 1 bit, white is 0",
        tiff(np.packbits(~bits, axis=1).tobytes(), size, t258=1, t262=0),
        on_grey(bits * 255),
        0,
    )
    for order in "<>":
        name, stored = f"TIFF, 16-bit grey, {order}", wide.astype(f"{order}u2").tobytes()
        yield name, tiff(stored, size, order, t258=16), on_grey(wide / 257), 1
    white = (65535 - wide).astype("<u2").tobytes()
    yield "TIFF, 16-bit grey, white is 0", tiff(white, size, t258=16, t262=0), on_grey(wide / 257), 1
    even = np.pad(wide >> 4, ((0, 0), (0, width % 2)), "edge")
    left, right = even[:, ::2], even[:, 1::2]
    twelve = np.dstack([left >> 4, (left & 15) << 4 | right >> 8, right & 255]).astype(np.uint8).tobytes()
    yield "TIFF, 12-bit grey", tiff(twelve, even.shape[::-1], t258=12), on_grey(even / 4095 * 255), 1
    for what, kind, stored in (("32-bit", 2, wide.astype("<i4")), ("32-bit, 8 used", 2, grey.astype("<i4"))):
        shown = grey if "8" in what else wide / 257
        yield f"TIFF, {what}", tiff(stored.tobytes(), size, t258=32, t339=kind), on_grey(shown), 1
    for what, floats, tags in (
        ("to 1", grey / 255, {}),
        ("to 255", grey, {}),
        ("to 1, white is 0", 1 - grey / 255, {"t262": 0}),
        ("with gaps", np.where(grey > 200, np.nan, grey / 255), {}),
    ):
        stored = floats.astype("<f4").tobytes()
        shown = on_grey(np.where(grey > 200, 0, grey) if "gaps" in what else grey)
        yield f"TIFF, floats {what}", tiff(stored, size, t258=32, t339=3, **tags), shown, 1
    scale = "which of them are black and white is not certain; save it with 8 bits"
    over = {
        "floats to 3,520": (3, grey * np.float32(16)),
        "floats below 0": (3, grey / np.float32(255) - np.float32(0.5)),
        "an infinite float": (3, np.where(grey == grey[0, 0], np.float32(np.inf), np.float32(0.5))),
        "32 bits used": (1, wide.astype(np.uint32) * 65537),
        "signed 16 bits": (2, (wide.astype(np.int32) - 32768).astype(np.int16)),
        "signed 8 bits": (2, (grey.astype(np.int16) - 128).astype(np.int8)),
    }
    for what, (kind, values) in over.items():
        stored = tiff(values.tobytes(), size, t258=8 * values.itemsize, t339=kind)
        yield f"TIFF, {what}", stored, scale, 0
    double = tiff((grey / 255).tobytes(), size, t258=64, t339=3)
    yield "TIFF, 64-bit floats", double, "bits or colours that are not read; open it in", 0
    inks = with_alpha(255 - colour, np.full_like(grey, 51))
    cmyk = tiff(inks.tobytes(), size, t258=(8,) * 4, t277=4, t262=5)
    yield "TIFF, CMYK", cmyk, np.rint(colour * 0.8).astype(np.uint8), 2
    light = ((grey / 255 * 100 + 16) / 116) ** 3  # CIE 1976 for L* above 8
    srgb = 255 * (1.055 * light ** (1 / 2.4) - 0.055)
    lab = np.dstack([grey, grey * 0, grey * 0])
    yield "TIFF, L*a*b*", tiff(lab.tobytes(), size, t258=(8, 8, 8), t277=3, t262=8), on_grey(srgb), 2
    half = np.full_like(grey, 128)
    four: dict[str, Any] = {"t258": (8,) * 4, "t277": 4, "t262": 2}
    yield (
        "TIFF, alpha",
        tiff(with_alpha(colour, half).tobytes(), size, t338=2, **four),
        over_white(colour, half),
        1,
    )
    dark = with_alpha(np.rint(colour * (128 / 255)).astype(np.uint8), half).tobytes()
    yield "TIFF, multiplied by alpha", tiff(dark, size, t338=1, **four), over_white(colour, half), 2
    dark = np.dstack([np.rint(grey * (128 / 255)).astype(np.uint8), half]).tobytes()
    two: dict[str, Any] = {"t258": (8, 8), "t277": 2}
    yield (
        "TIFF, grey multiplied by alpha",
        tiff(dark, size, t338=1, **two),
        over_white(on_grey(grey), half),
        2,
    )
    ramp = np.arange(256)
    mask = np.where(grey > 100, 255, 0)
    stored = np.dstack([grey, mask]).astype(np.uint8).tobytes()
    palette = tiff(stored, size, t338=2, t262=3, t320=(*(ramp * 257).tolist(),) * 3, **two)
    yield "TIFF, palette with alpha", palette, over_white(on_grey(grey), mask), 0
    old = tiff(grey.tobytes(), size, t262=3, t320=(*ramp.tolist(),) * 3)
    yield "TIFF, palette of 8 bits", old, on_grey(grey), 0
    planes = [colour[:, :, i].tobytes() for i in range(3)]
    yield "TIFF, a plane for each colour", tiff(planes, size, t284=2, **three), colour, 0
    deep = (colour.astype(">u2") * 257).tobytes()
    yield "TIFF, 16-bit colour", tiff(deep, size, ">", **three | {"t258": (16,) * 3}), colour, 0
    tiled = three | {"t322": 16, "t323": 16}
    yield "TIFF, tiles", tiff(tiles(colour, bytes), size, **tiled), colour, 0
    yield "TIFF, tiles of LZW", tiff(tiles(colour, lzw), size, t259=5, **tiled), colour, 0
    packed = tiles(colour, lambda tile: zlib.compress(tile.tobytes()))
    yield "TIFF, tiles of deflate", tiff(packed, size, t259=8, **tiled), colour, 0
    packed = tiles(colour, lambda tile: saved(tile, "JPEG", quality=95, subsampling=0))
    as_jpeg = tiled | {"t262": 6, "t259": 7, "t530": (1, 1)}
    yield "TIFF, tiles of JPEG", tiff(packed, size, **as_jpeg), colour, LOSSY
    yield "TIFF of more than 4 GB, by its header", saved(image, "TIFF", big_tiff=True), colour, 0
    pages = [Image.new("RGB", size, "blue")]
    yield "TIFF of two pages", saved(image, "TIFF", save_all=True, append_images=pages), colour, 0
    preview = "its first image is a reduced one, as in a camera's raw file"
    yield "raw, NEF or ARW", tiff(colour.tobytes(), size, t254=1, t330=8, **three), preview, 0
    two_pages = bytearray(saved(image, "TIFF", save_all=True, append_images=pages, tiffinfo={254: 1}))
    yield "TIFF, a preview and its page", bytes(two_pages), preview, 0
    yield "TIFF, a preview alone", tiff(colour.tobytes(), size, t254=1, **three), colour, 0
    yield "raw, DNG", tiff(colour.tobytes(), size, t50706=(1, 4), **three), preview, 0
    yield (
        "raw, its mosaic alone",
        tiff(wide.tobytes(), size, t258=16, t262=32803),
        "colours that are not read",
        0,
    )


def others(size: tuple[int, int]) -> Iterator[Case]:
    colour, (width, height) = colours(*size), size
    grey, image = colour[:, :, 0], Image.fromarray(colour)
    flipped = (width, -height)
    few = image.quantize(64)
    shown = np.asarray(few.convert("RGB"))
    black = Image.new("RGB", size)
    still = saved(black, "GIF", save_all=True, append_images=[image])
    yield "GIF, a film that begins black", still, colour * 0, 0
    yield "GIF", saved(few, "GIF"), shown, 0
    key = int(np.asarray(few)[2, 2])
    clear = np.where((np.asarray(few) == key)[:, :, None], 255, shown).astype(np.uint8)
    yield "GIF, one colour clear", saved(few, "GIF", transparency=key), clear, 0
    wider = bytearray(saved(few, "GIF"))
    wider[6:10] = struct.pack("<HH", width + 9, height + 4)
    yield (
        "GIF, larger than its first frame",
        bytes(wider),
        np.pad(shown, ((0, 4), (0, 9), (0, 0)), constant_values=255),
        0,
    )
    half = with_alpha(colour, grey)
    yield "WebP", saved(image, "WEBP", quality=95), colour, LOSSY
    yield (
        "WebP, lossless with alpha",
        saved(half, "WEBP", lossless=True, exact=True),
        over_white(colour, grey),
        1,
    )
    film = saved(image, "WEBP", save_all=True, append_images=[black], lossless=True)
    yield "WebP, animated", film, colour, 1
    five = colour.astype(np.uint16) >> 3
    shown = np.rint(five / 31 * 255).astype(np.uint8)
    packed = filled(five[:, :, 0] << 10 | five[:, :, 1] << 5 | five[:, :, 2])
    yield "BMP of 16 bits, from the top", bmp(packed, flipped, 16), shown, 1
    green = colour[:, :, 1].astype(np.uint16) >> 2
    shown = np.dstack([shown[:, :, 0], np.rint(green / 63 * 255), shown[:, :, 2]]).astype(np.uint8)
    packed = filled(five[:, :, 0] << 11 | green << 5 | five[:, :, 2])
    masks = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    yield "BMP of 565 bits", bmp(packed, flipped, 16, 3, masks), shown, 1
    no_alpha = with_alpha(colour[:, :, ::-1], grey * 0)
    yield "BMP of 32 bits, no alpha", bmp(no_alpha.tobytes(), flipped, 32), colour, 0
    ramp = bytes(np.repeat(np.arange(256), 4).astype(np.uint8))
    runs = b"".join(b"".join(b"\1" + bytes([v]) for v in row) + b"\0\0" for row in grey[::-1]) + b"\0\1"
    yield "BMP of runs", bmp(runs, size, 8, 1, ramp), on_grey(grey), 0
    yield "BMP of 1 bit", saved(grey > 128, "BMP"), on_grey((grey > 128) * 255), 0
    wide = np.linspace(0, 1023, grey.size).round().astype(np.uint16).reshape(grey.shape)
    head = f"P5 {width} {height} 1023\n".encode()
    yield "PGM to 1,023", head + wide.astype(">u2").tobytes(), on_grey(wide / 1023 * 255), 1
    head = f"P6 {width} {height} 65535\n".encode()
    yield "PPM of 16 bits", head + (colour.astype(">u2") * 257).tobytes(), colour, 0
    text = f"P2\n# grey\n{width} {height} 255\n" + " ".join(map(str, grey.ravel().tolist()))
    yield "PGM as text", text.encode(), on_grey(grey), 0
    floats = f"Pf\n{width} {height}\n-1.0\n".encode() + (grey[::-1] / 255).astype("<f4").tobytes()
    yield "PFM", floats, on_grey(grey), 1
    yield "TGA, runs", saved(image, "TGA", compression="tga_rle"), colour, 0
    yield "TGA, from below", saved(image, "TGA", orientation=-1), colour, 0
    yield "TGA, an alpha that is not used", tga(no_alpha.tobytes(), size, 32, 0x20), colour, 0
    yield "TGA, alpha", saved(half, "TGA"), over_white(colour, grey), 1
    yield from with_options(colour, half)
    for kind, options in {"PNG": {}, "TIFF": {}, "WEBP": {"lossless": True}}.items():
        for number in (3, 6):
            stored = saved(TURNED[number](colour), kind, exif=orientation(number), **options)
            yield f"{kind}, orientation {number}", stored, colour, 0


def with_options(colour: Pixels, half: Pixels) -> Iterator[Case]:
    """Formats that Pillow may have been built without."""
    grey, image = colour[:, :, 0], Image.fromarray(colour)
    if features.check("jpg_2000"):
        yield "JPEG 2000", saved(image, "JPEG2000"), colour, 1
        yield "JPEG 2000, alpha", saved(half, "JPEG2000"), over_white(colour, grey), 2
        deep = grey.astype(np.uint16) * 257
        yield "JPEG 2000, 16-bit grey, no boxes", saved(deep, "JPEG2000", no_jp2=True), on_grey(grey), 1
    if features.check("avif"):
        yield "AVIF", saved(image, "AVIF", quality=95), colour, LOSSY
        yield "AVIF, alpha", saved(half, "AVIF", quality=95), over_white(colour, grey), LOSSY
        turned = saved(TURNED[6](colour), "AVIF", quality=95, exif=orientation(6))
        yield "AVIF, orientation 6", turned, colour, LOSSY


def refused() -> Iterator[Case]:
    """Files that people take for images, by how they begin, and the cure."""
    begins = {
        "HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", r"pip install 'resnext\[heif\]'"),
        "SVG": (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "drawing .*save it as"),
        "raw, CR2": (b"II*\0\x10\0\0\0CR\2\0" + bytes(99), "raw file.*save it as"),
        "raw, CR3": (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "raw file.*save it as"),
        "raw, RAF": (b"FUJIFILMCCD-RAW 0201", "raw file.*save it as"),
        "PDF": (b"%PDF-1.7\n%", "PDF document; .*save it as"),
        "EPS": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", "PostScript; .*save it as"),
        "PSD": (b"8BPS\0\1" + bytes(20), "Photoshop.*save it as"),
        "JPEG XL": (b"\xff\x0a\xfa\x1f", "JPEG XL; .*save it as"),
        "DICOM": (bytes(128) + b"DICM\2\0", "DICOM.*save it as"),
        "icon": (saved(Image.new("RGB", (16, 16)), "ICO"), "icon of Windows; .*save it as"),
        "video": (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "a video; save frames"),
        "web page": (b"\n<!DOCTYPE html><html><body>404</body></html>", "fetch it again"),
        "error of a web server": (
            b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
            "fetch it",
        ),
        "pointer of Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        "archive": (b"PK\3\4\x14\0", "an archive; unpack it"),
        "nothing": (b"", "has no bytes; fetch it again"),
        "text": (b"not an image", "of a kind that is not read; open it in another program"),
    }
    for name, (stored, says) in begins.items():
        yield name, stored, says, 0


def sets(size: tuple[int, int]) -> Iterator[SetCase]:
    """Sets of deep grey images: one value is one level in all of them."""
    photo = colours(*size)
    grey = photo[:, :, 0] - float(photo[:, :, 0].min())
    grey /= grey.max()  # from 0 to 1

    def png16(values: NDArray[Any]) -> bytes:
        return saved(np.rint(values).astype(np.uint16), "PNG")

    def floats(values: NDArray[Any]) -> bytes:
        return tiff(values.astype("<f4").tobytes(), size, t258=32, t339=3)

    def signed(values: NDArray[Any]) -> bytes:
        return tiff(np.rint(values).astype("<i2").tobytes(), size, t258=16, t339=2)

    def negative(values: NDArray[Any]) -> bytes:
        """White is 0, of 12 bits."""
        return tiff(np.rint(4095 - values).astype("<u2").tobytes(), size, t258=16, t262=0)

    def long(values: NDArray[Any]) -> bytes:
        return tiff(np.rint(values).astype("<i4").tobytes(), size, t258=32, t339=2)

    def files(encode: Callable[[NDArray[Any]], bytes], black: float, white: float, *values: Any) -> Files:
        shares = [np.clip((one - black) / (white - black), 0, 1) for one in values]
        return [(encode(one), on_grey(255 * share)) for one, share in zip(values, shares, strict=True)]

    bits = {8: (255, 200), 10: (1023, 900), 12: (4095, 3910), 14: (16383, 9000), 16: (65535, 60_000)}
    for number, (white, most) in bits.items():
        images = files(png16, 0, white, grey * most, grey * most / 5, grey * 0 + 17)
        yield f"{number} bits stored as 16", images, None, ""
    flat = grey * 0
    yield "one value an image, 250 and 260", files(png16, 0, 1023, flat + 250, flat + 260), None, ""
    twelve = grey * 3900
    mixed = [*files(png16, 0, 4095, twelve, twelve / 9), *files(negative, 0, 4095, 4095 - twelve, twelve)]
    yield "12 bits, of some white is 0", mixed, None, ""
    yield "8 bits beside 12", [(saved(photo, "PNG"), photo), *files(png16, 0, 4095, twelve)], None, ""
    yield "floats to 1", files(floats, 0, 1, grey, grey / 9, grey * 1.005), None, ""
    yield "floats to 255, in one to 0.99", files(floats, 0, 255, grey * 255, grey * 0.99), None, ""
    over = files(floats, 0, 1.2, grey * 1.2, grey * 0.9)
    yield "floats to 1.2", over, None, r"to 1\.2 .*say it with --data\.grey 0 1\.2,"
    yield "floats to 1.2, with the setting", over, (0, 1.2), ""
    ct = files(signed, -1000, 3000, grey * 4095 - 1024, grey * 900 - 1000)
    yield "signed 16 bits, as of CT", ct, None, "-1,024 .* to 3,071 .*say it with --data.grey -1024 3071,"
    yield "signed 16 bits, as of CT, with the setting", ct, (-1000, 3000), ""
    window = files(signed, -160, 240, grey * 4095 - 1024, grey * 900 - 1000)
    yield "signed 16 bits, a window of CT", window, (-160, 240), ""
    wide = files(long, 0, 100_000, grey * 100_000, grey * 400)
    yield "32 bits used", wide, None, "to 100,000 .*say it with --data.grey 0 100000,"
    yield "32 bits used, with the setting", wide, (0, 100_000), ""
    both = [*files(floats, 0, 1, grey), *files(png16, 0, 255, grey * 255)]
    yield "floats to 1 beside whole numbers to 255", both, None, "some are floats, and some whole numbers"


def set_outcome(case: SetCase, folder: Path) -> list[str]:
    """`shown`, `refused`, or what is wrong, of each image of a set, as training, and later prediction, see
    it."""
    name, files, setting, says = case
    (folder / "a").mkdir(parents=True)
    for number, (stored, _) in enumerate(files):
        (folder / "a" / f"{number}.png").write_bytes(stored)
    (folder / "b").mkdir()
    shutil.copy(folder / "a" / "0.png", folder / "b")
    _, images = read_split(str(folder), ("a", "b"))
    asked = None if setting is None else GreyRange(*setting)
    found = run_to_end(scan(images, 2, asked))
    try:
        grey = choose_grey({"train": found}, asked)
    except DataError as error:
        return ["refused" if says and re.search(says, str(error)) else f"{name}: {error}"]
    if says or found.bad:
        return [f"{name}: not refused, but {grey}; {found.bad}"]
    ranged, found_levels = images.in_range(grey), []
    for number, (stored, expected) in enumerate(files):
        for values in (ranged.open(number), decode(stored, name, grey)):
            worst = int(np.abs(np.asarray(values).astype(int) - expected).max())
            found_levels.append("shown" if worst <= 1 else f"{name} {number}: {worst} levels off")
    return found_levels


def outcomes(case: Case, path: Path) -> list[str]:
    """`shown`, `refused`, or what is wrong: of the file, of its bytes, and by the fast decoder."""
    name, stored, expected, within = case
    path.write_bytes(stored)
    found = [outcome(lambda: np.asarray(decode(path, name)), expected, within)]
    found.append(outcome(lambda: np.asarray(decode(stored, name)), expected, within))
    if is_installed() and (jpeg := Jpeg.open(stored)):
        box = (0, 0, jpeg.width, jpeg.height)
        found.append(outcome(lambda: jpeg.decode(box, max(box)), expected, within))
    return [one if one in ("shown", "refused") else f"{name}: {one}" for one in found]


def outcome(read: Callable[[], Pixels | None], expected: Pixels | str, within: int) -> str:
    try:
        values = read()
    except BadImage as error:
        is_cure = isinstance(expected, str) and re.search(expected, str(error)) is not None
        return "refused" if is_cure else str(error)
    if values is None or isinstance(expected, str) or values.shape != expected.shape:
        return f"shown as {None if values is None else values.shape}"
    worst = int(np.abs(values.astype(int) - expected).max())
    return "shown" if worst <= within else f"{worst} levels from what it shows"


def test_odd_images(full: bool, record: Callable[..., None], tmp_path: Path) -> None:
    sizes = ((33, 21), (40, 30), (301, 270)) if full else ((33, 21),)
    cases = [case for size in sizes for make in (pngs, jpegs, tiffs, others) for case in make(size)]
    cases += refused()
    found = {case[0]: set[str]() for case in cases}
    for number, case in enumerate(cases):
        found[case[0]].update(outcomes(case, tmp_path / f"{number}.jpg"))
    wrong = [one for them in found.values() for one in them if one not in ("shown", "refused")]
    assert wrong == []
    shown = sum(them == {"shown"} for them in found.values())
    assert shown >= 40
    assert shown + sum(them == {"refused"} for them in found.values()) == len(found)
    record("odd images", tried=len(found), shown=shown, refused=len(found) - shown, wrong=len(wrong))


def test_sets_of_deep_grey(full: bool, record: Callable[..., None], tmp_path: Path) -> None:
    sizes = ((33, 21), (40, 30), (301, 270)) if full else ((33, 21),)
    found: dict[str, set[str]] = {}
    for size in sizes:
        for number, case in enumerate(sets(size)):
            folder = tmp_path / f"{size[0]}" / str(number)
            found.setdefault(case[0], set()).update(set_outcome(case, folder))
    wrong = [one for them in found.values() for one in them if one not in ("shown", "refused")]
    assert wrong == []
    shown = sum(them == {"shown"} for them in found.values())
    refused = sum(them == {"refused"} for them in found.values())
    assert shown + refused == len(found)
    record("sets of deep grey", tried=len(found), shown=shown, refused=refused, wrong=len(wrong))
