"""What `make pages` and `make clients` serve: a run on digits, images of digits, and strange ones.

`python tests/serve/prepare_demo.py FOLDER`, in the environment of this package.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

import resnext


def main(folder: Path) -> None:
    (folder / "digits").mkdir(parents=True)
    (folder / "strange").mkdir()
    pixels = load_digits().images[-97:-85]
    for number, values in enumerate(pixels):
        image = Image.fromarray((values * 255 / 16).astype(np.uint8))
        size = (240, 180) if number % 2 else (180, 240)
        image.resize(size, Image.Resampling.BICUBIC).save(folder / "digits" / f"digit-{number:02d}.png")
    noise = np.random.default_rng(0).integers(0, 256, (160, 200, 3))
    stripes = np.indices((160, 200)).sum(0)[..., None] % 64 * np.full(3, 4)
    for number, strange in enumerate((noise, np.full((160, 200, 3), (200, 30, 60)), stripes)):
        Image.fromarray(strange.astype(np.uint8)).save(folder / "strange" / f"strange-{number}.png")
    resnext.train("digits", name="demo", runs=folder / "runs", epochs=12)
    resnext.calibrate(folder / "runs" / "demo", "digits", outliers=[str(folder / "strange")])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
