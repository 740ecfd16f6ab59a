"""Models as files of other programs, and what their answers promise."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from resnext.api.inference import FEW_IMAGES
from resnext.catalogue import EXPORTS, locate
from resnext.confidence import COVERAGE, FALSE_ALARMS, check_coverage, check_false_alarms
from resnext.contract import Contract
from resnext.data.decode import DataError
from resnext.data.image_files import find_image_files
from resnext.data.images import ImageDataset
from resnext.data.sources import read_split
from resnext.engine import CalibrationFit, Calibrator, ModelError, Output, Takes, open_network
from resnext.errors import ResnextWarning, UsageError
from resnext.export import (
    FORMATS,
    MAX_DROP,
    MIN_SPEED,
    QUANTIZERS,
    TARGETS,
    TUNED,
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
from resnext.machine import default_workers, find_machine
from resnext.run.folder import RunFolder
from resnext.weights import replace_contract, weights_digest, write_hub_folder


def export_model(
    model: str | Path,
    to: str = "onnx",
    *,
    out: str | Path | None = None,
    outputs: Sequence[Output] = ("probabilities",),
    takes: Takes = "pixels",
    images: Sequence[str | Path] | None = None,
    packing: Mapping[str, int] | None = None,
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
        packing: How many times as wide the groups of convolutions become, by their names (not for hub),
            as `tune` found; as they are if None.
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
    if packing and to not in TUNED:
        raise ModelError(f"--to {to}: groups are packed for {', '.join(TUNED)} alone")
    network, contract = open_network(model)
    path = locate(model).path
    judges = Judges.of_run(path, contract) if images is None else Judges.given(images)
    folder = Path(out) if out is not None else (path if (path / "model").is_dir() else Path()) / EXPORTS
    digest, name = weights_digest(path), _model_name(model)
    source = Source(name, network, contract, digest, tuple(outputs), takes, packing or {})
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
    packing: Mapping[str, int] | None = None,
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
        packing: How many times as wide the groups of convolutions become, by their names, as `tune` found; as
            they are if None.
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
    digest, name = weights_digest(path), _model_name(model)
    source = Source(name, network, contract, digest, tuple(outputs), packing=packing or {})
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


def calibrate(
    model: str | Path,
    data: str | Path,
    *,
    split: str = "val",
    outliers: Sequence[str | Path] | str | Path | None = None,
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
            "none of these" is chosen. If None, it is the one that was chosen before, or the largest
            probability.
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
    check_coverage(coverage)
    check_false_alarms(false_alarms)
    if isinstance(outliers, (str, Path)):
        outliers = [outliers]
    if workers is not None and workers < 0:
        raise UsageError(f"workers {workers}: must be at least 0")
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
        with run.lock() as problem:
            if problem:
                warnings.warn(problem, ResnextWarning, stacklevel=2)
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
