"""The start of a new run: scan the data, fill the recipe, check it, make the run folder."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from resnext.arch import Architecture
from resnext.data import jpeg
from resnext.data.contents import Contents, contents_digest, to_bytes
from resnext.data.decode import BadImage, DataError
from resnext.data.images import ImageDataset
from resnext.data.manifest import ManifestRow, manifest_bytes
from resnext.data.obeying import ManifestNote
from resnext.data.splits import Splits, fingerprint
from resnext.errors import UsageError
from resnext.machine import DeviceError, Machine
from resnext.names import printable
from resnext.recipe import Recipe, RecipeError, set_field
from resnext.recipe.options import TrainOptions
from resnext.records import stamp
from resnext.run.autoconfig import Choice, fill_recipe
from resnext.run.builders import build_contract, build_plan, check_can_be_kept, grey_range
from resnext.run.contents import CONTENTS_FILE
from resnext.run.documents import WeightsOrigin, to_json_text
from resnext.run.events import ScanProgress
from resnext.run.folder import RunFolder, name_taken_error
from resnext.run.initial_weights import (
    USUAL_WEIGHTS,
    check_weights,
    hint_at_weights,
    origin_of,
    read_weights,
    weights_choices,
    why_new_head,
)
from resnext.run.scanning import (
    QUARANTINE_FILE,
    blank_notes,
    check_budget,
    choose_grey,
    grey_notes,
    leave_out,
    quarantine_rows,
    raise_unreadable,
    scan_splits,
)
from resnext.run.status_file import status_text


@dataclass(frozen=True)
class NewRun:
    """A run folder that has just been made, the choices in its recipe, and what to warn of."""

    folder: RunFolder
    choices: tuple[Choice, ...]
    warnings: tuple[str, ...]


def create_run(
    data: str,
    recipe: Recipe,
    options: TrainOptions,
    splits: Splits,
    machine: Machine,
    processes: int,
    held: ExitStack,
    manifest: ManifestNote | None = None,
) -> Generator[ScanProgress, None, NewRun]:
    """Scan all images, fill the open fields of `recipe`, and make the run folder, which `held` keeps locked.
    `manifest` is what one did to `splits`.

    Everything that can be refused before the scan, which may take hours, is refused before it.
    """
    if options.name is not None and (options.runs / options.name).exists():
        raise name_taken_error(options.runs / options.name)
    asked_model = recipe.model
    weights = None if options.weights is None else read_weights(options.weights, recipe.model)
    if weights is not None and recipe.model is None:
        recipe = set_field(recipe, "model", weights.model)
    check_recipe(recipe, machine, processes, has_weights=weights is not None)
    if recipe.training.fits == "head":
        check_can_be_kept(splits.train)
    why = why_new_head(weights, recipe, options, splits.classes)
    new_head = bool(why)
    if has_model := recipe.model is not None:
        check_weights(weights, recipe, splits.classes, new_head)

    digest = fingerprint(splits)
    pretrained = None if weights is None else weights.contract
    asked = grey_range(recipe) or (None if pretrained is None else pretrained.grey)
    scans = yield from scan_splits(splits, asked)
    unreadable = {name: one.bad for name, one in scans.items()}
    if options.on_bad == "fail":
        raise_unreadable(unreadable)
    check_budget(unreadable, splits, options.bad_budget)
    quarantine: list[ManifestRow] = []
    if options.on_bad == "quarantine" and any(unreadable.values()):
        quarantine = quarantine_rows(splits, unreadable, options.manifest)
    splits = leave_out(splits, unreadable)
    grey = choose_grey(scans, asked)
    found = replace(scans["train"], grey=grey)
    trained_px = None if weights is None else weights.train_px
    recipe, choices = fill_recipe(recipe, splits, found, machine, processes, pretrained, trained_px)
    if weights is not None:
        choices = [*weights_choices(weights, options, why), *choices]
    if isinstance(recipe.batch, int) and recipe.batch > len(splits.train):
        raise DataError(
            f"batch: {recipe.batch} is larger than the {len(splits.train)} training images; give --batch "
            f"{len(splits.train)} or less"
        )
    check_recipe(recipe, machine, processes, has_weights=weights is not None)
    if not has_model:
        check_weights(weights, recipe, splits.classes, new_head)
    build_plan(recipe, splits.train)  # raises for a recipe that the data cannot follow
    licence = pretrained.provenance.weights_licence if pretrained else None
    contract = build_contract(recipe, splits, digest, stamp(machine.name).commit, licence)
    contents = {name: one.contents for name, one in scans.items() if one.contents is not None}
    files: dict[str, str | bytes] = {
        "config.toml": recipe.to_toml(),
        "contract.json": contract.dumps(),
        "environment.json": to_json_text(asdict(stamp(machine.name)) | {"data": data}),
        "data.json": to_json_text(
            _describe_data(splits, digest, contents, unreadable, origin_of(weights, new_head), manifest)
        ),
    }
    files["status.json"] = status_text("resumable", "has not begun to train")
    if quarantine:
        files[QUARANTINE_FILE] = manifest_bytes(quarantine, ".csv")
    if contents:
        files[CONTENTS_FILE] = to_bytes(contents)
    folder, warning = _create_folder(f"{splits.name}-{recipe.model}", files, options, held)
    lonely = lonely_note(splits.train) if recipe.training.fits == "head" else ""
    hint = hint_at_weights(data, asked_model, scans["train"]) if weights is None else ""
    told = [
        hint,
        lonely,
        warning,
        contract.provenance.licence_warning,
        *grey_notes(scans, grey),
        *blank_notes(scans),
    ]
    return NewRun(folder, tuple(choices), tuple(filter(None, told)))


def check_recipe(recipe: Recipe, machine: Machine, processes: int, has_weights: bool) -> None:
    """Refuse settings that cannot be followed here, as far as the open fields of `recipe` allow to say.

    Args:
        recipe: The recipe.
        machine: The machine that trains.
        processes: How many processes share a batch.
        has_weights: Whether training starts from weights.

    Raises:
        UsageError: A head is to be fitted, and there are no weights, or several processes.
        RecipeError: A setting makes no sense for this network, these weights or this number of processes.
        DecoderMissing: The decoder is not installed.
        DeviceError: The processes cannot synchronise batch norms on this machine.
        ArchitectureError: The model has no such name.
    """
    check_processes(recipe, machine, processes)
    if recipe.training.fits == "head" and not has_weights:
        raise UsageError(
            f"--recipe probe: fits a head on trained weights; add --weights {USUAL_WEIGHTS}, a run or a file "
            "(`resnext weights` lists names), or train from scratch with --recipe small"
        )
    if recipe.data.decoder == "fast":
        jpeg.load_decoder()
    if recipe.model is None:
        return
    arch, training = Architecture.from_name(recipe.model), recipe.training
    check_pieces(recipe, arch, processes)
    parts = len(arch.blocks) + 2  # stem, stages, head
    if training.frozen >= parts:
        raise RecipeError(
            f"training.frozen: {training.frozen} leaves nothing to learn in {parts} parts; give at most "
            f"{parts - 1}"
        )
    if arch.shortcut == "none" and (training.zero_init or training.drop_path):
        name = "zero_init" if training.zero_init else "drop_path"
        raise RecipeError(
            f"training.{name}: without a shortcut, such a block would have no output at all; leave it out, "
            "or take a network with shortcuts"
        )
    if has_weights and training.zero_init:
        raise RecipeError("training.zero_init: has no effect with --weights, which contain these scales")
    if not has_weights and (training.frozen or training.layer_decay < 1):
        name = "frozen" if training.frozen else "layer_decay"
        raise RecipeError(f"training.{name}: holds back parts that were never trained; give --weights")


def lonely_note(train: ImageDataset) -> str:
    """What to tell of classes with one training image before a head is fitted; empty without any."""
    counts = np.bincount(train.labels, minlength=len(train.classes))
    lonely = [train.classes[number] for number in np.flatnonzero(counts == 1)]
    if not lonely:
        return ""
    names = printable(", ".join(lonely[:3]) + ", ..." * (len(lonely) > 3))
    return f"classes with one training image: {names}; views of it are all they learn from"


def check_processes(recipe: Recipe, machine: Machine, processes: int) -> None:
    """Refuse settings by which a process would have nothing to do (`RecipeError`), wait for another one for
    ever (`RecipeError`), or could not synchronise batch norms (`DeviceError`)."""
    training = recipe.training
    if training.fits == "head" and processes > 1:
        raise UsageError("--recipe probe: runs as one process: start it without the launcher")
    if training.batch_norm == "synchronised" and processes > 1:
        if not machine.is_gpu:
            raise DeviceError(
                "training.batch_norm: batch norms can be synchronised on GPUs only; say own or frozen"
            )
        if isinstance(recipe.batch, int) and training.accumulate > 1 and recipe.batch % processes:
            raise RecipeError(
                "training.batch_norm: synchronised, with training.accumulate, needs a batch that "
                f"{processes} processes share evenly, not {recipe.batch}; give a multiple of {processes}"
            )
    if isinstance(recipe.batch, int) and recipe.batch < processes:
        raise RecipeError(
            f"batch: {recipe.batch} images a step leave nothing to some of the {processes} processes; "
            f"start at most {recipe.batch}, or give a larger --batch"
        )


def check_pieces(recipe: Recipe, arch: Architecture, processes: int) -> None:
    """Refuse a piece of one image where the last map is one pixel: a batch norm would have one value a
    channel, which has no variance.

    Args:
        recipe: The recipe; what is open in it is not judged.
        arch: The network.
        processes: How many processes share a batch.

    Raises:
        RecipeError: The message names the settings that make another piece or another map.
    """
    training, side_px = recipe.training, recipe.data.train_px or recipe.data.size_px
    shares_norms = training.batch_norm == "synchronised" and processes > 1
    learns_norms = (
        training.fits == "network" and training.batch_norm != "frozen" and training.frozen <= len(arch.blocks)
    )
    if not isinstance(recipe.batch, int) or side_px is None or shares_norms or not learns_norms:
        return
    batch, pieces = recipe.batch, training.accumulate
    if arch.last_map_px(side_px) != 1 or smallest_piece(batch, processes, pieces) != 1:
        return
    name = "training.accumulate" if pieces > 1 else "batch"
    among = f" among {processes} processes" if processes > 1 else ""
    raise RecipeError(
        f"{name}: a batch of {batch}{among} leaves a piece of one image, and the last map of {arch.name} is "
        f"1x1 at {side_px} px: batch norms need two values or more; give "
        + " or ".join(_larger_pieces(recipe, arch, processes, side_px))
    )


def smallest_piece(batch: int, processes: int, pieces: int) -> int:
    """Images of the smallest piece that a process computes at once.

    >>> smallest_piece(9, processes=1, pieces=5), smallest_piece(9, processes=1, pieces=3)
    (1, 3)
    """
    shares = {share for share in (batch // processes, -(-batch // processes)) if share}
    sizes = {share: -(-share // pieces) for share in shares}  # as torch.chunk divides
    return min(share % size or size for share, size in sizes.items())


def _larger_pieces(recipe: Recipe, arch: Architecture, processes: int, side_px: int) -> Iterator[str]:
    """The options that would leave no piece of one image, or a larger map: the nearest value of each."""
    batch, pieces = int(recipe.batch or 1), recipe.training.accumulate
    fewer = (n for n in range(pieces - 1, 0, -1) if smallest_piece(batch, processes, n) > 1)
    if fitting := next(fewer, None):
        yield f"--training.accumulate {fitting}"
    more = (n for n in itertools.count(batch + 1) if smallest_piece(n, processes, pieces) > 1)
    yield f"--batch {next(more)}"
    size = "train" if recipe.data.train_px not in (None, recipe.data.size_px) else "size"
    larger = next(px for px in itertools.count(side_px + 1) if arch.last_map_px(px) > 1)
    yield f"--data.{size}-px {larger}"


def _create_folder(
    title: str, files: dict[str, str | bytes], options: TrainOptions, held: ExitStack
) -> tuple[RunFolder, str]:
    """The run folder, locked, and the warning of its lock. Other processes see all of it or nothing."""
    default = "".join(c if c.isalnum() or c in "-_." else "-" for c in title)
    draft = RunFolder.draft(options.runs, files)
    try:
        warning = held.enter_context(draft.lock())
        return draft.publish(options.name, default), warning
    except BaseException:
        draft.discard()
        raise


def _describe_data(
    splits: Splits,
    digest: str,
    contents: dict[str, Contents],
    unreadable: dict[str, dict[int, BadImage]],
    origin: WeightsOrigin | None,
    manifest: ManifestNote | None,
) -> dict[str, Any]:
    """data.json."""
    return {
        "name": splits.name,
        "fingerprint": digest,
        "contents": contents_digest(contents) if contents else "",
        "counts": {name: len(images) for name, images in splits.items()},
        "train_counts": np.bincount(splits.train.labels, minlength=len(splits.classes)).tolist(),
        "skipped": {
            name: {str(i): [error.key, error.reason] for i, error in errors.items()}
            for name, errors in unreadable.items()
        },
        "weights": None if origin is None else asdict(origin),
        "manifest": None if manifest is None else asdict(manifest),
    }
