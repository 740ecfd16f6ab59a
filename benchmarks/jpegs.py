"""Makes photograph-like JPEG files to time decoders with: `python benchmarks/jpegs.py FOLDER [COUNT]`.

Photographs have amplitudes that fall as 1/f, and colours that vary little compared with brightness; some
smooth shapes with hard edges are drawn on top. At quality 90 with halved colour resolution, 500x375 px take
42 to 80 KB, 57 on average; scikit-learn's two photographs, cropped to this size, take 39 and 63.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

WIDTH, HEIGHT, QUALITY, CLASSES = 500, 375, 90, 2
#: Standard deviations of brightness and of the two colour differences, in grey levels.
SPREADS = (48, 14, 14)


def make_image(number: int) -> Image.Image:
    """Image `number`, the same at every call."""
    random = np.random.default_rng(number)
    rows, columns = np.fft.fftfreq(HEIGHT)[:, None], np.fft.rfftfreq(WIDTH)[None]
    amplitude = 1 / np.maximum(np.hypot(rows, columns), 1 / WIDTH) ** random.uniform(1.3, 1.6)
    planes = []
    for spread in SPREADS:
        noise = random.normal(size=amplitude.shape) + 1j * random.normal(size=amplitude.shape)
        plane = np.fft.irfft2(noise * amplitude, (HEIGHT, WIDTH))
        planes.append(128 + spread * (plane - plane.mean()) / plane.std())
    image = Image.fromarray(np.clip(np.stack(planes, 2), 0, 255).astype(np.uint8), "YCbCr").convert("RGB")
    draw = ImageDraw.Draw(image)
    for _ in range(random.integers(3, 9)):
        x, y = random.integers(WIDTH), random.integers(HEIGHT)
        colour = tuple(int(v) for v in random.integers(0, 256, 3))
        draw.ellipse((x, y, x + random.integers(10, 120), y + random.integers(10, 120)), colour)
    return image


def write(folder: Path, count: int) -> None:
    """Write `count` images as `folder`/train/CLASS/NUMBER.jpg; existing ones are kept."""
    for number in range(count):
        path = folder / "train" / f"class{number % CLASSES}" / f"{number:04}.jpg"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            make_image(number).save(path, quality=QUALITY)


if __name__ == "__main__":
    write(Path(sys.argv[1]), int((sys.argv[2:] or ["500"])[0]))
