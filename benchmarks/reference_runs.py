"""The trained networks that accuracy and agreement are measured with, made again by name.

`python benchmarks/reference_runs.py DATA RUNS [NAME...]`: DATA has `cifar10` and `tiny-imagenet`. Each of
`REFERENCES` that is not in RUNS yet is trained into a folder of its name; one that was stopped goes on. The
weights stay out of the repository; each result is a line of results/reference.jsonl. On two cores digits take
a minute, cifar10 and tiny40-resnext26 a quarter of an hour, the others an hour or more each.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import resnext
from resnext.data.class_selection import Selection, select_classes
from resnext.data.sources import read_splits
from resnext.recipe import Recipe, named_recipe, override
from resnext.records import append_record

RESULTS = Path(__file__).parents[1] / "results" / "reference.jsonl"
TINY_CLASSES = 40


@dataclass(frozen=True)
class Reference:
    """A network that is trained again where it is needed.

    Attributes:
        data: DATA, given the folder of all data and that of the runs.
        recipe: The recipe.
        weights: Name of the reference that it starts from.
    """

    data: Callable[[Path, Path], str]
    recipe: Recipe
    weights: str | None = None


def tiny(data: Path, runs: Path) -> str:
    """The first classes of Tiny ImageNet, with its own val."""
    images = runs / f"tiny-{TINY_CLASSES}"
    if not images.is_dir():
        source = str(data / "tiny-imagenet")
        classes = frozenset(read_splits(source).classes[:TINY_CLASSES])
        select_classes(source, images, Selection(classes, eval_split="val"))
    return str(images)


def tiny_recipe(model: str, epochs: int, train_px: int) -> Recipe:
    return override(
        named_recipe("small"),
        model=model,
        epochs=epochs,
        batch=64,
        data__size_px=64,
        data__train_px=train_px,
    )


REFERENCES = {
    "digits": Reference(lambda data, runs: "digits", override(named_recipe("small"), epochs=20)),
    "cifar10": Reference(
        lambda data, runs: str(data / "cifar10"), override(named_recipe("cifar-small"), epochs=6)
    ),
    "tiny40-resnext26": Reference(tiny, tiny_recipe("resnext26_8x4d+template=32", 12, 64)),
    "tiny200-resnext26": Reference(
        lambda data, runs: str(data / "tiny-imagenet"), tiny_recipe("resnext26_8x4d+template=32", 12, 64)
    ),
    "tiny40-resnext26-224": Reference(
        tiny,
        override(named_recipe("finetune"), epochs=2, batch=64, data__size_px=224, data__train_px=128),
        weights="tiny40-resnext26",
    ),
    "tiny40-resnext50": Reference(tiny, tiny_recipe("resnext50_32x4d", 8, 48)),
    "tiny40-resnet50": Reference(tiny, tiny_recipe("resnet50", 8, 48)),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("names", nargs="*", default=list(REFERENCES), metavar="NAME")
    given = parser.parse_args()
    if unknown := [name for name in given.names if name not in REFERENCES]:
        parser.error(f"{unknown[0]}: must be some of {', '.join(REFERENCES)}")
    given.runs.mkdir(parents=True, exist_ok=True)
    for name in given.names:
        reference, is_new = REFERENCES[name], not (given.runs / name / "result.json").exists()
        data = reference.data(given.data, given.runs)
        weights = None if reference.weights is None else given.runs / reference.weights
        run = resnext.train(
            data, reference.recipe, name=name, runs=given.runs, weights=weights, resume="auto"
        )
        if is_new:
            append_record(run.result | {"experiment": "reference", "arm": name}, RESULTS)
        judged = run.result["metrics"].get("test") or run.result["metrics"]["val"]
        print(f"{name}: top-1 {100 - judged['top1_error']:.2f} %, {run.result['seconds']:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
