"""A folder of images that somebody messed up, for the screenshot of the doctor's page (docs/doctor.png).

`python tools/docs/messy_photographs.py FOLDER` cuts scikit-learn's two photographs, which are CC BY 2.0, into
tiles without overlap and spoils some: files that are broken, copies in another split, copies under the other
label, and wrong labels. `resnext train FOLDER --name messy`, then `resnext doctor FOLDER --model runs/messy`,
finds them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_images

TILE_PX, IMAGE_PX = 64, 128
#: The photographs in scikit-learn's order.
CLASSES = ("temple", "flower")
#: How many tiles of each photograph go where.
SPLITS = {"train": 38, "val": 10, "test": 12}


def tiles(photograph: Image.Image) -> list[Image.Image]:
    """All whole tiles, from left to right and down."""
    width, height = photograph.size
    corners = [
        (left, top)
        for top in range(0, height - TILE_PX + 1, TILE_PX)
        for left in range(0, width - TILE_PX + 1, TILE_PX)
    ]
    cut = [photograph.crop((left, top, left + TILE_PX, top + TILE_PX)) for left, top in corners]
    return [one.resize((IMAGE_PX, IMAGE_PX), Image.Resampling.BICUBIC) for one in cut]


def write_clean(folder: Path) -> None:
    """All tiles in the splits, each as a file `NUMBER.jpg`."""
    for name, pixels in zip(CLASSES, load_sample_images().images, strict=True):
        places = [split for split, count in SPLITS.items() for _ in range(count)]
        order = np.random.default_rng(0).permutation(len(places))
        for number, (tile, place) in enumerate(zip(tiles(Image.fromarray(pixels)), order, strict=True)):
            path = folder / places[place] / name / f"{number:02}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            tile.save(path, quality=90)


def by_contrast(folder: Path) -> list[Path]:
    """The images of a folder, those that show most first."""

    def contrast(path: Path) -> float:
        with Image.open(path) as image:
            return float(np.asarray(image.convert("L")).std())

    return sorted(folder.glob("*.jpg"), key=contrast, reverse=True)


def spoil(folder: Path) -> None:
    """What people do to data without noticing."""
    train = {name: by_contrast(folder / "train" / name) for name in CLASSES}
    test = {name: by_contrast(folder / "test" / name) for name in CLASSES}
    with Image.open(test["flower"][0]) as image:  # the same images in two splits, altered
        ImageOps.expand(image, 8, "white").save(folder / "train" / "flower" / "export.png")
    with Image.open(test["temple"][0]) as image:
        ImageOps.mirror(image).save(folder / "train" / "temple" / "IMG_2041.jpg", quality=60)
    with Image.open(test["temple"][1]) as image:
        image.resize((90, 90)).save(folder / "train" / "temple" / "thumb.webp")
    for number in (1, 2):  # one image under two labels
        copy = folder / "train" / CLASSES[1 - number % 2] / f"copy-{number}.jpg"
        copy.write_bytes(train[CLASSES[number % 2]][number].read_bytes())
    for number, path in enumerate(train["flower"][3:7]):  # labels that are wrong
        path.rename(folder / "train" / "temple" / f"new-{number}.jpg")
    whole = train["temple"][10].read_bytes()
    train["temple"][10].write_bytes(whole[: len(whole) // 2])
    train["temple"][11].write_bytes(b"")
    (folder / "train" / "flower" / "notes.jpg").write_text("shot on Sunday")


def main() -> None:
    folder = Path(sys.argv[1])
    write_clean(folder)
    spoil(folder)


if __name__ == "__main__":
    main()
