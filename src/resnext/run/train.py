"""Training a network on a data set, reported as a sequence of events."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import torch

from resnext.data.obeying import obey
from resnext.data.sources import read_splits
from resnext.data.splits import fingerprint
from resnext.machine import (
    DeviceError,
    Machine,
    find_machine,
    has_private_gpu,
    use_machine,
)
from resnext.recipe import Recipe
from resnext.recipe.options import TrainOptions
from resnext.run.autoconfig import Choice
from resnext.run.events import Event
from resnext.run.folder import Run, RunFolder
from resnext.run.head_run import HeadRun
from resnext.run.loggers import choose_loggers
from resnext.run.network_run import NetworkRun
from resnext.run.resume import check_same_run, find_run
from resnext.run.setup import check_recipe, create_run
from resnext.run.spec import RunSpec, comparable_facts
from resnext.training.distributed import ProcessGroup, init_group


def train(
    data: str,
    recipe: Recipe,
    options: TrainOptions | None = None,
    group: ProcessGroup | None = None,
    chosen: tuple[Choice, ...] = (),
) -> Generator[Event, None, Run]:
    """Train on `data` by `recipe`, yielding events; the last one is `RunFinished`.

    Processes that `torchrun` started train together: all yield the same events, the main process writes.

    Args:
        data: DATA, as on the command line.
        recipe: What to train and how; open fields are chosen.
        options: Options beside the recipe.
        group: The group of processes that train together; a new one is joined if None.
        chosen: Choices that the caller has made, for people: the recipe, where none was asked for.

    Raises:
        ResnextError: Before the first step `DataError`, `SourceMissing`, `DecoderMissing`, `RecipeError`,
            `RunError`, `ArchitectureError`, `WeightsError`, `DeviceError`, `LaunchError`, `PeersDiffer` or
            `LoggerMissing`; later `Stopped` on a signal, `PeerLost`, `PeerFailed`, `Diverged`, `BadImage`,
            `WorkerError` or `RunFolderLost`.
        OSError: A file cannot be written. The last checkpoint is always intact, and status.json has the
            reason.
    """
    began = time.perf_counter()
    options = options or TrainOptions()
    loggers = choose_loggers(options.log)
    with contextlib.ExitStack() as held:
        group = held.enter_context(init_group()) if group is None else group
        machine = _find_machine(options, group)
        splits, note = read_splits(data), None
        if options.manifest is not None:
            splits, note = obey(splits, options.manifest)
        splits = replace(splits, known_fingerprint=fingerprint(splits))
        group.check_equal(comparable_facts(recipe, options, splits, machine))
        _connect(group, machine)
        folder: RunFolder | None = None
        choices: tuple[Choice, ...] = ()
        warnings: tuple[str, ...] = ()
        is_new = False
        unbegun = held.enter_context(contextlib.ExitStack())
        if group.is_main_process:
            folder = find_run(options)
            is_new = folder is None
            if folder is None:
                new = yield from create_run(data, recipe, options, splits, machine, group.size, held, note)
                folder, choices, warnings = new.folder, (*chosen, *new.choices), new.warnings
                unbegun.callback(folder.discard)  # the same command makes it again
            else:
                warnings = tuple(filter(None, [held.enter_context(folder.lock())]))
                yield from check_same_run(folder, recipe, options, splits, bool(chosen), note)
        spec = RunSpec.from_json(group.broadcast_object(lambda: _read_spec(folder)))
        if not spec.finished:
            if not is_new:  # a resumed run may have more processes, and another host may lack a package
                check_recipe(spec.recipe, machine, group.size, has_weights=spec.origin is not None)
            splits = replace(splits, notes=(*splits.notes, *warnings))
            kind = HeadRun if spec.recipe.training.fits == "head" else NetworkRun
            run = kind(options, loggers, group, machine, splits, folder, spec, choices, began)
            unbegun.pop_all()
            yield from run.train()
        elif folder is not None:
            folder.confirm_finished()
    return Run(spec.path, group.is_main_process)


def _find_machine(options: TrainOptions, group: ProcessGroup) -> Machine:
    """The machine of this process, ready for use. Raises `DeviceError`."""
    if group.local_size > 1 and ":" in (options.device or "") and not has_private_gpu():
        raise DeviceError(
            f"--device {options.device}: {group.local_size} processes would share it; leave out its "
            "number, and each takes its own"
        )
    machine = find_machine(options.device, group.local_rank)
    use_machine(machine)
    return machine


def _connect(group: ProcessGroup, machine: Machine) -> None:
    """Let the processes communicate once: NCCL connects here, so a failure is named as one of the set-up."""
    try:
        group.all_reduce(torch.zeros(1, device=machine.device))
    except torch.distributed.DistError as error:
        reason = str(error).strip().splitlines()[-1]
        raise DeviceError(
            f"the processes cannot reach each other through {machine.device} ({reason})"
        ) from None


def _read_spec(folder: RunFolder | None) -> list[Any]:
    assert folder is not None, "only the main process reads the run folder"
    return RunSpec.read(folder).to_json()
