"""What trained networks do with images: evaluate, predict, explain, embed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from resnext.data.decode import BadImage
from resnext.data.image_files import FoundImages, find_image_files
from resnext.data.sources import read_split, split_notes
from resnext.data.stored_images import ImageSource
from resnext.engine import (
    Classifier,
    EmbeddingSummary,
    Explanation,
    ForeignContract,
    Prediction,
    TableSummary,
    embed_images,
    explain_images,
    find_images_to_embed,
    is_exported,
    list_image_files,
    open_model,
    predict_images,
)
from resnext.errors import UsageError
from resnext.machine import default_workers, find_machine, use_machine
from resnext.recipe import OnBad
from resnext.recipe.options import EngineName, ImageShard, Views
from resnext.run import Evaluation, evaluate_images
from resnext.run.evaluation import read_train_counts
from resnext.training.distributed import init_group

#: Up to this many images are decoded sooner than worker processes would have started.
FEW_IMAGES = 500
_IS_OPEN = "a Classifier computes where and as it is: leave out device and engine, or give its path"


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
        workers = choose_workers(workers, model, len(images), group.local_size)
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
    workers = choose_workers(workers, classifier, len(images))
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
    workers = choose_workers(workers, classifier, len(images))
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
    workers = choose_workers(workers, classifier, len(images))
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
    workers = choose_workers(workers, classifier, len(found))
    return embed_images(classifier, found, path, resume, on_bad, workers, progress)


def choose_workers(asked: int | None, classifier: Classifier, images: int, processes: int = 1) -> int:
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
