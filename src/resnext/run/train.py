"""Training a network on a data set, told as a sequence of events. Reads like a method section."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Generator, Iterator
from dataclasses import asdict

import torch

from resnext.cost import Cost, count_cost
from resnext.data.batches import Batch, on_device, training_batches
from resnext.data.decode import BadPicture
from resnext.data.mixing import Mixing
from resnext.data.pictures import Splits
from resnext.data.sources import read_splits
from resnext.engine import Classifier
from resnext.models import Network
from resnext.recipe import Recipe
from resnext.results import ResultLine, stamp
from resnext.run.beginning import begin, check_same_run, find_run, first_network
from resnext.run.card import model_card
from resnext.run.choices import (
    Choice,
    build_augmentation,
    build_mixing,
    build_plan,
    class_weights,
)
from resnext.run.evaluate import Evaluation, evaluate_pictures
from resnext.run.events import Event, Finished, Judged, Settled, Stepped
from resnext.run.folder import RunFolder
from resnext.run.loggers import Loggers, choose_loggers
from resnext.run.machine import Machine, default_workers, find_machine
from resnext.run.order import Order, Run
from resnext.run.saving import Every, Progress, Saver, restore
from resnext.run.stopping import Stopped, StopRequest
from resnext.run.tally import Tally, Timed
from resnext.training import checkpoints
from resnext.training.loop import State, fit, torch_precision

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
    folder = find_run(order)
    choices: list[Choice] = []
    if folder is None:
        folder, choices = yield from begin(order, splits, machine)
    else:
        check_same_run(folder, order, splits)
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
    network = first_network(recipe, contract, origin)
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
    with (
        contextlib.closing(Loggers(choose_loggers(order.log), folder, recipe, state.step)) as loggers,
        contextlib.closing(Saver(state, folder, every)) as saver,
    ):
        tally = Tally(folder, sums, batches, loggers)
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
                raise Stopped(
                    f"{stop.reason} at step {step.step} of {plan.steps}; the same command with "
                    f"--name {folder.path.name} --resume auto goes on"
                )

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
