"""Training a network on a data set, told as a sequence of events. Reads like a method section."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict, dataclass

import torch

from resnext.arch import Architecture
from resnext.contract import Contract
from resnext.cost import Cost, count_cost
from resnext.data.batches import Plan, on_device, training_batches
from resnext.data.decode import BadPicture, DataError
from resnext.data.pictures import Splits, fingerprint
from resnext.data.scan import Scan, scan
from resnext.data.sources import read_splits
from resnext.engine import Classifier
from resnext.metrics import Scores
from resnext.models import Network, create
from resnext.recipe import Recipe, dotted_names, get_field, set_field
from resnext.results import ResultLine, stamp
from resnext.run.card import model_card
from resnext.run.choices import Choice, build_augmentation, build_contract, choose
from resnext.run.evaluate import Evaluation, evaluate_pictures
from resnext.run.events import Event, Finished, Judged, Looked, Settled, Stepped
from resnext.run.folder import RunError, RunFolder
from resnext.run.machine import Machine, default_workers, find_machine
from resnext.run.order import Order, Run
from resnext.run.tally import Epoch, Tally
from resnext.training import checkpoints
from resnext.training.loop import Diverged, State, fit, torch_precision
from resnext.weights import network_name, start_from

#: Points of the learning curve that a result line keeps.
CURVE_POINTS = 100


def train(order: Order) -> Generator[Event, None, Run]:
    """Train as ordered; the last event is `Finished`.

    Raises `DataError`, `RunError`, `ArchitectureError`, `WeightsError` or `DeviceError` before the
    first step; `Diverged`, `BadPicture` or `OSError` later, with the last checkpoint intact.
    """
    machine = find_machine(order.device)
    splits = read_splits(order.data)
    folder = _find_run(order)
    if folder is not None and (folder.path / "result.json").exists():
        _check_same_run(folder, order, splits)
        return Run(folder.path)
    if folder is None:
        folder, choices = yield from _begin(order, splits, machine)
    else:
        _check_same_run(folder, order, splits)
        choices = []

    recipe, contract = folder.recipe(), folder.contract()
    about = folder.read_json("data.json")
    splits = splits.without({name: set(map(int, bad)) for name, bad in about["skipped"].items()})
    plan = Plan(len(splits.train), recipe.batch or 1, recipe.epochs or 1, recipe.seed)
    network = _network(order, recipe, contract)
    network.to(machine.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    state = State(network, recipe.training)
    progress = _restore(state, folder, plan)
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
    batches = on_device(
        training_batches(splits.train, augmentation, plan, state.step, workers), contract, machine.device
    )
    pairs = ((batch.pictures, batch.labels) for batch in batches)
    precision = torch_precision(recipe.precision or "float32")
    tally = Tally(folder)
    try:
        for step in fit(state, pairs, recipe.training, plan.steps_per_epoch, plan.steps, precision):
            tally.add(step)
            yield Stepped(step, plan)
            if not step.ends_epoch:
                continue
            epoch = tally.finish_epoch()
            classifier = Classifier(_judged(state), contract, machine.device)
            val = evaluate_pictures(classifier, splits.val, "val", workers=workers).scores
            progress.add(epoch, val)
            is_best = progress.best_epoch == epoch.epoch
            folder.add_metrics([epoch.line(val)])
            folder.log(f"{epoch.text(plan.epochs, val)}{', best so far' if is_best else ''}")
            checkpoints.rotate(folder.last, folder.previous)
            checkpoints.save(state, folder.last, asdict(progress))
            if is_best:
                checkpoints.link(folder.last, folder.best)
            yield Judged(epoch, plan.epochs, val, is_best)
            tally = Tally(folder)
    except Diverged as error:
        kept = f" The last good state is {folder.last}." if folder.last.exists() else ""
        folder.log(f"stopped: {error}.{kept}")
        raise Diverged(f"{error}.{kept}") from None

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
    folder.log(f"finished: best epoch {progress.best_epoch}, {progress.seconds:.0f} s of training")
    yield Finished(folder.path, progress.best_epoch, evaluations, progress.seconds)
    return Run(folder.path)


# Beginning


def _find_run(order: Order) -> RunFolder | None:
    """The run to go on with, if that is asked for and there is one. Raises `RunError`."""
    if order.resume == "never":
        return None
    if order.name is None:
        raise RunError("--resume needs the --name of the run")
    folder = RunFolder(order.runs / order.name)
    if (folder.path / "data.json").exists():  # the last file that a beginning run writes
        return folder
    if order.resume == "must":
        raise RunError(f"{folder.path}: there is no run to resume")
    folder.remove_beginning()
    return None


def _check_same_run(folder: RunFolder, order: Order, splits: Splits) -> None:
    """Raises `RunError` with the differences where `order` is not the run in `folder`."""
    recipe, about = folder.recipe(), folder.read_json("data.json")
    differences = []
    for name in dotted_names():
        asked, had = get_field(order.recipe, name), get_field(recipe, name)
        if asked is not None and asked != had:
            differences.append(f"  {name}: {asked} now, {had} in the run")
    classes = folder.contract().classes
    if splits.classes != classes:
        differences.append(f"  classes: {len(splits.classes)} now, {len(classes)} in the run, or other names")
    elif fingerprint(splits) != about["fingerprint"]:
        differences.append("  data: pictures were added, removed or changed")
    if differences:
        raise RunError(
            f"{folder.path}: cannot go on with other settings or data\n"
            + "\n".join(differences)
            + "\nGive the command that it was started with, or another --name"
        )


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
    network = _network(order, recipe, contract)  # raises before a folder is made
    stem = "".join(c if c.isalnum() or c in "-_." else "-" for c in f"{splits.name}-{network.arch.name}")
    folder = RunFolder.create(order.runs, order.name, stem)
    folder.write("config.toml", recipe.to_toml())
    folder.write("contract.json", contract.dumps())
    folder.write_json("environment.json", asdict(stamp(machine.name)) | {"data": order.data})
    skipped = {
        name: {str(i): [error.key, error.reason] for i, error in errors.items()}
        for name, errors in bad.items()
    }
    folder.write_json("data.json", {"name": splits.name, "fingerprint": digest, "skipped": skipped})
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


def _network(order: Order, recipe: Recipe, contract: Contract) -> Network:
    """The network at its start: from the seed, or from weights."""
    arch = Architecture.from_name(recipe.model or "", len(contract.classes), contract.input.channels)
    if order.weights is None:
        return create(arch, recipe.seed)
    return start_from(arch, order.weights, recipe.seed, order.new_head)[0]


def _restore(state: State, folder: RunFolder, plan: Plan) -> _Progress:
    """Load the newest whole checkpoint, if there is any, and forget what was logged after it."""
    for path in (folder.last, folder.previous):
        if path.exists():
            try:
                progress = _Progress(**checkpoints.load(state, path))
            except checkpoints.CheckpointError as error:
                folder.log(f"warning: {error}; falling back to the one before")
                continue
            folder.cut_metrics(state.step)
            if progress.best_epoch * plan.steps_per_epoch == state.step:
                checkpoints.link(path, folder.best)  # the run may have died before it could
            return progress
    if folder.last.exists():
        raise RunError(f"{folder.checkpoints}: no checkpoint can be read; see {folder.path / 'log.txt'}")
    folder.cut_metrics(0)
    return _Progress()


# Along the way


@dataclass
class _Progress:
    """What a run has reached so far: part of the checkpoint."""

    best_epoch: int = 0
    best_top1_error: float = 100.0
    best_loss: float = 0.0
    seconds: float = 0.0
    pictures: int = 0

    def add(self, epoch: Epoch, val: Scores) -> None:
        """Count an epoch in. Of equal errors the lower loss is best; of equal losses the later epoch."""
        self.seconds += epoch.seconds
        self.pictures += epoch.pictures
        better = (val.top1_error, val.loss) <= (self.best_top1_error, self.best_loss)
        if self.best_epoch == 0 or better:
            self.best_epoch, self.best_top1_error, self.best_loss = epoch.epoch, val.top1_error, val.loss


def _judged(state: State) -> Network:
    network = state.judged
    assert isinstance(network, Network)
    return network


# At the end


def _result_line(
    folder: RunFolder,
    recipe: Recipe,
    evaluations: tuple[Evaluation, ...],
    progress: _Progress,
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
        stamp=stamp(device),
    )
