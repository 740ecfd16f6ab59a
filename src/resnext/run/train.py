"""Training a network on a data set, told as a sequence of events. Reads like a method section."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Generator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from resnext.arch import Architecture
from resnext.contract import Contract
from resnext.cost import Cost, count_cost
from resnext.data.batches import Batch, on_device, training_batches
from resnext.data.decode import BadPicture, DataError
from resnext.data.mixing import Mixing
from resnext.data.pictures import Splits, fingerprint
from resnext.data.scan import Scan, scan
from resnext.data.sources import read_splits
from resnext.engine import Classifier
from resnext.models import Network, create
from resnext.recipe import Recipe, RecipeError, dotted_names, get_field, set_field
from resnext.results import ResultLine, stamp
from resnext.run.card import model_card
from resnext.run.choices import (
    Choice,
    build_augmentation,
    build_contract,
    build_mixing,
    build_plan,
    choose,
    class_weights,
)
from resnext.run.evaluate import Evaluation, evaluate_pictures
from resnext.run.events import Event, Finished, Judged, Looked, Settled, Stepped
from resnext.run.folder import RunError, RunFolder
from resnext.run.loggers import Loggers, choose_loggers
from resnext.run.machine import Machine, default_workers, find_machine
from resnext.run.order import Order, Run
from resnext.run.saving import Every, Progress, Saver, restore
from resnext.run.stopping import Stopped, StopRequest
from resnext.run.tally import Tally, Timed
from resnext.training import checkpoints
from resnext.training.loop import State, fit, torch_precision
from resnext.weights import WeightsError, network_name, start_from, weights_digest

#: Points of the learning curve that a result line keeps.
CURVE_POINTS = 100


def train(order: Order) -> Generator[Event, None, Run]:
    """Train as ordered; the last event is `Finished`.

    Raises `DataError`, `RunError`, `ArchitectureError`, `WeightsError`, `DeviceError` or `LoggerMissing`
    before the first step; later `Stopped` on a signal, `Diverged`, `BadPicture` or `OSError`, always with
    the last checkpoint intact. status.json says which.
    """
    every = Every.parse(order.checkpoint_every)
    choose_loggers(order.log)
    machine = find_machine(order.device)
    splits = read_splits(order.data)
    folder = _find_run(order)
    choices: list[Choice] = []
    if folder is None:
        folder, choices = yield from _begin(order, splits, machine)
    else:
        _check_same_run(folder, order, splits)
        if folder.is_finished():
            return Run(folder.path)
    with folder.lock(), StopRequest() as stop:
        try:
            folder.set_status("running")
            yield from _carry_out(order, folder, splits, machine, every, stop, choices)
        except (Stopped, GeneratorExit) as error:
            folder.set_status("resumable", str(error) or "left by its caller")
            folder.log(f"stopped: {error}")
            raise
        except BaseException as error:
            if folder.last.exists():
                error.add_note(f"The last good state is {folder.last}")
            with contextlib.suppress(OSError):  # a full disk may be the reason
                folder.set_status("failed", f"{type(error).__name__}: {error}")
                folder.log(f"failed: {error}")
            raise
    return Run(folder.path)


def _carry_out(
    order: Order,
    folder: RunFolder,
    splits: Splits,
    machine: Machine,
    every: Every,
    stop: StopRequest,
    choices: list[Choice],
) -> Generator[Event, None, None]:
    """From the run folder's recipe to its result, from wherever its checkpoints say."""
    recipe, contract = folder.recipe(), folder.contract()
    about = folder.read_json("data.json")
    splits = splits.without({name: set(map(int, bad)) for name, bad in about["skipped"].items()})
    plan = build_plan(recipe, splits.train)
    origin = None if folder.last.exists() else about["weights"]  # a checkpoint holds what came of them
    network = _network(recipe, contract, origin)
    network.to(machine.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.regularise(recipe.training.drop_path, recipe.training.dropout)
    state = State(network, recipe.training, network.parts())
    progress, sums = restore(state, folder, plan.steps_per_epoch)
    cost = count_cost(network.arch, contract.input.height_px)
    settled = Settled(
        folder=folder.path,
        recipe=recipe,
        choices=tuple(choices),
        notes=splits.notes,
        skipped=tuple(BadPicture(*bad) for name in about["skipped"].values() for bad in name.values()),
        counts={name: len(pictures) for name, pictures in splits.items()},
        classes=len(contract.classes),
        cost=cost,
        device=machine.name,
        plan=plan,
        first_step=state.step,
    )
    folder.log(settled.text())
    yield settled

    workers = order.workers
    if workers is None:
        workers = default_workers(machine, contract.input.height_px)
    augmentation = build_augmentation(recipe, contract)
    batches = Timed(
        on_device(
            training_batches(splits.train, augmentation, plan, state.step, workers), contract, machine.device
        )
    )
    pairs = _pairs(batches, build_mixing(recipe, len(contract.classes)), state.step)
    weights = class_weights(recipe, splits.train)
    on_machine = None if weights is None else torch.from_numpy(weights).to(machine.device)
    precision = torch_precision(recipe.precision or "float32")
    steps = fit(
        state,
        pairs,
        recipe.training,
        plan.steps_per_epoch,
        plan.steps,
        precision,
        class_weights=on_machine,
        seed=recipe.seed,
    )
    patience = recipe.training.patience
    with contextlib.closing(Loggers(choose_loggers(order.log), folder, recipe, state.step)) as loggers:
        tally, saver = Tally(folder, sums, batches, loggers), Saver(state, folder, every)
        for step in steps if progress.since_best < (patience or math.inf) else ():
            tally.add(step)
            yield Stepped(step, plan)
            if step.ends_epoch:
                epoch = tally.finish_epoch()
                classifier = Classifier(_judged(state), contract, machine.device)
                start = time.perf_counter()
                val = evaluate_pictures(classifier, splits.val, "val", workers=workers).scores
                progress.evaluation_s += time.perf_counter() - start
                is_best = progress.add(epoch, val)
                folder.add_metrics([epoch.line(val)])
                loggers.log(step.step, epoch.line(val))
                folder.log(f"{epoch.text(plan.epochs, val)}{', best so far' if is_best else ''}")
                saver.save(progress, tally, is_best)
                yield Judged(epoch, plan.epochs, val, is_best)
                if patience and progress.since_best >= patience:
                    folder.log(f"ending early: no better epoch than {progress.best_epoch} for {patience}")
                    break
            elif stop.reason is not None or saver.is_due():
                saver.save(progress, tally)
            if stop.reason is not None and step.step < plan.steps:
                saver.writer.wait()
                raise Stopped(
                    f"{stop.reason} at step {step.step} of {plan.steps}; the same command with "
                    f"--name {folder.path.name} --resume auto goes on"
                )
    saver.writer.wait()

    checkpoints.load(state, folder.best)
    classifier = Classifier(_judged(state), contract, machine.device)
    evaluations = tuple(
        evaluate_pictures(classifier, pictures, name, workers=workers)
        for name, pictures in splits.items()
        if name != "train"
    )
    for evaluation in evaluations:
        folder.write_predictions(
            evaluation.split, evaluation.keys, evaluation.labels, evaluation.probabilities
        )
    folder.write_model(classifier.network, contract, model_card(recipe, contract, evaluations))
    line = _result_line(folder, recipe, evaluations, progress, cost, machine.name)
    folder.write_json("result.json", line.to_json())
    folder.set_status("finished")
    finished = Finished(
        folder.path,
        progress.best_epoch,
        evaluations,
        progress.seconds,
        progress.data_s,
        saver.writer.jobs,
        saver.standstill_s,
    )
    folder.log(finished.text())
    yield finished


# Beginning


def _find_run(order: Order) -> RunFolder | None:
    """The run to go on with, if that is asked for and there is one. Raises `RunError`."""
    if order.resume == "never":
        return None
    folder = RunFolder(order.runs / (order.name or ""))
    if (folder.path / "data.json").exists():  # the last file that a beginning run writes
        return folder
    if order.resume == "must":
        raise RunError(f"{folder.path}: there is no run to resume")
    folder.remove_beginning()
    return None


def _check_same_run(folder: RunFolder, order: Order, splits: Splits) -> None:
    """Raises `RunError` with the differences where `order` is not the run in `folder`.

    More epochs than the run has are no difference: they lengthen it.
    """
    recipe, about = folder.recipe(), folder.read_json("data.json")
    longer = order.recipe.epochs is not None and order.recipe.epochs > (recipe.epochs or 0)
    differences = []
    for name in dotted_names():
        asked, had = get_field(order.recipe, name), get_field(recipe, name)
        if asked is not None and asked != had and not (name == "epochs" and longer):
            differences.append(f"  {name}: {asked} now, {had} in the run")
    classes = folder.contract().classes
    if splits.classes != classes:
        differences.append(f"  classes: {len(splits.classes)} now, {len(classes)} in the run, or other names")
    elif fingerprint(splits) != about["fingerprint"]:
        differences.append("  data: pictures were added, removed or changed")
    if order.weights is not None:
        asked, had = weights_digest(order.weights), (about["weights"] or {}).get("sha256")
        if asked != had:
            differences.append(f"  weights: {order.weights} now, {'others' if had else 'none'} in the run")
    if differences:
        raise RunError(
            f"{folder.path}: cannot go on with other settings or data\n"
            + "\n".join(differences)
            + "\nGive the command that it was started with, or another --name"
        )
    if longer:
        folder.log(f"lengthened from {recipe.epochs} to {order.recipe.epochs} epochs")
        folder.write("config.toml", set_field(recipe, "epochs", order.recipe.epochs).to_toml())
        folder.reopen()


def _begin(
    order: Order, splits: Splits, machine: Machine
) -> Generator[Looked, None, tuple[RunFolder, list[Choice]]]:
    """Look at all pictures, fill the recipe, check it, and make the run folder."""
    digest = fingerprint(splits)
    scans: dict[str, Scan] = {}
    total = sum(len(pictures) for _, pictures in splits.items())
    done = 0
    for name, pictures in splits.items():
        looking = scan(pictures)
        while name not in scans:
            try:
                yield Looked(done + next(looking), total)
            except StopIteration as end:
                scans[name] = end.value
        done += len(pictures)
    bad = {name: one.bad for name, one in scans.items()}
    if order.on_bad == "fail":
        _refuse(bad)
    splits = splits.without({name: set(errors) for name, errors in bad.items()})
    if shown := set(range(len(splits.classes))) - set(splits.train.labels.tolist()):
        raise DataError(f"train: no readable picture is left of class {splits.classes[min(shown)]!r}")
    if empty := [name for name, pictures in splits.items() if len(pictures) == 0]:
        raise DataError(f"{empty[0]}: no readable picture is left")

    recipe = order.recipe
    if order.weights is not None and recipe.model is None:
        recipe = set_field(recipe, "model", network_name(order.weights))
    recipe, choices = choose(recipe, splits, scans["train"], machine)
    if recipe.batch and recipe.batch > len(splits.train):
        raise DataError(f"batch {recipe.batch} is larger than the {len(splits.train)} training pictures")
    contract = build_contract(recipe, splits, digest, stamp(machine.name).commit)
    origin = _origin(order)
    network = _network(recipe, contract, origin)  # raises before a folder is made
    _check_start(recipe, network, origin is not None)
    stem = "".join(c if c.isalnum() or c in "-_." else "-" for c in f"{splits.name}-{network.arch.name}")
    folder = RunFolder.create(order.runs, order.name, stem)
    folder.write("config.toml", recipe.to_toml())
    folder.write("contract.json", contract.dumps())
    folder.write_json("environment.json", asdict(stamp(machine.name)) | {"data": order.data})
    skipped = {
        name: {str(i): [error.key, error.reason] for i, error in errors.items()}
        for name, errors in bad.items()
    }
    about = {
        "name": splits.name,
        "fingerprint": digest,
        "counts": {name: len(pictures) for name, pictures in splits.items()},
        "skipped": skipped,
        "weights": origin,
    }
    folder.write_json("data.json", about)
    return folder, choices


def _refuse(bad: dict[str, dict[int, BadPicture]]) -> None:
    errors = [error for split in bad.values() for error in split.values()]
    if errors:
        shown = "\n".join(f"  {error}" for error in errors[:10])
        more = f"\n  and {len(errors) - 10} more" if len(errors) > 10 else ""
        raise DataError(
            f"{len(errors)} picture{'s' * (len(errors) > 1)} cannot be read\n{shown}{more}\n"
            "Mend or remove them, or leave them out with --on-bad skip"
        )


def _check_start(recipe: Recipe, network: Network, from_weights: bool) -> None:
    """Raises `RecipeError` for settings that make no sense where the network starts."""
    training, parts = recipe.training, len(network.parts())
    if training.frozen >= parts:
        raise RecipeError(f"training.frozen: {training.frozen} leaves nothing to learn in {parts} parts")
    if from_weights and training.zero_init:
        raise RecipeError("training.zero_init: has no effect with --weights, which hold these scales")
    if not from_weights and (training.frozen or training.layer_decay < 1):
        name = "frozen" if training.frozen else "layer_decay"
        raise RecipeError(f"training.{name}: holds back parts that were never trained; give --weights")


def _origin(order: Order) -> dict[str, Any] | None:
    """The weights that the run starts from, for its records. Raises `WeightsError`."""
    if order.weights is None:
        return None
    path = order.weights.resolve()
    return {"path": str(path), "sha256": weights_digest(path), "new_head": order.new_head}


def _network(recipe: Recipe, contract: Contract, origin: dict[str, Any] | None) -> Network:
    """The network at its start: from the seed, or from weights. Raises `WeightsError`."""
    arch = Architecture.from_name(recipe.model or "", len(contract.classes), contract.input.channels)
    if origin is None:
        network = create(arch, recipe.seed)
        if recipe.training.zero_init:
            network.zero_last_scales()
        return network
    path = Path(origin["path"])
    if weights_digest(path) != origin["sha256"]:
        raise WeightsError(f"{path}: is not the file any more that this run was started from")
    return start_from(arch, contract.classes, path, recipe.seed, origin["new_head"])


def _pairs(
    batches: Iterator[Batch], mixing: Mixing | None, first_step: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Pictures and targets of each step from `first_step` on."""
    for step, batch in enumerate(batches, start=first_step):
        yield (batch.pictures, batch.labels) if mixing is None else mixing(batch.pictures, batch.labels, step)


def _judged(state: State) -> Network:
    network = state.judged
    assert isinstance(network, Network)
    return network


# At the end


def _result_line(
    folder: RunFolder,
    recipe: Recipe,
    evaluations: tuple[Evaluation, ...],
    progress: Progress,
    cost: Cost,
    device: str,
) -> ResultLine:
    about = folder.read_json("data.json")
    epochs = [record for record in folder.metrics() if "val_loss" in record]
    every = -(-len(epochs) // CURVE_POINTS)
    metrics = {
        evaluation.split: {
            "top1_error": evaluation.scores.top1_error,
            "top5_error": evaluation.scores.top5_error,
            "loss": evaluation.scores.loss,
            "count": evaluation.scores.count,
        }
        for evaluation in evaluations
    }
    return ResultLine(
        kind="train",
        seed=recipe.seed,
        recipe=asdict(recipe),
        data={"name": about["name"], "fingerprint": about["fingerprint"]},
        metrics=metrics | {"best_epoch": progress.best_epoch},
        curve=epochs[::-1][::every][::-1],  # the last epoch is always a point
        cost=asdict(cost),
        seconds=progress.seconds,
        pictures_per_s=progress.pictures / progress.seconds if progress.seconds else 0.0,
        waits={
            "data_s": progress.data_s,
            "compute_s": progress.seconds - progress.data_s,
            "evaluation_s": progress.evaluation_s,
        },
        stamp=stamp(device),
    )
