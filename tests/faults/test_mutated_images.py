"""Damaged images, made by programs that know their formats: an image or our error, and never another program.

Each is decoded in a process that may take 1 GB, as every process here does, and that starts no other. This
file is also the program of that process.
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import resource
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, features

#: What one image may take.
LIMIT_MB, LIMIT_S = 1024, 10
#: Numbers that headers are made of, at their limits.
EXTREMES = (0, 1, 2, 7, 127, 128, 255, 256, 4095, 32767, 32768, 65535, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
Chunks = list[tuple[bytes, bytes]]


def seeds() -> dict[str, list[bytes]]:
    """Small whole files of each format that this Pillow writes, with what they can have inside."""
    noise = Image.frombytes("RGB", (40, 24), random.Random(0).randbytes(40 * 24 * 3))
    clear = noise.copy()
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    wide = Image.frombytes("I;16", (40, 24), random.Random(1).randbytes(40 * 24 * 2))
    palette, bits, grey = noise.quantize(32), noise.convert("1"), noise.convert("L")
    deep = grey.convert("F")
    made: dict[str, list[tuple[Image.Image, dict[str, Any]]]] = {
        "png": [(noise, {"exif": exif}), (clear, {}), (wide, {}), (palette, {"transparency": 3}), (bits, {})],
        "jpeg": [
            (noise, {"exif": exif}),
            (noise, {"progressive": True}),
            (grey, {}),
            (noise.convert("CMYK"), {}),
        ],
        "gif": [(palette, {"save_all": True, "append_images": [palette, palette]}), (palette, {})],
        "webp": [(noise, {"lossless": True, "exif": exif}), (clear, {"quality": 50})],
        "bmp": [(noise, {}), (palette, {}), (bits, {})],
        "dib": [(noise, {}), (grey, {})],
        "tiff": [
            (noise, {"compression": "tiff_lzw"}),
            (noise, {"compression": "tiff_adobe_deflate", "exif": exif}),
            (noise, {"compression": "jpeg"}),
            (wide, {}),
            (deep, {}),
            (bits, {"compression": "group4"}),
            (noise.convert("CMYK"), {"compression": "packbits"}),
        ],
        "ppm": [(noise, {}), (grey, {}), (wide, {}), (bits, {})],
        "tga": [(noise, {"compression": "tga_rle"}), (clear, {}), (palette, {})],
        "jpeg2000": [(noise, {}), (wide, {}), (clear, {})] if features.check("jpg_2000") else [],
        "avif": [(noise, {"exif": exif}), (clear, {})] if features.check("avif") else [],
        "ico": [(noise, {}), (clear, {"bitmap_format": "bmp"})],
        "eps": [(noise, {})],
    }
    return {kind: [_encoded(image, kind, options) for image, options in them] for kind, them in made.items()}


def _encoded(image: Image.Image, kind: str, options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    image.save(file, kind.upper(), **options)
    return file.getvalue()


def mutate_bytes(data: bytes, draw: random.Random) -> bytes:
    """One to three edits anywhere: bits, numbers, cuts, insertions, repetitions."""
    out = bytearray(data)
    for _ in range(draw.randint(1, 3)):
        if not out:
            break
        # Headers are at the start, so half of the edits are.
        at = draw.randrange(min(len(out), 64)) if draw.random() < 0.5 else draw.randrange(len(out))
        size = draw.choice((1, 4, 20, 300))
        match draw.randrange(6):
            case 0:
                out[at] ^= 1 << draw.randrange(8)
            case 1:
                layout = draw.choice((">B", ">H", "<H", ">I", "<I"))
                width = struct.calcsize(layout)
                out[at : at + width] = struct.pack(layout, draw.choice(EXTREMES) % 256**width)
            case 2:
                del out[at : at + size]
            case 3:
                out[at:at] = draw.randbytes(size)
            case 4:
                out[at:at] = out[at : at + size] * draw.choice((1, 50))
            case 5:
                out = out[:at]
    return bytes(out)


def split_png(data: bytes) -> Chunks:
    chunks, place = [], 8
    while place + 8 <= len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + size]))
        place += 12 + size
    return chunks


def join_png(chunks: Chunks) -> bytes:
    """With checksums that are right, so that what is inside is looked at."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def split_jpeg(data: bytes) -> Chunks:
    """Segments up to the scan; the rest is one."""
    chunks, place = [], 2
    while place + 4 <= len(data) and data[place + 1] != 0xDA:
        size = int.from_bytes(data[place + 2 : place + 4], "big")
        chunks.append((data[place : place + 2], data[place + 4 : place + 2 + size]))
        place += 2 + size
    return [*chunks, (b"", data[place:])]


def join_jpeg(chunks: Chunks) -> bytes:
    return b"\xff\xd8" + b"".join(
        kind + ((len(body) + 2) % 65536).to_bytes(2, "big") + body if kind else body for kind, body in chunks
    )


def split_boxes(data: bytes) -> Chunks:
    """Boxes of JPEG 2000 and AVIF."""
    chunks, place = [], 0
    while place + 8 <= len(data):
        size = int.from_bytes(data[place : place + 4], "big") or len(data) - place
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + size]))
        place += max(size, 8)
    return chunks


def join_boxes(chunks: Chunks) -> bytes:
    return b"".join(struct.pack(">I", len(body) + 8) + kind + body for kind, body in chunks)


def split_riff(data: bytes) -> Chunks:
    chunks, place = [], 12
    while place + 8 <= len(data):
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        chunks.append((data[place : place + 4], data[place + 8 : place + 8 + size]))
        place += 8 + size + size % 2
    return chunks


def join_riff(chunks: Chunks) -> bytes:
    body = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(part)) + part + b"\0" * (len(part) % 2) for kind, part in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


FORMATS: dict[str, tuple[Callable[[bytes], Chunks], Callable[[Chunks], bytes]]] = {
    "png": (split_png, join_png),
    "jpeg": (split_jpeg, join_jpeg),
    "jpeg2000": (split_boxes, join_boxes),
    "avif": (split_boxes, join_boxes),
    "webp": (split_riff, join_riff),
}


def mutate_chunks(chunks: Chunks, draw: random.Random) -> Chunks:
    """One part changed inside, repeated, removed, moved, or made another kind or much larger."""
    out = list(chunks)
    at = draw.randrange(len(out))
    kind, body = out[at]
    match draw.randrange(7):
        case 0 | 1:
            out[at] = kind, mutate_bytes(body, draw)
        case 2:
            out[at:at] = [out[at]] * draw.choice((1, 2, 500))
        case 3:
            del out[at]
        case 4:
            out.insert(draw.randrange(len(out)), out.pop(at))
        case 5:
            out[at] = kind, body + zlib.compress(bytes(10**7))
        case 6:
            out[at] = draw.choice(out)[0], body
    return out


def mutate_tiff(data: bytes, draw: random.Random) -> bytes:
    """One field of the first directory changed: its tag, type, count or value."""
    out = bytearray(data)
    start = int.from_bytes(out[4:8], "little")
    count = int.from_bytes(out[start : start + 2], "little")
    entry = start + 2 + 12 * draw.randrange(max(1, count))
    offset, width = draw.choice(((0, 2), (2, 2), (4, 4), (8, 4), (8, 4)))
    value = draw.choice((*EXTREMES, start, len(out), draw.randrange(2**16)))
    out[entry + offset : entry + offset + width] = (value % 256**width).to_bytes(width, "little")
    return bytes(out)


def mutate_deflated(data: bytes, draw: random.Random) -> bytes:
    """The pixels of a PNG changed before they are packed: fewer, more, or of other filters."""
    chunks = split_png(data)
    pixels = bytearray(zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT")))
    match draw.randrange(3):
        case 0:
            pixels = bytearray(mutate_bytes(bytes(pixels), draw))
        case 1:
            pixels *= draw.choice((2, 10_000))
        case 2:
            pixels = pixels[: draw.randrange(len(pixels))]
    others = [(kind, body) for kind, body in chunks if kind not in (b"IDAT", b"IEND")]
    return join_png([*others, (b"IDAT", zlib.compress(bytes(pixels))), (b"IEND", b"")])


def mutated(kind: str, data: bytes, draw: random.Random) -> bytes:
    """`data`, an image of this kind, damaged where its format has its parts, or anywhere."""
    if kind == "png" and draw.random() < 0.3:
        return mutate_deflated(data, draw)
    if kind == "tiff" and data[:2] == b"II" and draw.random() < 0.7:
        return mutate_tiff(data, draw)
    if kind in FORMATS and draw.random() < 0.7:
        split, join = FORMATS[kind]
        return join(mutate_chunks(split(data), draw))
    return mutate_bytes(data, draw)


def child(first: int, last: int) -> None:
    """The process: decode the images by number, and print a line about each kind of outcome."""
    from resnext.data import fast_jpeg, jpeg
    from resnext.data.augment import Flip, ResizedCrop, sample_generator
    from resnext.data.decode import BadImage, decode
    from resnext.data.stored_images import UnlabelledImages

    class Stored(UnlabelledImages):
        def read_bytes(self, index: int) -> bytes | None:
            item = self.items[index]
            return item if isinstance(item, bytes) else None

    fast = fast_jpeg.FastAugmentation((ResizedCrop(16, 0.3, 1.3, "bilinear"), Flip(0.5)))
    whole = seeds()
    kinds = [kind for kind, made in whole.items() if made]
    for kind in kinds:
        for data in whole[kind]:
            if kind not in ("ico", "eps"):
                assert decode(data, kind).mode == "RGB"
    started = [*children()]
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(TimeoutError(f"{LIMIT_S} s are over")))
    for case in range(first, last):
        draw = random.Random(case)
        kind = kinds[case % len(kinds)]
        data = mutated(kind, draw.choice(whole[kind]), draw)
        outcome, begun = "", time.monotonic()
        signal.alarm(LIMIT_S)
        try:
            image = decode(data, kind)
            outcome = (
                "an image" if image.mode == "RGB" and min(image.size) > 0 else f"{image.mode} {image.size}"
            )
        except BadImage as error:
            outcome = "refused" if str(error).startswith(f"{kind}: ") else str(error)
        except BaseException as error:
            outcome = f"{type(error).__name__}: {error}"
        try:
            if kind == "jpeg" and jpeg.is_installed():
                fast.sample(Stored([data]), 0, sample_generator(0, 0, 0))
        except BadImage:
            pass
        except BaseException as error:
            outcome = f"fast decoder: {type(error).__name__}: {error}"
        signal.alarm(0)
        peak = peak_mb()
        seconds = time.monotonic() - begun
        print(
            json.dumps({"case": case, "kind": kind, "outcome": outcome, "s": seconds, "mb": peak}), flush=True
        )
    assert [*children()] == started, "another program was started"
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime == 0, "another program was started"


def peak_mb() -> int:
    """The most memory that this process has had; `ru_maxrss` would count that of the one that started it."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) // 1024  # type: ignore[index]


def children() -> list[str]:
    """Processes that this one has started and that have not ended."""
    listed = Path(f"/proc/self/task/{os.getpid()}/children")
    return listed.read_text().split() if listed.exists() else []


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_mutated_images(full: bool, record: Callable[..., None], tmp_path: Path) -> None:
    count, size = (2600, 650) if full else (260, 260)
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\n")
    (tmp_path / "gs").chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    outcomes: list[dict[str, Any]] = []
    for first in range(0, count, size):
        words = [sys.executable, "-W", "ignore", __file__, str(first), str(first + size)]
        done = subprocess.run(words, capture_output=True, text=True, env=environment)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(lines) == size, f"ended in case {first + len(lines)}: {done.stderr[-2000:]}"
        assert done.returncode == 0, done.stderr[-2000:]
        outcomes += lines
    assert [one for one in outcomes if one["outcome"] not in ("an image", "refused")] == []
    assert {one["outcome"] for one in outcomes if one["kind"] in ("ico", "eps")} == {"refused"}
    assert max(one["mb"] for one in outcomes) < LIMIT_MB
    assert not (tmp_path / "asked").exists()
    refused = sum(one["outcome"] == "refused" for one in outcomes)
    assert count / 4 < refused < count
    record(
        "mutated images",
        tried=count,
        formats=len({one["kind"] for one in outcomes}),
        refused=refused,
        decoded=count - refused,
        longest_s=round(max(one["s"] for one in outcomes), 2),
        most_mb=max(one["mb"] for one in outcomes),
    )


if __name__ == "__main__":
    child(int(sys.argv[1]), int(sys.argv[2]))
