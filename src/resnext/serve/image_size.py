"""The size that an encoded image claims, before anything is decoded."""

from __future__ import annotations

import io
import re

from PIL import Image

from resnext.data.decode import BadImage, open_image

_SAYS = "has {}, and at most {:,} are taken; make it smaller"


def check_pixels(encoded: bytes, key: str, most: int) -> None:
    """Raise `BadImage` if the header of an image claims more than `most` pixels.

    What cannot be opened passes: the decoder says what is wrong with it.

    >>> from PIL import Image
    >>> Image.new("1", (300, 200)).save(file := io.BytesIO(), "PNG")
    >>> check_pixels(file.getvalue(), "a.png", most=1000)
    Traceback (most recent call last):
    ...
    resnext.data.decode.BadImage: a.png: has 300 x 200 pixels, and at most 1,000 are taken; make it smaller
    """
    try:
        with open_image(io.BytesIO(encoded)) as image:
            width, height = image.size
    except Image.DecompressionBombError as error:
        claimed = (re.search("[0-9]+", str(error)) or ["0"])[0]
        raise BadImage(key, _SAYS.format(f"{int(claimed):,} pixels", most)) from None
    except Exception:  # decoders raise errors of any type for damaged files
        return
    if width * height > most:
        raise BadImage(key, _SAYS.format(f"{width:,} x {height:,} pixels", most))
