"""A file is told by how it begins, whatever its name."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from resnext.data.decode import FORMATS, decode
from resnext.data.kinds import IMAGE_MARKS, why_unknown


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind not in ("TGA", "DIB", "HEIF")])
def test_what_is_read_has_a_mark(kind: str) -> None:
    file = io.BytesIO()
    Image.init()
    if kind not in Image.SAVE:
        pytest.skip(f"Pillow was built without {kind}")
    Image.new("RGB", (20, 16)).save(file, kind)
    assert decode(file.getvalue(), kind).size == (20, 16)
    assert IMAGE_MARKS.match(file.getvalue())


@pytest.mark.parametrize(
    "head",
    [b"\0\0\0\x20ftypheic", b"\0\0\0\x18ftypmif1", b"II+\0\x08\0\0\0", b"MM\0+\0\x08\0\0", b"Pf\n2 2\n"],
    ids=["HEIC", "HEIF", "BigTIFF", "BigTIFF of big ends", "PFM"],
)
def test_other_marks(head: bytes) -> None:
    assert IMAGE_MARKS.match(head)


@pytest.mark.parametrize("head", [b"MIT License", b"", b"\0" * 16, b"%PDF-1.7", b"BMW is a maker of cars"])
def test_no_marks(head: bytes) -> None:
    assert not IMAGE_MARKS.match(head)
    assert why_unknown(head)
