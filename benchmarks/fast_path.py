"""The accuracy of networks trained through the fast data path, against the exact one, for three paired seeds.

Five classes of JPEG images are stored at 160 px, trained at 80 px, and tested on the val of the data set.
Cost: 6 minutes on two CPU cores. `python benchmarks/fast_path.py DATA`, with DATA a folder of Tiny
ImageNet's train.parquet and val.parquet.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from paired import compare
from PIL import Image

import resnext
from resnext.data.tables import label_column

CLASSES, EPOCHS, SIZE_PX, STORED_PX = 5, 8, 80, 160
MODEL = "resnet10+transform=basic+template=32+blocks=1-1-1-1"


def write_set(data: Path, folder: Path) -> None:
    """Write the first classes of `data`: its train, and its val as test."""
    folder.mkdir(parents=True)
    for source, target in (("train", "train"), ("val", "test")):
        table = pq.read_table(data / f"{source}.parquet")
        labels, classes = label_column(table, "label", data)
        chosen = np.flatnonzero(np.asarray(labels) < CLASSES)
        names = [classes[labels[i]] for i in chosen]
        images = [_enlarged(value.as_py()) for value in table["image"].take(chosen)]
        pq.write_table(pa.table({"image": images, "label": names}), folder / f"{target}.parquet")


def _enlarged(value: Any) -> bytes:
    """A JPEG file of `STORED_PX`: from smaller ones both paths make exactly the same crops."""
    with Image.open(io.BytesIO(value["bytes"])) as image:
        file = io.BytesIO()
        image.convert("RGB").resize((STORED_PX, STORED_PX)).save(file, "JPEG", quality=90)
    return file.getvalue()


def main(data: str) -> int:
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "set"
        write_set(Path(data), folder)

        def run(decoder: str, seed: int) -> dict[str, Any]:
            made = resnext.train(
                folder,
                runs=Path(root) / "runs",
                seed=seed,
                model=MODEL,
                epochs=EPOCHS,
                batch=64,
                data__size_px=SIZE_PX,
                data__crop="resized",
                data__decoder=decoder,
            )
            line = made.result
            line["metrics"]["test_top1"] = 100 - line["metrics"]["test"]["top1_error"]
            return line

        arms = {name: lambda seed, name=name: run(name, seed) for name in ("exact", "fast")}
        compare("fast_path", arms, of="test_top1")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
