"""The public functions."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from resnext import models, weights
from resnext.arch import KNOWN_NAMES, USUAL_PX, Architecture
from resnext.bench import (
    Contender,
    Mode,
    Table,
    Turns,
    bench_data,
    bench_infer,
    bench_step,
    contender,
    modes_of,
)
from resnext.cost import Cost, count_cost
from resnext.data.decode import BadPicture, DataError
from resnext.data.folders import pictures_under
from resnext.data.index import write_index
from resnext.data.pictures import Loose
from resnext.data.selection import Selection, select_classes
from resnext.data.sources import read_parts, read_split, read_splits
from resnext.design import (
    Budget,
    Clock,
    Description,
    Design,
    DesignError,
    Dimension,
    Space,
    design_networks,
    draw_block,
    sample_networks,
    time_designs,
)
from resnext.design import describe as describe_architecture
from resnext.engine import Classifier, ModelError, Prediction, Views, open_model
from resnext.experiments import (
    REVIEW,
    SCALES,
    Begun,
    Ended,
    Experiment,
    ExperimentError,
    Job,
    Ledger,
    Moved,
    Place,
    Scale,
    Work,
    find_experiments,
    judge,
)
from resnext.experiments import plan as plan_work
from resnext.experiments import run as run_work
from resnext.machine import default_workers, find_machine, take_machine
from resnext.recipe import Recipe, named_recipe, override
from resnext.reporting import Comparison, compare, write_design_plot, write_findings, write_report
from resnext.results import Findings
from resnext.run import (
    Evaluation,
    Event,
    OnBad,
    Order,
    Run,
    evaluate_pictures,
    look,
)
from resnext.run import train as run_training
from resnext.training.distribution import join

__all__ = [
    "Begun",
    "Budget",
    "Clock",
    "Comparison",
    "Contender",
    "Description",
    "Design",
    "DesignError",
    "Dimension",
    "Ended",
    "Evaluation",
    "Event",
    "Experiment",
    "ExperimentError",
    "Findings",
    "Job",
    "Mode",
    "Moved",
    "Order",
    "Place",
    "Prediction",
    "Recipe",
    "Run",
    "Scale",
    "Space",
    "Table",
    "Turns",
    "Work",
    "bench_data",
    "bench_infer",
    "bench_step",
    "compare",
    "contender",
    "convert",
    "create",
    "describe",
    "design_networks",
    "draw_block",
    "evaluate",
    "find_experiments",
    "index_pictures",
    "judge_experiments",
    "list_models",
    "load",
    "modes_of",
    "plan_experiments",
    "predict",
    "predict_many",
    "run_experiments",
    "sample_networks",
    "select",
    "time_designs",
    "train",
    "train_events",
    "write_design_plot",
    "write_report",
    "write_results",
]


#: What is wrong with a device for a classifier.
WHERE_IT_IS = "a Classifier computes where it is: leave out device, or give it the path of the model"
#: Fewer pictures than this are decoded sooner than processes that would help are started.
FEW = 500


def create(name: str, classes: int = 1000, in_channels: int = 3, seed: int = 0) -> models.Network:
    """A fresh network by name, e.g. `create("resnext50_32x4d")`: (B, in_channels, H, W) -> (B, classes).

    Raises `ArchitectureError` with the nearest names.
    """
    return models.create(Architecture.from_name(name, classes, in_channels), seed)


def load(model: str | Path, device: str | None = None) -> Classifier:
    """The classifier in a run folder, a hub folder or a weights file with its contract.

    Raises `ModelError` or `WeightsError`.
    """
    return open_model(model, find_machine(device).device)


def train(
    data: str | Path, recipe: str | Recipe = "small", *, name: str | None = None, **changes: Any
) -> Run:
    """Train on `data`, write the report, and return the finished run.

    `changes` are recipe fields by dotted name with `__` for the dot (`epochs=3, training__lr=0.1`), or
    fields of `Order` (`device="cuda"`, `on_bad="skip"`). Raises as `resnext.run.train` does.
    """
    base = named_recipe(recipe) if isinstance(recipe, str) else recipe
    ordered = {key: changes.pop(key) for key in tuple(changes) if key in Order.__dataclass_fields__}
    events = train_events(Order(str(data), override(base, **changes), name, **ordered))
    while True:
        try:
            next(events)
        except StopIteration as end:
            run: Run = end.value
            return run


def train_events(order: Order) -> Generator[Event, None, Run]:
    """As `train`, told as events: train as ordered, then write report.html into the run's folder."""
    run = yield from run_training(order)
    if run.leads and not (run.folder / "report.html").exists():
        write_report([run.folder])
    return run


def evaluate(
    model: str | Path | Classifier,
    data: str | Path,
    *,
    split: str | None = None,
    device: str | None = None,
    on_bad: OnBad = "fail",
    workers: int | None = None,
    views: Views = "one",
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Scores of `model` on one split of `data`: test, else val, else everything, unless said.

    Of a set without splits that the model was trained on, it is the tenth that training left out.

    Classes are matched by name; `views` "flip" and "ten" average over more views of each picture. Processes
    that `torchrun` started share the pictures and return the same. Raises `DataError` for pictures of a class
    that the model lacks.
    """
    with join() as group:
        if not isinstance(model, Classifier):
            machine = find_machine(device, group.local_rank)
            if group.size > 1:
                take_machine(machine)
            model = open_model(model, machine.device)
        elif device is not None:
            raise TypeError(WHERE_IT_IS)
        contract = model.contract
        split, pictures = read_split(str(data), contract.classes, split, contract.provenance.fingerprint)
        group.compare({"contract": contract.dumps(), "pictures": f"{len(pictures)} of {split}"})
        workers = _workers(workers, model, len(pictures), group.local_size)
        return evaluate_pictures(model, pictures, split, on_bad, workers, views, progress, group)


def predict(
    model: str | Path | Classifier, pictures: Sequence[str | Path | bytes | Image.Image]
) -> list[Prediction]:
    """One prediction a picture, in order; `predict_many` takes folders and globs. Raises `BadPicture` for one
    that cannot be read."""
    return (model if isinstance(model, Classifier) else load(model)).predict(pictures)


def predict_many(
    model: str | Path | Classifier,
    where: Sequence[str],
    device: str | None = None,
    workers: int | None = None,
    views: Views = "one",
) -> Iterator[Prediction | BadPicture]:
    """Predictions for any number of files, folders (searched to any depth) and globs, as they are made."""
    if isinstance(model, Classifier) and device is not None:
        raise TypeError(WHERE_IT_IS)
    classifier = model if isinstance(model, Classifier) else load(model, device)
    pictures = Loose(find_pictures(where))
    workers = _workers(workers, classifier, len(pictures))
    for answers in classifier.classify(pictures, workers=workers, views=views):
        yield from classifier.name(pictures, answers)
        yield from answers.bad


def _workers(asked: int | None, classifier: Classifier, pictures: int, processes: int = 1) -> int:
    """Decoding processes, unless as many were `asked` for: none for so few pictures that starting them would
    take longer."""
    if asked is not None or pictures < FEW:
        return asked or 0
    return default_workers(classifier.device, classifier.contract.input.height_px, processes)


def find_pictures(where: Sequence[str]) -> list[str]:
    """Paths of the pictures that files, folders and globs name. Raises `DataError` if one names none."""
    found: list[str] = []
    for word in where:
        if os.path.isdir(word):
            paths = [os.path.join(word, path) for path in pictures_under(Path(word))]
        elif os.path.exists(word):
            paths = [word]
        else:
            paths = sorted(p for p in glob.glob(word, recursive=True) if os.path.isfile(p))
        if not paths:
            raise DataError(f"{word}: there is no picture here in a format that is read (JPEG, PNG, ...)")
        found += paths
    return found


def index_pictures(
    data: str | Path, out: str | Path, progress: Callable[[int, int], None] | None = None
) -> Path:
    """List the files of `data` and look at all of them once; `out`, whose name ends in .index, can be given
    as data from then on. What cannot be read is kept there too. Raises `DataError`."""
    splits = read_splits(str(data))
    looking = look(splits)
    while True:
        try:
            seen = next(looking)
            if progress is not None:
                progress(seen.done, seen.total)
        except StopIteration as end:
            write_index(splits, end.value, Path(out))
            return Path(out)


@dataclass(frozen=True)
class ListedModel:
    """A network worth knowing, its cost at its stem's own size and its number of classes."""

    name: str
    cost: Cost
    size_px: int
    classes: int


def list_models(like: str = "") -> list[ListedModel]:
    """Networks by name with their cost (ImageNet stem: 224 px, 1000 classes; others: 32 px, 10 classes).

    `like` keeps names that contain it; a full name outside the list is counted too. Raises
    `ArchitectureError` if it fits neither.
    """
    names = [name for name in KNOWN_NAMES if like.lower() in name]
    if not names:
        names = [Architecture.from_name(like).name]
    listed = []
    for name in names:
        stem = Architecture.from_name(name).stem
        classes, size_px = 1000 if stem == "imagenet" else 10, USUAL_PX[stem]
        listed.append(
            ListedModel(name, count_cost(Architecture.from_name(name, classes), size_px), size_px, classes)
        )
    return listed


def describe(name: str, classes: int = 1000, size_px: int | None = None) -> Description:
    """The network called `name` as the paper's table 1, with the cost of each stage.

    Raises `ArchitectureError` with the nearest names.
    """
    return describe_architecture(Architecture.from_name(name, classes), size_px)


def convert(model: str | Path, to: str, out: str | Path) -> Path:
    """Write the network in `model` in the form that the name `to` says, as a hub folder at `out`.

    The paper's three forms (`transform` grouped, concatenated, branches) hold the same values, cut
    differently. Raises `WeightsError` where the two names are not the same function.
    """
    out = Path(out)
    if out.exists():
        raise ModelError(f"{out}: exists already; say another --out")
    classifier = load(model, "cpu")
    network = weights.convert(classifier.network, to)
    provenance = replace(classifier.contract.provenance, architecture=network.arch.name)
    contract = replace(classifier.contract, provenance=provenance)
    card = f"# {network.arch.name}\n\nConverted from {classifier.network.arch.name}: the same function.\n"
    weights.write_hub_folder(out, network, contract, card)
    return out


def select(
    data: str | Path,
    out: str | Path,
    like: str | Path,
    others: int = 0,
    judged: Literal["val", "test"] = "test",
) -> tuple[int, int]:
    """Write to the folder `out` the set of those classes of `data` that `like` has, and of so many `others`,
    those with most pictures; return its numbers of pictures to train on and to judge.

    Judged are the test or val pictures of `like`, as the split `judged`. Raises `DataError`.
    """
    kept = frozenset(name for pictures in read_parts(str(like)).values() for name in pictures.classes)
    return select_classes(str(data), Path(out), Selection(kept, others, judged=judged), str(like))


def plan_experiments(
    names: Sequence[str] = (),
    scale: Scale = "laptop",
    seeds: int | None = None,
    place: Place | None = None,
) -> Work:
    """What `run_experiments` would run of the experiments called `names`, or of all, and what it would cost.

    Raises `ExperimentError` or `ResultsError`.
    """
    return plan_work(find_experiments(names), scale, seeds, place or Place())


def run_experiments(
    names: Sequence[str] = (),
    scale: Scale = "laptop",
    seeds: int | None = None,
    place: Place | None = None,
    after: str = "",
) -> Iterator[Begun | Moved | Ended]:
    """Run what has not been run of the experiments called `names`, or of all, told as events.

    `seeds` runs of each arm instead of those that are planned, which is written down before the first;
    `place` says where sets, runs and result lines lie; `after` is what else was looked at before, in words.
    Raises `ExperimentError`, `ResultsError`, `DataError` and what `resnext.run.train` does.
    """
    return run_work(find_experiments(names), scale, seeds, place or Place(), after)


def judge_experiments(
    names: Sequence[str] = (), scale: Scale = "laptop", place: Place | None = None
) -> list[Findings]:
    """What the result lines show of the experiments called `names`, or of all."""
    ledger = Ledger.read((place or Place()).results)
    return [findings for one in find_experiments(names) for findings in judge(one, scale, ledger)]


def write_results(results: Path, out: Path) -> Path:
    """Write the page about all experiments at all scales, with its plots in a folder of the same name, and
    return its path."""
    ledger = Ledger.read(results)
    found = [
        [findings for scale in SCALES if scale in one.studies for findings in judge(one, scale, ledger)]
        for one in find_experiments()
    ]
    return write_findings(found, REVIEW, out)
