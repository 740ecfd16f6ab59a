"""Exports of trained networks beside their originals, on 2,000 real images, in every format.

`python benchmarks/exports.py RUNS [NAME...]`: RUNS has runs of reference_runs.py. Each NAME of `NETWORKS` is
exported to every format, as its contract says or for larger images, to which the images are then upscaled;
`-images` stands for files that prepare the images themselves. Each file answers all images of val, at most
2,000, and 64 of them with class activation maps. Promised: the same top-1 for all and probabilities within
1e-4; the same top-1 for 99.9 % by OpenVINO where it prepares the images; maps whose mean and bias are the
logit within 1e-4, and that are equal in all files. Appends a record for each network to results/bench.jsonl.
On two cores resnext26 takes ten minutes at 224 px and resnext50 an hour.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from resnext.contract import Contract, Input, Resize
from resnext.data.images import ImageDataset
from resnext.data.loaders import evaluation_batches, on_device
from resnext.data.stored_images import UnlabelledImages
from resnext.engine import Classifier, Takes, TorchEngine, open_model
from resnext.engine.openers import open_network
from resnext.export import FORMATS, Source
from resnext.export.judges import Judges
from resnext.machine import cpu_name
from resnext.records import append_record, stamp

RESULTS = Path(__file__).parents[1] / "results" / "bench.jsonl"
BATCH, MAPPED = 16, 64
TOLERANCE, INSIDE_SAME = 1e-4, 0.999


@dataclass(frozen=True)
class Exported:
    """A run of reference_runs.py, and what it is exported for.

    Attributes:
        run: Its name.
        size_px: Side of the images that the network takes.
        stored_px: Side that the images are enlarged to beforehand, by Pillow's bicubic filter, so that they
            are shrunk as photographs are; None leaves them as they are.
    """

    run: str
    size_px: int
    stored_px: int | None = None


NETWORKS = {
    "cifar10": Exported("cifar10", 32),
    "tiny40-resnext26": Exported("tiny40-resnext26-224", 224),
    "tiny40-resnext26, shrunk": Exported("tiny40-resnext26-224", 224, stored_px=300),
    "tiny40-resnext50": Exported("tiny40-resnext50", 224),
}


def resized(contract: Contract, size_px: int) -> Contract:
    """The contract for images of which all is seen, at `size_px`."""
    resize = replace(contract.resize, shorter_px=size_px, crop_px=size_px)
    return replace(contract, input=Input(3, size_px, size_px), resize=resize)


def enlarge(images: ImageDataset, side_px: int) -> ImageDataset:
    """`images` as squares of this side."""
    made = UnlabelledImages(
        [images.open(i).resize((side_px, side_px), Image.Resampling.BICUBIC) for i in range(len(images))]
    )
    made.labels = images.labels
    return made


def answers(model: Classifier, judges: Judges) -> NDArray[np.float32]:
    """The probabilities (N, classes) of all images."""
    with closing(model.classify(judges.images, BATCH)) as batches:
        return np.concatenate([one.probabilities for one in batches])


def pixels(contract: Contract, judges: Judges, resize: Resize) -> Iterator[Tensor]:
    """Batches of the first `MAPPED` images."""
    images = judges.images.select(np.arange(min(MAPPED, len(judges.images))))
    with closing(evaluation_batches(images, resize, BATCH, 0)) as batches:
        for batch in on_device(batches, contract, torch.device("cpu")):
            yield batch.images


def exports(source: Source, folder: Path) -> Iterator[tuple[str, Classifier]]:
    """What `source` is exported to, by name."""
    kinds: tuple[Takes, ...] = ("pixels", "images")
    for takes in kinds:
        for name, format in FORMATS.items():
            if takes in format.takes:
                outputs = () if takes == "images" else ("cam",)
                path = folder / f"{source.name}-{takes}{format.suffix}"
                format.write(replace(source, takes=takes, outputs=("probabilities", *outputs)), path)
                yield name if takes == "pixels" else f"{name}-images", open_model(path)


def compare(name: str, exported: Exported, runs: Path) -> tuple[list[dict[str, Any]], int]:
    """A row for each format, and the number of images."""
    network, contract = open_network(runs / exported.run)
    judges = Judges.of_run(runs / exported.run, contract)
    if exported.stored_px is not None:
        judges = replace(judges, images=enlarge(judges.images, exported.stored_px))
    contract = resized(contract, exported.size_px)
    original = Classifier(TorchEngine(network, contract))
    batches = list(pixels(contract, judges, contract.resize))
    maps = torch.cat([original.engine.compute(batch, "cam") for batch in batches])
    logits = torch.cat([original.engine.compute(batch, "logits") for batch in batches])
    bias = original.network.state_dict()["fc.bias"]
    before, labels = answers(original, judges), np.asarray(judges.images.labels)
    rows: list[dict[str, Any]] = [
        {
            "what": "original",
            "correct": int((before.argmax(1) == labels).sum()),
            "map_to_logit": float((maps.mean((2, 3)) + bias - logits).abs().max()),
        }
    ]
    show(name, rows[0])
    with tempfile.TemporaryDirectory() as folder:
        for what, model in exports(Source(name, network, contract), Path(folder)):
            after = answers(model, judges)
            row = {
                "what": what,
                "correct": int((after.argmax(1) == labels).sum()),
                "same": int((after.argmax(1) == before.argmax(1)).sum()),
                "largest": float(np.abs(after - before).max()),
                "mean_largest": float(np.abs(after - before).max(1).mean()),
            }
            if "cam" in model.engine.outputs:
                made = torch.cat([model.engine.compute(batch, "cam") for batch in batches])
                row["map_to_logit"] = float((made.mean((2, 3)) + bias - logits).abs().max())
                row["maps_apart"] = float((made - maps).abs().max())
            rows.append(row)
            show(name, row)
    return rows, len(labels)


def show(name: str, row: dict[str, Any]) -> None:
    figures = (
        f"{key} {value:.2g}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items()
    )
    print(f"{name}: {', '.join(figures)}", flush=True)


def is_kept(row: dict[str, Any], images: int) -> bool:
    """Whether the promises hold for one row."""
    if row["what"] == "openvino-images":
        same: int = row["same"]
        return same >= INSIDE_SAME * images
    if row["what"] == "onnx-images":
        return True  # reported
    differences: list[float] = [row.get(key, 0.0) for key in ("largest", "map_to_logit", "maps_apart")]
    return row.get("same", images) == images and max(differences) <= TOLERANCE


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("names", nargs="*", default=list(NETWORKS)[:3], metavar="NAME")
    given = parser.parse_args()
    if unknown := [name for name in given.names if name not in NETWORKS]:
        parser.error(f"{unknown[0]}: must be some of {', '.join(NETWORKS)}")
    passed = True
    for name in given.names:
        rows, images = compare(name, NETWORKS[name], given.runs)
        settings = asdict(NETWORKS[name]) | {"images": images, "mapped": min(MAPPED, images)}
        record = {"kind": "bench", "experiment": "exports", "arm": name, "settings": settings, "rows": rows}
        append_record(record | asdict(stamp(cpu_name())), RESULTS)
        passed = passed and all(is_kept(row, images) for row in rows)
    return 0 if passed else 4


if __name__ == "__main__":
    sys.exit(main())
