"""Resuming a run: find it, check that it is the same run, restore its newest checkpoint."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from resnext.catalogue import locate
from resnext.data.obeying import ManifestNote
from resnext.data.splits import Splits, fingerprint
from resnext.recipe import (
    Recipe,
    dotted_names,
    get_field,
    named_recipe,
    rebase,
    set_field,
    small,
    usual_recipe,
)
from resnext.recipe.options import TrainOptions
from resnext.run.checkpointing import RunProgress, broadcast_state
from resnext.run.contents import compare_contents
from resnext.run.documents import DataDocument, ResultDocument
from resnext.run.events import ScanProgress
from resnext.run.folder import RunError, RunFolder
from resnext.run.meters import MeterState
from resnext.training import checkpoints
from resnext.training.distributed import ProcessGroup
from resnext.training.loop import TrainState
from resnext.weights import weights_digest


def find_run(options: TrainOptions) -> RunFolder | None:
    """The run to resume, if that is asked for and there is one. Raises `RunError`."""
    if options.resume == "never":
        return None
    folder = RunFolder(options.runs / (options.name or ""))
    if (folder.path / "data.json").exists():
        return folder
    if options.resume == "must":
        raise RunError(
            f"{folder.path}: there is no run to resume; --resume auto starts it. Are --name and --runs right?"
        )
    folder.remove_incomplete()
    return None


def check_same_run(
    folder: RunFolder,
    recipe: Recipe,
    options: TrainOptions,
    splits: Splits,
    is_chosen: bool = False,
    manifest: ManifestNote | None = None,
) -> Generator[ScanProgress, None, None]:
    """Raises `RunError` with the differences if `recipe`, `options` and `splits` are not those of the run in
    `folder`. Yields how far images are read that may have changed.

    More epochs than the run has are allowed: they lengthen it, unless its `patience` ended it. With
    `is_chosen`, nobody asked for the recipe that `recipe` starts from. `manifest` is what one did to
    `splits`.
    """
    own = folder.recipe()
    is_longer = recipe.epochs is not None and recipe.epochs > (own.epochs or 0)
    differences = _recipe_differences(recipe, own, is_longer)
    if differences and is_chosen:  # earlier versions chose `small`, with weights too
        earlier = rebase(recipe, named_recipe(usual_recipe(options.weights)), small())
        differences = _recipe_differences(earlier, own, is_longer) and differences
    differences += yield from _data_differences(folder, options, splits, manifest)
    if differences:
        raise RunError(
            f"{folder.path}: cannot resume with other settings or data",
            *(f"  {difference}" for difference in differences),
            "Give the command that it was started with, or another --name",
        )
    if is_longer:
        _check_patience(folder, own)
        folder.log(f"lengthened from {own.epochs} to {recipe.epochs} epochs")
        folder.reopen()  # before the recipe changes: an old result would end the longer run
        folder.write("config.toml", set_field(own, "epochs", recipe.epochs).to_toml())


def _recipe_differences(recipe: Recipe, own: Recipe, is_longer: bool) -> list[str]:
    differences = []
    for name in dotted_names():
        asked, had = get_field(recipe, name), get_field(own, name)
        if asked not in (None, "auto") and asked != had and not (name == "epochs" and is_longer):
            differences.append(f"{name}: {asked} now, {had} in the run")
    return differences


def _data_differences(
    folder: RunFolder, options: TrainOptions, splits: Splits, manifest: ManifestNote | None
) -> Generator[ScanProgress, None, list[str]]:
    differences = []
    about, classes = folder.read_document("data.json", DataDocument), folder.contract().classes
    if (now := _named(manifest)) != (then := _named(about.manifest)):
        differences.append(f"manifest: {now} now, {then} in the run")
    elif splits.classes != classes:
        differences.append(f"classes: {len(splits.classes)} now, {len(classes)} in the run, or other names")
    elif fingerprint(splits) != about.fingerprint:
        differences.append("data: images were added, removed or changed")
    elif other := (yield from compare_contents(folder, about.contents, splits)):
        differences.append(other)
    if options.weights is not None:
        asked, had = weights_digest(locate(options.weights).path), about.weights and about.weights.sha256
        if asked != had:
            differences.append(f"weights: {options.weights} now, {'others' if had else 'none'} in the run")
    return differences


def _named(manifest: ManifestNote | None) -> str:
    """A manifest by its content, for people."""
    return "none" if manifest is None else f"one with the digest {manifest.digest}"


def _check_patience(folder: RunFolder, recipe: Recipe) -> None:
    """Raises `RunError` if the finished run was ended by its patience."""
    patience = recipe.training.patience
    if not patience or not folder.is_finished():
        return
    epochs = len(folder.epoch_metrics())
    best = folder.read_document("result.json", ResultDocument).metrics.best_epoch
    if epochs - best >= patience:
        raise RunError(
            f"{folder.path}: ended after epoch {epochs}, {patience} epochs after its best one, as "
            "training.patience says: a larger --epochs would change nothing. Start another run from it "
            f"with --weights {folder.path}"
        )


def restore(
    state: TrainState, folder: RunFolder | None, steps_per_epoch: int, group: ProcessGroup
) -> tuple[RunProgress, MeterState]:
    """Load the newest complete checkpoint into `state`, if there is one, on all processes of `group`.

    Metrics of later steps are dropped. Only the main process has a `folder`. Raises `RunError` if there are
    checkpoints but none is complete.
    """
    progress, meter = RunProgress(), MeterState()
    if folder is not None:
        progress, meter = _restore(state, folder, steps_per_epoch)
    extra = broadcast_state(state, group, _to_json(progress, meter))
    return _from_json(extra)


def _restore(state: TrainState, folder: RunFolder, steps_per_epoch: int) -> tuple[RunProgress, MeterState]:
    damaged = []
    for path in (folder.last, folder.previous):
        if not path.exists():
            continue
        try:
            progress, meter = _from_json(checkpoints.load_checkpoint(state, path))
        except (checkpoints.CheckpointError, ValueError) as error:
            folder.log(f"warning: {error}; falling back to the one before")
            damaged.append(str(error))
            continue
        if path == folder.previous:
            # Otherwise the next save would keep the damaged one as `previous`.
            checkpoints.hard_link(path, folder.last)
        epochs, rest = divmod(state.step, steps_per_epoch)
        is_unevaluated = rest == 0 and meter.images > 0
        folder.truncate_metrics(state.step, epochs - is_unevaluated)
        if progress.best_epoch * steps_per_epoch == state.step:
            checkpoints.hard_link(path, folder.best)  # the run may have died before it did this
        return progress, meter
    if damaged:
        raise RunError(
            "no checkpoint is complete:",
            *(f"  {problem}" for problem in damaged),
            "Start again under another --name",
        )
    folder.truncate_metrics(0, 0)
    return RunProgress(), MeterState()


def _to_json(progress: RunProgress, meter: MeterState) -> dict[str, Any]:
    return {"progress": progress.to_json(), "sums": meter.to_json()}


def _from_json(extra: dict[str, Any]) -> tuple[RunProgress, MeterState]:
    return RunProgress.from_json(extra.get("progress")), MeterState.from_json(extra.get("sums"))
