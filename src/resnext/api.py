"""The public functions: create, load, train, evaluate, predict, and what goes with them.

Networks are designed in `resnext.design` and timed in `resnext.bench`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, overload

import torch

from resnext import models
from resnext.arch import KNOWN_NAMES, STEMS, Architecture
from resnext.catalogue import EXPORTS, locate
from resnext.confidence import COVERAGE, FALSE_ALARMS
from resnext.contract import Contract
from resnext.cost import Cost, count_cost
from resnext.data.class_selection import Selection, select_classes
from resnext.data.decode import BadImage, DataError
from resnext.data.image_files import FoundImages, find_image_files
from resnext.data.images import ImageDataset
from resnext.data.index import write_index
from resnext.data.sources import read_split, read_splits, read_splits_by_name, split_notes
from resnext.data.stored_images import ImageSource
from resnext.display import TrainDisplay
from resnext.engine import (
    CalibrationFit,
    Calibrator,
    Classifier,
    EmbeddingSummary,
    Explanation,
    ForeignContract,
    ModelError,
    Output,
    Prediction,
    TableSummary,
    Takes,
    embed_images,
    explain_images,
    find_images_to_embed,
    is_exported,
    list_image_files,
    open_model,
    open_network,
    predict_images,
)
from resnext.errors import UsageError
from resnext.export import (
    FORMATS,
    MAX_DROP,
    MIN_SPEED,
    QUANTIZERS,
    TARGETS,
    Export,
    Judges,
    Quantized,
    Source,
    Target,
    data_of_run,
    export,
    take_samples,
)
from resnext.export import quantize as run_quantization
from resnext.files import naming
from resnext.machine import default_workers, find_machine, use_machine
from resnext.progress import EventStream, ignore, run_to_end
from resnext.recipe import OnBad, Recipe, TrainOptions, named_recipe, override, usual_recipe
from resnext.recipe.options import EngineName, ImageShard, Views
from resnext.recipe.other_names import meant_by
from resnext.reporting import Comparison, compare, write_report
from resnext.run import (
    Choice,
    Evaluation,
    Event,
    FollowingRun,
    Run,
    choose_recipe,
    evaluate_images,
    scan_splits,
)
from resnext.run import train as run_training
from resnext.run.evaluation import read_train_counts
from resnext.run.folder import RunFolder
from resnext.run.stop_signals import StopRequest
from resnext.training.distributed import init_group
from resnext.weights import (
    HubNetwork,
    convert_network,
    create_network,
    replace_contract,
    weights_digest,
    write_hub_folder,
)

__all__ = [
    "Classifier",
    "Comparison",
    "EmbeddingSummary",
    "Evaluation",
    "Export",
    "ListedModel",
    "Prediction",
    "Recipe",
    "Run",
    "TrainOptions",
    "calibrate",
    "compare",
    "convert",
    "create",
    "embed",
    "evaluate",
    "export_model",
    "find_images",
    "from_pretrained",
    "index_images",
    "list_models",
    "load",
    "predict",
    "predict_many",
    "quantize",
    "select",
    "train",
    "train_events",
    "write_report",
]

#: Up to this many images are decoded sooner than worker processes would have started.
FEW_IMAGES = 500
_IS_OPEN = "a Classifier computes where and as it is: leave out device and engine, or give its path"


@overload
def create(
    name: str,
    classes: int = ...,
    in_channels: int = ...,
    seed: int = ...,
    weights: str | Path | None = ...,
    new_head: bool = ...,
    *,
    features_only: Literal[False] = ...,
) -> HubNetwork: ...
@overload
def create(
    name: str,
    classes: int = ...,
    in_channels: int = ...,
    seed: int = ...,
    weights: str | Path | None = ...,
    new_head: bool = ...,
    *,
    features_only: Literal[True],
    out_indices: int | Sequence[int] | None = ...,
) -> models.FeaturePyramid: ...
def create(
    name: str,
    classes: int = 1000,
    in_channels: int = 3,
    seed: int = 0,
    weights: str | Path | None = None,
    new_head: bool = False,
    *,
    features_only: bool = False,
    out_indices: int | Sequence[int] | None = None,
) -> HubNetwork | models.FeaturePyramid:
    """A network with fresh weights, or with given ones.

    Args:
        name: Name of the network; `list_models` lists some.
        classes: Number of classes.
        in_channels: Channels of the images. The first convolution of weights for three is adapted to others.
        seed: Seed of the fresh weights.
        weights: A run folder, hub folder or file of weights, or a name of public ones (`resnext weights`).
        new_head: A fresh head in place of that of `weights`, for other classes.
        features_only: Return the feature maps of stem and stages, without the head, whatever the classes are.
        out_indices: Which of them: 0 is the stem's, before its last pooling, 1 to 4 those of the stages;
            negative ones count from the last. A number means so many of the last, None all.

    Returns:
        A `torch.nn.Module` with torchvision's tensor names: (B, in_channels, H, W) -> logits (B, classes). It
        can be saved as a hub folder (`save_pretrained`). With `features_only`, a `FeaturePyramid`: the maps
        as a list.

    Raises:
        ArchitectureError: There is no such network; the message has the nearest names.
        UsageError: There are no such feature maps.
        WeightsError: `weights` cannot be read, or do not fit the network.
        UnknownWeights: There are no such weights.
        FetchError: They are not here, and cannot be fetched.

    >>> import torch, resnext
    >>> network = resnext.create("resnext29_8x4d+template=16", classes=10)
    >>> network(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    >>> pyramid = resnext.create("resnext50_4x4d+template=8", features_only=True, out_indices=(1, 2, 3, 4))
    >>> pyramid.feature_info.channels(), pyramid.feature_info.reduction()
    ([32, 64, 128, 256], [4, 8, 16, 32])
    >>> [tuple(one.shape) for one in pyramid(torch.zeros(1, 3, 64, 64))]
    [(1, 32, 16, 16), (1, 64, 8, 8), (1, 128, 4, 4), (1, 256, 2, 2)]
    """
    if features_only:
        network = create_network(name, classes, in_channels, seed, weights, new_head=True)
        return models.FeaturePyramid(network, out_indices)
    if out_indices is not None:
        raise UsageError(f"out_indices {out_indices!r}: needs features_only=True")
    return create_network(name, classes, in_channels, seed, weights, new_head)


def from_pretrained(model: str | Path) -> HubNetwork:
    """The network in a file or folder of weights, or of public ones, in evaluation mode.

    `load` gives a classifier, which takes images.

    Args:
        model: A run folder, hub folder or file of weights, or a name of public ones (`resnext weights`),
            hf-hub:owner/name among them.

    Returns:
        The network: (B, in_channels, H, W) -> logits (B, classes). Its `contract` has the names of the
        classes, and how images are prepared.

    Raises:
        WeightsError: They cannot be read, do not fit their network, or have no classifier.
        UnknownWeights: There are no such weights.
        FetchError: They are not here, and cannot be fetched.

    >>> import resnext
    >>> network = resnext.from_pretrained("runs/pets")
    >>> network.contract.classes
    ('cat', 'dog')
    >>> print(network.save_pretrained("shared"))
    shared
    """
    return HubNetwork.from_pretrained(model)


def load(
    model: str | Path,
    device: str | None = None,
    *,
    engine: EngineName | None = None,
    foreign: ForeignContract | None = None,
) -> Classifier:
    """The classifier in a run folder, a hub folder, a weights file with its contract or an exported file, or
    that of public weights.

    Args:
        model: Path of the folder or file, or the name of public weights: one that `resnext weights` lists,
            the name of a network, or hf-hub:owner/name. They are fetched once.
        device: `cpu`, `cuda`, `cuda:1`, `mps`; the best there is if None. Exported files are computed on the
            CPU.
        engine: What computes it; the usual one for such a model if None, the fastest on this machine for
            `auto`, by measurement.
        foreign: What is known of an ONNX file of others, which carries no contract.

    Raises:
        ModelError: There is no model at this path, or the engine cannot take it.
        EngineMissing: The engine's library is not installed.
        WeightsError: The weights cannot be read, or do not fit their network.
        DeviceError: The device cannot be used.

    >>> import resnext
    >>> resnext.load("runs/pets").contract.classes
    ('cat', 'dog')
    """
    usual = "cpu" if device is None and is_exported(model) else device
    return open_model(model, find_machine(usual).device, engine, foreign)


def train(
    data: str | Path,
    recipe: str | Recipe | None = None,
    *,
    name: str | None = None,
    then: str | None = None,
    on_event: Callable[[Event], None] | None = None,
    **changes: Any,
) -> Run:
    """Train a network, write the report, and return the finished run.

    Args:
        data: A folder of images, a table, or another kind of DATA that the command line takes.
        recipe: A recipe or the name of one; `finetune` with `weights`, else `small`, if None.
        name: Name of the run; chosen from data and network if None.
        then: Recipe of a second run, which goes on from the model of the first and is returned, as `finetune`
            after `probe`. It is called as the first, with `-finetune` behind.
        on_event: Called with each event of the run (see `resnext.run.events`). If None, progress is shown
            on a terminal (of 60 columns or more) or in a notebook, and nothing is printed elsewhere.
        **changes: Fields of the recipe by their dotted names, with `__` for the dot (`epochs=3,
            training__lr=0.1`), and fields of `TrainOptions` (`device="cuda"`, `on_bad="skip"`).

    Raises:
        ResnextError: See `resnext.run.train`.

    >>> import resnext, tempfile
    >>> runs = tempfile.mkdtemp()
    >>> run = resnext.train("digits", model="resnet11+template=8", epochs=1, runs=runs)
    >>> sorted(run.result["metrics"])
    ['best_epoch', 'test', 'val']
    """
    names = {field.name for field in fields(TrainOptions)}
    for key in changes:
        if meant := meant_by(key, names):
            raise UsageError(f"there is no option {key!r}. Nearest: {meant}")
    options = TrainOptions(name=name, **{key: changes.pop(key) for key in tuple(changes) if key in names})
    chosen = choose_recipe(options.weights) if recipe is None else ()
    recipe = usual_recipe(options.weights) if recipe is None else recipe
    base = named_recipe(recipe) if isinstance(recipe, str) else recipe
    events = train_events(data, override(base, **changes), options, chosen, then)
    return run_to_end(events, on_event) if on_event is not None else _show(events)


def _show(events: Generator[Event, None, Run]) -> Run:
    """The result of `events`, which are shown on a terminal or in a notebook."""
    with TrainDisplay() as display:
        return run_to_end(events, display.show if display.is_live else ignore)


def train_events(
    data: str | Path,
    recipe: Recipe,
    options: TrainOptions | None = None,
    chosen: tuple[Choice, ...] = (),
    then: str | None = None,
) -> Generator[Event, None, Run]:
    """As `train`, yielding the events of the run, or of both (see `resnext.run.events`), while it trains.

    `chosen` are choices that the caller has made, to be told with the others.
    """
    options = options or TrainOptions()
    following = None if then is None else FollowingRun(then, recipe, options)
    if following is not None:
        following.check()
    run = yield from _train_one(data, recipe, options, chosen)
    if following is not None:
        run = yield from following.follow(run, lambda *given: _train_one(data, *given))
    return run


def _train_one(
    data: str | Path, recipe: Recipe, options: TrainOptions, chosen: tuple[Choice, ...] = ()
) -> Generator[Event, None, Run]:
    """One run, with its report."""
    run = yield from run_training(str(data), recipe, options, chosen=chosen)
    if run.is_main_process and not (run.folder / "report.html").exists():
        # A report takes seconds, and the run is finished: it is written although a stop is asked for.
        with StopRequest(), RunFolder(run.folder).name_loss():
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
    engine: EngineName | None = None,
    foreign: ForeignContract | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Scores of a model on one split of a data set. Classes are matched by name.

    Processes that `torchrun` started share the images and return the same.

    Args:
        model: A classifier, or the path of one.
        data: A folder of images, a table, or another kind of DATA.
        split: `train`, `val` or `test`; the first there is of test, val and everything if None. Of a set
            without splits that the model was trained on, `test` is the tenth that training left out.
        device: Where to compute; the best there is if None.
        on_bad: What to do about images that cannot be read: `fail`, or `skip` them.
        workers: Decoding processes; as many as suit the machine if None.
        views: Average over more views of each image: `flip`, or `ten` crops.
        engine: What computes the model; the usual one for it if None.
        foreign: What is known of an ONNX file of others, which carries no contract.
        progress: Called with the numbers of images done and in all.

    Raises:
        DataError: The data cannot be used, or have images of a class that the model lacks.
        ModelError: There is no such model.

    >>> import resnext
    >>> scores = resnext.evaluate("runs/pets", "PETS").scores
    >>> 0 <= scores.top1_error <= 100
    True
    """
    with init_group() as group:
        train_counts: tuple[int, ...] = ()
        if not isinstance(model, Classifier):
            path = model
            usual = "cpu" if device is None and is_exported(path) else device
            machine = find_machine(usual, group.local_rank)
            if group.size > 1:
                use_machine(machine)
            model = open_model(path, machine.device, engine, foreign)
            train_counts = read_train_counts(Path(path), len(model.contract.classes))
        elif device is not None or engine is not None or foreign is not None:
            raise TypeError(_IS_OPEN)
        contract = model.contract
        split, images = read_split(str(data), contract.classes, split, contract.provenance.fingerprint)
        group.check_equal({"contract": contract.dumps(), "images": f"{len(images)} of {split}"})
        workers = _choose_workers(workers, model, len(images), group.local_size)
        evaluation = evaluate_images(model, images, split, on_bad, workers, views, progress, group)
        notes = (*split_notes(images), *filter(None, [model.note]))
        return replace(evaluation, train_counts=train_counts, notes=notes)


def predict(model: str | Path | Classifier, images: Sequence[ImageSource]) -> list[Prediction]:
    """One prediction for each image, in order; `predict_many` takes folders and globs.

    Args:
        model: A classifier, or the path of one.
        images: Paths, encoded images (bytes, or files open in binary mode), Pillow images, or NumPy arrays
            of uint8: grey (H, W), or RGB (H, W, 3). OpenCV's are BGR: give `array[..., ::-1]`.

    Raises:
        BadImage: An image cannot be read.
        ModelError: There is no such model.
        TypeError: An image is of another type, or `images` is one image, not a list.

    >>> import resnext
    >>> prediction, = resnext.predict("runs/pets", ["new/1.png"])
    >>> prediction.label in ("cat", "dog"), 0.5 <= prediction.probability <= 1
    (True, True)
    """
    return (model if isinstance(model, Classifier) else load(model)).predict(images)


def predict_many(
    model: str | Path | Classifier,
    sources: Sequence[str | Path] | FoundImages,
    device: str | None = None,
    workers: int | None = None,
    views: Views = "one",
    engine: EngineName | None = None,
) -> Iterator[Prediction | BadImage]:
    """Predictions for any number of images, as they are made; for an image that cannot be read, its error.

    Args:
        model: A classifier, or the path of one.
        sources: Files, folders (searched to any depth) and globs, on a disk or in an object store
            (`s3://bucket/photographs/`); or what `find_image_files` has found.
        device: Where to compute; the best there is if None.
        workers: Decoding processes; as many as suit the machine if None.
        views: Average over more views of each image: `flip`, or `ten` crops.
        engine: What computes the model; the usual one for it if None.

    Raises:
        DataError: A source names no image.
        ModelError: There is no such model.

    >>> import resnext
    >>> for prediction in resnext.predict_many("runs/pets", ["new/"]):
    ...     print(prediction.key)
    new/1.png
    new/2.png
    """
    if isinstance(model, Classifier) and (device is not None or engine is not None):
        raise TypeError(_IS_OPEN)
    classifier = model if isinstance(model, Classifier) else load(model, device, engine=engine)
    images = _find(sources).dataset()
    workers = _choose_workers(workers, classifier, len(images))
    for batch in classifier.classify(images, workers=workers, views=views):
        yield from classifier.to_predictions(images, batch)
        yield from batch.bad


def predict_to_file(
    model: str | Path | Classifier,
    sources: Sequence[str | Path] | FoundImages,
    out: str | Path,
    *,
    top: int | None = 3,
    views: Views = "one",
    shard: ImageShard | str | None = None,
    resume: bool = False,
    device: str | None = None,
    workers: int | None = None,
    engine: EngineName | None = None,
    on_bad: OnBad = "fail",
    progress: Callable[[int, int], None] | None = None,
) -> TableSummary:
    """Write the prediction for each of any number of images to a file, at constant memory.

    Rows are kept while they come, in a file whose name ends in .partial. A run that was stopped or killed at
    any moment goes on with `resume`: no row is lost, and none comes twice.

    Args:
        model: A classifier, or the path of one.
        sources: Files, folders (searched to any depth) and globs, on a disk or in an object store
            (`s3://bucket/photographs/`); or what `find_image_files` has found.
        out: File to write: .csv, .jsonl or .parquet. docs/ship.md lists its columns.
        top: How many of the likeliest classes a row holds; the probabilities of all if None.
        views: Average over more views of each image: `flip`, or `ten` crops.
        shard: Only this part of the images, as `3/64`, in a file with its number in the name. The files of
            all shards, one after the other, have the rows of the file without shards.
        resume: Go on where a run was stopped, if one was; if none was, begin.
        device: Where to compute; the best there is if None.
        workers: Decoding processes; as many as suit the machine if None.
        engine: What computes the model; the usual one for it if None.
        on_bad: What to do about images that cannot be read: `fail`, or `skip` them.
        progress: Called with the numbers of images done and in all.

    Raises:
        BadImage: An image cannot be read, and `on_bad` is "fail".
        DataError: A source names no image; or the rows so far are of images that have changed.
        ModelError: There is no such model, or the rows so far are of another one.
        UsageError: There are rows of a stopped run and `resume` is false, another process writes them, or
            the suffix of `out` is unknown.

    >>> import resnext
    >>> resnext.predict_to_file("runs/pets", ["new/"], "answers.csv").rows
    2
    """
    if isinstance(model, Classifier) and (device is not None or engine is not None):
        raise TypeError(_IS_OPEN)
    if "://" in str(out):
        raise UsageError(f"--out {out}: must be a path on a disk; write it there, then copy it")
    found, path = _find(sources), Path(out)
    if shard is not None:
        shard = ImageShard.parse(shard) if isinstance(shard, str) else shard
        found, path = found.part(shard.number, shard.count), shard.path(path)
    images = list_image_files(found)
    classifier = model if isinstance(model, Classifier) else load(model, device, engine=engine)
    workers = _choose_workers(workers, classifier, len(images))
    return predict_images(classifier, images, path, top, views, resume, on_bad, workers, progress)


def explain(
    model: str | Path | Classifier,
    sources: Sequence[str | Path] | FoundImages,
    device: str | None = None,
    workers: int | None = None,
    engine: EngineName | None = None,
) -> Iterator[Explanation | BadImage]:
    """Where in each image the evidence for its class lies; for an image that cannot be read, its error.

    Args:
        model: A classifier, or the path of one. An exported file must have been written `--with cam`.
        sources: Files, folders (searched to any depth) and globs, on a disk or in an object store
            (`s3://bucket/photographs/`); or what `find_image_files` has found.
        device: Where to compute; the best there is if None.
        workers: Decoding processes; as many as suit the machine if None.
        engine: What computes the model; the usual one for it if None.

    Raises:
        DataError: A source names no image.
        ModelError: There is no such model, or it gives no class activation maps.

    >>> import resnext
    >>> explanation = next(resnext.explain("runs/pets", ["new/1.png"]))
    >>> explanation.evidence.shape, explanation.overlay().size
    ((4, 4), (16, 16))
    """
    if isinstance(model, Classifier) and (device is not None or engine is not None):
        raise TypeError(_IS_OPEN)
    classifier = model if isinstance(model, Classifier) else load(model, device, engine=engine)
    images = _find(sources).dataset()
    workers = _choose_workers(workers, classifier, len(images))
    yield from explain_images(classifier, images, workers)


def embed(
    model: str | Path | Classifier,
    images: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    split: str | None = None,
    resume: bool = False,
    device: str | None = None,
    workers: int | None = None,
    on_bad: OnBad = "fail",
    progress: Callable[[int, int], None] | None = None,
) -> EmbeddingSummary:
    """Write the embedding of each image, what the classifier of the network receives, to a Parquet file.

    Rows are written while they come, to a file whose name ends in .partial. A run that was stopped or killed
    at any moment goes on with `resume`: no row is lost, and none comes twice.

    Args:
        model: A classifier, or the path or name of one.
        images: A data set, all of whose splits are embedded, with labels; or files, folders of nothing but
            images, and globs.
        out: File to write, which ends in .parquet. Its columns are `key`, `split`, `label` (empty where there
            are none) and `embedding`, a list of float32.
        split: Name of the split to embed; all if None.
        resume: Go on where a run was stopped, if one was; if none was, begin.
        device: Where to compute; the best there is if None.
        workers: Decoding processes; as many as suit the machine if None.
        on_bad: What to do about images that cannot be read: `fail`, or `skip` them.
        progress: Called with the numbers of images done and in all.

    Raises:
        BadImage: An image cannot be read, and `on_bad` is "fail".
        DataError: There are no images; or the rows so far are of images that have changed.
        ModelError: There is no such model, or the rows so far are of another one.
        UsageError: There are rows of a stopped run and `resume` is false, or another process writes them.

    >>> import resnext, pyarrow.parquet
    >>> resnext.embed("runs/pets", "PETS", "pets.parquet", split="test").rows
    4
    >>> table = pyarrow.parquet.read_table("pets.parquet")
    >>> table["key"][0].as_py(), table["label"][0].as_py(), len(table["embedding"][0])
    ('cat/0.png', 'cat', 256)
    """
    path = Path(out)
    if path.suffix != ".parquet":
        raise UsageError(f"--out {path}: must end in .parquet, as in {path.stem}.parquet")
    if isinstance(model, Classifier) and device is not None:
        raise TypeError(_IS_OPEN)
    found = find_images_to_embed([images] if isinstance(images, str | Path) else images, split)
    classifier = model if isinstance(model, Classifier) else load(model, device)
    workers = _choose_workers(workers, classifier, len(found))
    return embed_images(classifier, found, path, resume, on_bad, workers, progress)


def _choose_workers(asked: int | None, classifier: Classifier, images: int, processes: int = 1) -> int:
    """Decoding processes: those `asked` for, none for few images, else what suits the machine."""
    if asked is not None or images < FEW_IMAGES:
        return asked or 0
    return default_workers(classifier.device, classifier.contract.input.height_px, processes)


def find_images(sources: Sequence[str | Path]) -> list[str]:
    """Paths of the images that files, folders and globs name.

    Raises:
        DataError: A source names no image.
        UsageError: A source is an address or standard input.
        TypeError: `sources` is one path, not a list.
    """
    return _find(sources).paths


def _find(sources: Sequence[str | Path] | FoundImages) -> FoundImages:
    if isinstance(sources, str | Path):
        raise TypeError(f"sources must be a list, as in [{str(sources)!r}]")
    return sources if isinstance(sources, FoundImages) else find_image_files(sources)


def index_images(
    data: str | Path, out: str | Path, progress: Callable[[int, int], None] | None = None
) -> Path:
    """List the image files of `data`, scan all of them once, and write an index that can be given as DATA
    from then on.

    Args:
        data: A folder or table of image files.
        out: The index, whose name ends in .index. Images that cannot be read are listed in it too.
        progress: Called with the numbers of images done and in all.

    Returns:
        `out`.

    Raises:
        DataError: The data are no image files, or `out` exists.

    >>> import resnext
    >>> print(resnext.index_images("PETS", "pets.index"))
    pets.index
    """
    splits = read_splits(str(data))
    scan = EventStream(scan_splits(splits))
    for event in scan:
        if progress is not None:
            progress(event.done, event.total)
    with naming(out):
        write_index(splits, scan.result, Path(out))
    return Path(out)


@dataclass(frozen=True)
class ListedModel:
    """A network by name, and its cost at the size and for the classes that its stem is made for."""

    name: str
    cost: Cost
    size_px: int
    classes: int


def list_models(like: str = "") -> list[ListedModel]:
    """Networks by name with their cost at the size and for the number of classes that their stem is made for.

    Args:
        like: Only names that contain this; a full name that is not on the list is counted too.

    Raises:
        ArchitectureError: `like` is neither part of a known name nor a name.

    >>> import resnext
    >>> [(found.name, found.size_px, found.classes) for found in resnext.list_models("resnext29_8x64d")]
    [('resnext29_8x64d', 32, 10)]
    """
    names = [name for name in KNOWN_NAMES if like.lower() in name]
    return [_listed(Architecture.from_name(name)) for name in names or [like]]


def _listed(arch: Architecture) -> ListedModel:
    stem = STEMS[arch.stem]
    cost = count_cost(replace(arch, classes=stem.classes), stem.size_px)
    return ListedModel(arch.name, cost, stem.size_px, stem.classes)


def export_model(
    model: str | Path,
    to: str = "onnx",
    *,
    out: str | Path | None = None,
    outputs: Sequence[Output] = ("probabilities",),
    takes: Takes = "pixels",
    images: Sequence[str | Path] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Export:
    """Write a trained network in a format of other programs, if it answers there as it does here.

    Image files go through the original and through what was exported, each with its own pre-processing. If
    one gets another class, or a probability differs by more than 1e-4, nothing is kept.

    Args:
        model: Path of the model, or the name of public weights.
        to: The format, a key of `resnext.export.FORMATS`.
        out: Folder to write into; `exports` in the run's folder if None, and `exports` here for models that
            are no runs.
        outputs: What is computed beside the logits: `probabilities`, `cam`.
        takes: What goes in: `pixels` that are prepared as the contract says, or `images` of any size that the
            file prepares itself (onnx and openvino).
        images: Files, folders and globs of the images to compare on; those of val, at most 2,000, if None.
        progress: Called with the numbers of images done and in all.

    Returns:
        The path, and how both agree.

    Raises:
        ParityError: The exported model answers otherwise.
        ModelError: There is no such model or format, or no images to compare on.
        EngineMissing: A library is not installed.

    >>> import resnext
    >>> exported = resnext.export_model("runs/pets", "hub")
    >>> print(exported.path, exported.parity.is_passed)
    runs/pets/exports/pets.hub True
    """
    if to not in FORMATS:
        raise ModelError(f"--to {to}: must be some of {', '.join(FORMATS)}")
    network, contract = open_network(model)
    path = locate(model).path
    judges = Judges.of_run(path, contract) if images is None else Judges.given(images)
    folder = Path(out) if out is not None else (path if (path / "model").is_dir() else Path()) / EXPORTS
    source = Source(_model_name(model), network, contract, weights_digest(path), tuple(outputs), takes)
    return export(source, FORMATS[to], folder, judges, progress)


def quantize(
    model: str | Path,
    to: str = "openvino",
    *,
    data: str | Path | None = None,
    target: Target = "any",
    max_drop: float = MAX_DROP,
    min_speed: float = MIN_SPEED,
    out: str | Path | None = None,
    outputs: Sequence[Output] = ("probabilities",),
    progress: Callable[[int, int], None] | None = None,
) -> Quantized:
    """Write a trained network in int8, if it is faster on this machine and hardly worse.

    Activations are calibrated on images of training. Accuracy is that of val, and the temperature and what
    the contract promises are fitted again.

    Args:
        model: Path of the model, or the name of public weights.
        to: The format, a key of `resnext.export.QUANTIZERS`.
        data: The data set with train and val; that of the run if None.
        target: The processors that the file must be right on: `any`, or only those with `vnni`, which are
            given all 8 bits.
        max_drop: Most points of accuracy that it may cost.
        min_speed: How many times as fast as float32 it must be on this machine; 0 for a file that is made
            for another one.
        out: Folder to write into; `exports` in the run's folder if None, and `exports` here for models that
            are no runs.
        outputs: What is computed beside the logits: `probabilities`, `cam`.
        progress: Called with the numbers of images judged and in all.

    Returns:
        The path, accuracy and speed beside float32.

    Raises:
        ParityError: It is slower, or costs more points.
        ModelError: There is no such model, format or target, or no images of training and val.
        EngineMissing: A library is not installed.

    >>> import resnext
    >>> made = resnext.quantize("runs/pets", max_drop=100, min_speed=0)
    >>> print(made.path)
    runs/pets/exports/pets-int8.xml
    """
    if to not in QUANTIZERS:
        raise ModelError(f"--to {to}: must be some of {', '.join(QUANTIZERS)}")
    if target not in TARGETS:
        raise ModelError(f"--target {target}: must be one of {', '.join(TARGETS)}")
    network, contract = open_network(model)
    path = locate(model).path
    is_run = (path / "model").is_dir()
    if data is None and not is_run:
        raise ModelError(f"{model}: is no run, so its images of training are not known; say --data DATA")
    where = str(data) if data is not None else data_of_run(path)
    fingerprint = contract.provenance.fingerprint
    try:
        judges = Judges.of_data(where, contract, fingerprint)
        _, train = read_split(where, contract.classes, "train", fingerprint)
    except DataError as error:
        raise ModelError(f"{model}: its images are not where they were ({error}); say --data DATA") from None
    folder = Path(out) if out is not None else (path if is_run else Path()) / EXPORTS
    source = Source(_model_name(model), network, contract, weights_digest(path), tuple(outputs))
    samples = take_samples(train, contract)
    return run_quantization(
        source, QUANTIZERS[to], folder, samples, judges, target, max_drop, min_speed, progress
    )


def _model_name(model: str | Path) -> str:
    """What files made of `model` are called."""
    path = Path(os.fspath(model).rpartition(":")[2])
    if path.is_dir():
        return path.resolve().name
    return path.stem if path.is_file() else path.name.replace("@", "-")


def convert(model: str | Path, to: str, out: str | Path) -> Path:
    """Write a trained network in another of the paper's three forms, as a hub folder. No value changes.

    Args:
        model: Path of the model.
        to: Name of the same network in another form (`+transform=` grouped, concatenated or branches).
        out: The folder to write.

    Returns:
        `out`.

    Raises:
        WeightsError: The two names are not the same function.
        ModelError: There is no such model, or `out` exists.

    >>> import resnext
    >>> print(resnext.convert("runs/pets", "resnext11_4x4d+template=16+transform=branches", "paths"))
    paths
    """
    out = Path(out)
    if out.exists():
        raise ModelError(f"{out}: exists already; say another --out")
    original, contract = open_network(model)
    network = convert_network(original, to)
    provenance = replace(contract.provenance, architecture=network.arch.name)
    contract = replace(contract, provenance=provenance)
    card = f"# {network.arch.name}\n\nConverted from {original.arch.name}: the same function.\n"
    write_hub_folder(out, network, contract, card)
    return out


def calibrate(
    model: str | Path,
    data: str | Path,
    *,
    split: str = "val",
    outliers: Sequence[str | Path] | None = None,
    coverage: float = COVERAGE,
    false_alarms: float = FALSE_ALARMS,
    out: str | Path | None = None,
    device: str | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CalibrationFit:
    """Make the answers of a trained network mean what they say: the temperature of its softmax, sets of
    classes of a promised coverage, and a threshold below which the answer is "none of these".

    What it finds goes into the contract of the model, which every engine and command obeys. Exported files
    are made again afterwards.

    Args:
        model: Path of a run folder or hub folder, which are changed in place; or of another model, with
            `out`.
        data: A folder of images, a table, or another kind of DATA.
        split: The split to calibrate on. The network must not have been trained on it.
        outliers: Files, folders and globs of images of none of the classes, on which the score that tells
            "none of these" is chosen; the largest probability if None.
        coverage: Share of new images whose set of classes is to hold the true one.
        false_alarms: Share of images of the classes that may be called "none of these".
        out: Hub folder to write in place of changing `model`.
        device: Where to compute; the best there is if None.
        workers: Decoding processes; as many as suit the machine if None.
        progress: Called with the numbers of images done and in all.

    Returns:
        The calibration, and what it is worth.

    Raises:
        BadImage: An image cannot be read.
        DataError: The data cannot be used, or the outliers look like the classes.
        ModelError: There is no such model, it is exported, or `out` exists.
        UsageError: A share is none, or there are too few images for `coverage`.

    >>> import resnext
    >>> fit = resnext.calibrate("runs/pets", "PETS", coverage=0.8, out="calibrated-pets")
    >>> fit.contract.calibration.sets.coverage
    0.8
    """
    network, contract = open_network(model)
    folder = _folder_to_calibrate(model) if out is None else Path(out)
    if out is not None and folder.exists():
        raise ModelError(f"{out}: exists already; say another --out")
    machine = find_machine(device, 0)
    _, images = read_split(str(data), contract.classes, split, contract.provenance.fingerprint)
    strange = None if outliers is None else find_image_files(outliers).dataset()
    known = None if outliers is None else _known_images(str(data), contract)
    usual = default_workers(machine.device, contract.input.height_px) if len(images) > FEW_IMAGES else 0
    network = network.to(machine.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    calibrator = Calibrator(network, contract, coverage, false_alarms, usual if workers is None else workers)
    fit = calibrator.fit(images, strange, known, progress)
    network.bank = fit.bank
    if out is not None:
        card = f"# {network.arch.name}\n\nCalibrated on {fit.images:,} images.\n"
        write_hub_folder(folder, network, fit.contract, card)
    elif (folder / "model").is_dir():
        run = RunFolder(folder)
        with run.lock():
            replace_contract(run.model, fit.contract, fit.bank)
    else:
        replace_contract(folder, fit.contract, fit.bank)
    return fit


def _known_images(data: str, contract: Contract) -> ImageDataset | None:
    """The images of `data` to train on; None if it has none."""
    try:
        return read_split(data, contract.classes, "train", contract.provenance.fingerprint)[1]
    except DataError:
        return None


def _folder_to_calibrate(model: str | Path) -> Path:
    """The folder of a model that is changed in place. Raises `ModelError`."""
    path = locate(model).path
    if not path.is_dir() or path != Path(model):
        raise ModelError(
            f"{model}: is not changed in place; say where the calibrated model goes: --out FOLDER"
        )
    return path


def select(
    data: str | Path,
    out: str | Path,
    like: str | Path,
    others: int = 0,
    judged: Literal["val", "test"] = "test",
) -> tuple[int, int]:
    """Write a data set with some classes of a larger one, such as ImageNet-5K of ImageNet-22K.

    Args:
        data: The larger set.
        out: The folder to write.
        like: A set whose classes are kept; its test images, else those of val, are the ones to evaluate on.
        others: Number of other classes, those with most images, that are kept for training.
        judged: Name of the split that the images to evaluate on are written as.

    Returns:
        The numbers of images to train on and to evaluate on.

    Raises:
        DataError: A set cannot be read or lacks a class, or `out` exists.

    >>> import resnext
    >>> resnext.select("ANIMALS", "some-animals", like="PETS", others=1)
    (60, 4)
    """
    known = read_splits_by_name(str(like)).values()
    kept = frozenset(name for images in known for name in images.classes)
    return select_classes(str(data), Path(out), Selection(kept, others, eval_split=judged), str(like))
