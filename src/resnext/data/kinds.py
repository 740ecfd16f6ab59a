"""What a file is by how it begins: an image that is read, or one of the kinds that people take for it."""

from __future__ import annotations

import re
from typing import Any

from PIL import Image

#: Bytes of a file that tell its kind.
HEAD_BYTES = 512
#: How files of the formats that are read begin, but for those of TGA, which have no mark.
IMAGE_MARKS = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n|GIF8[79]a|RIFF....WEBP|BM....\0\0\0\0|II[*+]\0|MM\0[*+]|P[1-6fF]\s"
    rb"|\0\0\0\x0cjP  |\xff\x4f\xff\x51|....ftyp(avi[fs]|hei[cmsx]|hev[cmsx]|mif1|msf1)",
    re.DOTALL,
)
HEIF_HINT = "pip install 'resnext[heif]' to read HEIC"
#: The cure for most of them.
EXPORT = "open it in another program, and save it as JPEG or PNG"
RAW = "a camera's raw file, which only has a preview that could be shown"
#: How other files begin, and what they are; the first that fits counts.
_OTHERS = (
    (rb"\Z", "it has no bytes; fetch it again"),
    (rb"version https://git-lfs", "it is a pointer of Git LFS; git lfs pull fetches the image"),
    (
        rb"\s*(<!doctype html|<html|<\?xml[^>]*>\s*<error|\{)",
        "it is a page or message of a web server, as a failed download leaves it; fetch it again",
    ),
    (
        rb"....ftyp(hei|hev|mif1|msf1)",
        f"it is HEIF, as phones write it, damaged or not read here; {HEIF_HINT}, or save it as JPEG",
    ),
    (rb"....ftypcrx |II\*\0....CR|II(R[OS]|U\0)|MMOR|FUJIFILM|HEAPCCDR", f"it is {RAW}; {EXPORT}"),
    (rb"(\xef\xbb\xbf)?\s*(<\?xml|<!--|<!doctype svg|<svg)", f"it is a drawing (SVG) or other XML; {EXPORT}"),
    (rb"%PDF-", f"it is a PDF document; {EXPORT}"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", f"it is PostScript; {EXPORT}"),
    (rb"8BPS|gimp xcf", f"it is a document of Photoshop or GIMP; {EXPORT}"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", f"it is JPEG XL; {EXPORT}"),
    (rb"\0\0[\x01\x02]\0[^\0]\0", f"it is an icon of Windows; {EXPORT}"),
    (rb".{128}DICM|SIMPLE  =|v/1\x01|#\?RADIANCE", f"it is DICOM, FITS, EXR or HDR; {EXPORT}"),
    (rb"....ftyp(?!avi)|RIFF....AVI |\x1a\x45\xdf\xa3", "it is a video; save frames of it as JPEG or PNG"),
    (rb"PK\x03\x04|\x1f\x8b|Rar!|7z\xbc\xaf", "it is an archive; unpack it"),
    (rb"II[*+]\0|MM\0[*+]", f"a TIFF, damaged or of bits or colours that are not read; {EXPORT}"),
)
_REASONS = tuple((re.compile(mark, re.DOTALL | re.IGNORECASE), reason) for mark, reason in _OTHERS)
#: Tags of TIFF: which version of an image one is, images inside it, and that the file is a digital negative.
NEW_SUBFILE_TYPE, SUB_IFDS, DNG_VERSION = 254, 330, 50706
REDUCED = 1


def why_unknown(head: bytes) -> str:
    """Why a file that begins with `head` is no image that can be read, and what to do.

    >>> why_unknown(b"%PDF-1.7")
    'it is a PDF document; open it in another program, and save it as JPEG or PNG'
    """
    reasons = (reason for mark, reason in _REASONS if mark.match(head))
    return next(reasons, f"damaged, or of a kind that is not read; {EXPORT}")


def check_not_raw(image: Image.Image) -> None:
    """Raises `ValueError` if the first image of a TIFF is a small one of another that it holds."""
    tags = getattr(image, "tag_v2", {})
    if DNG_VERSION in tags or (tags.get(NEW_SUBFILE_TYPE, 0) & REDUCED and _has_more(image)):
        raise ValueError(f"its first image is a reduced one, as in {RAW}; {EXPORT}")


def _has_more(image: Any) -> bool:
    return SUB_IFDS in image.tag_v2 or image.n_frames > 1
