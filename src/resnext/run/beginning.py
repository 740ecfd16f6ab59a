"""How a run begins: found again and compared, or made from the data, the recipe and the machine."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from resnext.arch import Architecture
from resnext.contract import Contract
from resnext.data import fast
from resnext.data.decode import BadPicture, DataError
from resnext.data.pictures import Scan, Splits, fingerprint
from resnext.data.scan import scan
from resnext.machine import DeviceError, Machine, count_cores
from resnext.models import Network, create
from resnext.recipe import Recipe, RecipeError, dotted_names, get_field, set_field
from resnext.results import stamp
from resnext.run.choices import Choice, build_contract, build_plan, choose
from resnext.run.events import Looked
from resnext.run.folder import RunError, RunFolder, taken
from resnext.run.order import Order
from resnext.weights import WeightsError, network_name, start_from, weights_contract, weights_digest


@dataclass(frozen=True)
class Terms:
    """What all processes of a run go by: read from its folder by the one that leads, told to the others."""

    path: Path
    finished: bool
    recipe: Recipe
    contract: Contract
    about: dict[str, Any]

    @classmethod
    def read(cls, folder: RunFolder) -> Terms:
        """Raises `RunError`."""
        about = folder.read_json("data.json")
        return cls(folder.path, folder.is_finished(), folder.recipe(), folder.contract(), about)

    def dumps(self) -> list[Any]:
        """As JSON; `loads` is the inverse."""
        return [str(self.path), self.finished, self.recipe.to_toml(), self.contract.dumps(), self.about]

    @classmethod
    def loads(cls, value: list[Any]) -> Terms:
        path, finished, recipe, contract, about = value
        return cls(Path(path), finished, Recipe.from_toml(recipe), Contract.loads(contract), about)

    @property
    def origin(self) -> dict[str, Any] | None:
        """The weights that the run started from."""
        origin: dict[str, Any] | None = self.about["weights"]
        return origin

    @property
    def skipped(self) -> dict[str, set[int]]:
        """Places of the pictures that are left out, by split."""
        return {name: set(map(int, bad)) for name, bad in self.about["skipped"].items()}

    @property
    def bad(self) -> list[tuple[str, str]]:
        """Their keys, and why."""
        return [(key, why) for bad in self.about["skipped"].values() for key, why in bad.values()]


def facts(order: Order, splits: Splits, machine: Machine) -> dict[str, str]:
    """What must be alike on all processes that train together."""
    made = stamp("")
    return {
        "commit": f"{made.commit}{', changed' if made.dirty else ''}",
        "data": fingerprint(splits),
        "device": machine.device.type,
        "recipe": order.recipe.to_toml(),
        "run": f"{order.name}, --resume {order.resume}, --checkpoint-every {order.checkpoint_every}",
    } | made.versions


def find_run(order: Order) -> RunFolder | None:
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


def check_same_run(folder: RunFolder, order: Order, splits: Splits) -> None:
    """Raises `RunError` with the differences where `order` is not the run in `folder`.

    More epochs than the run has are no difference: they lengthen it, unless its patience was at an end.
    """
    recipe, about = folder.recipe(), folder.read_json("data.json")
    longer = order.recipe.epochs is not None and order.recipe.epochs > (recipe.epochs or 0)
    differences = []
    for name in dotted_names():
        asked, had = get_field(order.recipe, name), get_field(recipe, name)
        if asked not in (None, "auto") and asked != had and not (name == "epochs" and longer):
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
    if longer and folder.is_finished() and (patience := recipe.training.patience):
        epochs = sum("val_loss" in record for record in folder.metrics())
        best = folder.read_json("result.json")["metrics"]["best_epoch"]
        if epochs - best >= patience:
            raise RunError(
                f"{folder.path}: ended after epoch {epochs}, {patience} epochs after its best one, as "
                "training.patience says: a larger --epochs would change nothing. Start another run from it "
                f"with --weights {folder.path}"
            )
    if longer:
        folder.log(f"lengthened from {recipe.epochs} to {order.recipe.epochs} epochs")
        folder.reopen()  # first: a result that is not of its recipe would count as the end
        folder.write("config.toml", set_field(recipe, "epochs", order.recipe.epochs).to_toml())


def check_order(order: Order, splits: Splits, machine: Machine, processes: int) -> None:
    """Raises what `begin` would, as far as that can be known before all pictures have been looked at."""
    if order.name is not None and (order.runs / order.name).exists():
        raise taken(order.runs / order.name)
    recipe = order.recipe
    check_processes(recipe, machine, processes)
    check_decoder(recipe)
    model = recipe.model
    if model is None and order.weights is not None:
        model = network_name(order.weights)
    if model is None:
        return
    arch = Architecture.from_name(model, len(splits.classes))
    if order.weights is None:
        with torch.device("meta"):
            network = Network(arch)
    else:
        network = start_from(arch, splits.classes, order.weights, recipe.seed, order.new_head)
    _check_start(recipe, network, order.weights is not None)


def check_decoder(recipe: Recipe) -> None:
    """Raises `DecoderMissing` where the recipe wants one that is not installed."""
    if recipe.data.decoder == "fast":
        fast.load_decoder()


def look(splits: Splits) -> Generator[Looked, None, dict[str, Scan]]:
    """Look at all pictures; what was found in each split."""
    scans: dict[str, Scan] = {}
    total = sum(len(pictures) for _, pictures in splits.items())
    done = 0
    for name, pictures in splits.items():
        looking = scan(pictures, count_cores())
        while name not in scans:
            try:
                yield Looked(done + next(looking), total)
            except StopIteration as end:
                scans[name] = end.value
        done += len(pictures)
    return scans


def begin(
    order: Order, splits: Splits, machine: Machine, processes: int
) -> Generator[Looked, None, tuple[RunFolder, list[Choice]]]:
    """Look at all pictures, fill the recipe, check it, and make the run folder."""
    check_order(order, splits, machine, processes)
    digest = fingerprint(splits)
    scans = yield from look(splits)
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
    start = None if order.weights is None else weights_contract(order.weights)
    recipe, choices = choose(recipe, splits, scans["train"], machine, processes, start)
    if isinstance(recipe.batch, int) and recipe.batch > len(splits.train):
        raise DataError(
            f"batch: {recipe.batch} is larger than the {len(splits.train)} training pictures; give --batch "
            f"{len(splits.train)} or less"
        )
    check_processes(recipe, machine, processes)
    build_plan(recipe, splits.train)  # raises before a folder is made
    contract = build_contract(recipe, splits, digest, stamp(machine.name).commit)
    origin = _origin(order)
    network = first_network(recipe, contract, origin)  # so does this
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
    if network.arch.shortcut == "none" and (training.zero_init or training.drop_path):
        name = "zero_init" if training.zero_init else "drop_path"
        raise RecipeError(f"training.{name}: a block without a shortcut would put out nothing at all")
    if from_weights and training.zero_init:
        raise RecipeError("training.zero_init: has no effect with --weights, which hold these scales")
    if not from_weights and (training.frozen or training.layer_decay < 1):
        name = "frozen" if training.frozen else "layer_decay"
        raise RecipeError(f"training.{name}: holds back parts that were never trained; give --weights")


def check_processes(recipe: Recipe, machine: Machine, processes: int) -> None:
    """Raises `RecipeError` where a process would have nothing to do, or wait for another for ever, and
    `DeviceError` where they cannot synchronise."""
    training = recipe.training
    if training.batch_norm == "synchronised" and processes > 1:
        if not machine.is_gpu:
            raise DeviceError(
                "training.batch_norm: batch norms can be synchronised on GPUs only; say own or frozen"
            )
        if isinstance(recipe.batch, int) and training.accumulate > 1 and recipe.batch % processes:
            raise RecipeError(
                "training.batch_norm: synchronised, with training.accumulate, needs a batch that "
                f"{processes} processes share evenly, not {recipe.batch}"
            )
    if isinstance(recipe.batch, int) and recipe.batch < processes:
        raise RecipeError(
            f"batch: {recipe.batch} pictures a step leave nothing to some of the {processes} processes; "
            f"start at most {recipe.batch}, or give a larger --batch"
        )


def _origin(order: Order) -> dict[str, Any] | None:
    """The weights that the run starts from, for its records. Raises `WeightsError`."""
    if order.weights is None:
        return None
    path = order.weights.resolve()
    return {"path": str(path), "sha256": weights_digest(path), "new_head": order.new_head}


def first_network(recipe: Recipe, contract: Contract, origin: dict[str, Any] | None) -> Network:
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
