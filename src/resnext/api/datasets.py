"""Data sets: examine them, index them, select from them."""

from __future__ import annotations

import glob
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from resnext.api.inference import choose_workers, load
from resnext.data.class_selection import Selection, select_classes
from resnext.data.index import write_index
from resnext.data.manifest import SUFFIXES
from resnext.data.sources import read_splits, read_splits_by_name
from resnext.doctor import (
    Diagnosis,
    ExaminationProgress,
    ExaminedSet,
    FactsFile,
    load_cleanlab,
    measure_images,
    read_decisions,
    summarise,
    write_diagnosis,
)
from resnext.doctor import examine as examine_set
from resnext.engine import Classifier
from resnext.errors import UsageError
from resnext.files import naming, write_whole
from resnext.progress import EventStream, ignore, run_to_end
from resnext.recipe.options import ImageShard
from resnext.reporting import write_data_page
from resnext.run import scan_splits
from resnext.run.documents import to_json_text


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


def examine(
    data: str | Path,
    out: str | Path = "doctor.parquet",
    *,
    model: str | Path | Classifier | None = None,
    folds: int = 5,
    shard: ImageShard | str | None = None,
    device: str | None = None,
    workers: int | None = None,
    progress: Callable[[ExaminationProgress], object] | None = None,
) -> Diagnosis | None:
    """Find what is wrong with a data set, and write a manifest that training obeys, its summary and a page.

    What is measured of each image is kept beside the manifest (NAME.facts), so that a stopped examination
    goes on, and a set that grew has its new images looked at. What a person decided in an earlier manifest at
    `out` is taken over.

    Args:
        data: A folder of images, a table, or another kind of DATA.
        out: The manifest, which ends in .parquet or .csv; the summary and the page are NAME.json and
            NAME.html beside it.
        model: A classifier, or the path or name of one, whose features tell wrong labels and shifts.
        folds: Parts of train, each of which is judged by a head that is fitted on the others.
        shard: Only measure this part of the images, as `3/64`, and find nothing yet: the next examination
            without a shard takes what all shards have measured.
        device: Where the model computes; the best there is if None.
        workers: Processes that decode images for the model; as many as suit the machine if None.
        progress: Called with how far it is.

    Returns:
        What was found; None for a shard.

    Raises:
        DataError: The images cannot even be listed, or none of them can be read; or what is already at `out`
            is no manifest.
        ModelError: There is no such model, or it has no features.
        PackageMissing: There is a model, and the package that judges labels is not installed.
        UsageError: `out`, `folds` or `shard` cannot be used.

    >>> import resnext, tempfile
    >>> diagnosis = resnext.examine("digits", tempfile.mkdtemp() + "/digits.csv")
    >>> len(diagnosis.examined)
    1797
    """
    path, tell = Path(out), progress or ignore
    if path.suffix not in SUFFIXES:
        raise UsageError(f"--out {path}: must end in {' or '.join(SUFFIXES)}, as in {path.stem}.parquet")
    if folds < 2:
        raise UsageError(f"--folds {folds}: must be at least 2")
    if isinstance(shard, str):
        shard = ImageShard.parse(shard)
    with naming(path):
        decisions = [] if shard is not None else read_decisions(path)
    facts = path.with_suffix(".facts")
    if shard is None and model is not None:
        load_cleanlab()  # missing, it is told before the images are looked at
    classifier = None
    if shard is None and model is not None:
        classifier = model if isinstance(model, Classifier) else load(model, device)
        _ = classifier.network  # an exported file has no features, which is told here
    examined = ExaminedSet.read(str(data))
    with naming(path):
        if shard is not None:
            count = len(examined)
            part = (count * shard.number // shard.count, count * (shard.number + 1) // shard.count)
            run_to_end(measure_images(examined, FactsFile(shard.path(facts)), part), tell)
            return None
        file = FactsFile(facts, sorted(facts.parent.glob(f"{glob.escape(facts.stem)}-*-of-*.facts")))
        decoding = 0 if classifier is None else choose_workers(workers, classifier, len(examined))
        diagnosis = run_to_end(examine_set(examined, file, classifier, folds, decoding), tell)
        taken = write_diagnosis(diagnosis, path, decisions)
        summary = summarise(diagnosis, path, taken)
        write_whole(path.with_suffix(".json"), to_json_text(summary))
        write_data_page(diagnosis, summary, path)
    return diagnosis
