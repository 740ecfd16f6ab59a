"""Training a network on a data set, told as a sequence of events. Reads like a method section."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import nn

from resnext.data.batches import Batch, Part, on_device, training_batches
from resnext.data.decode import BadPicture
from resnext.data.mixing import Mixing
from resnext.data.pictures import Kept, Splits, fingerprint
from resnext.data.resident import Cuts, Resident
from resnext.data.sources import read_splits
from resnext.machine import (
    DeviceError,
    Machine,
    default_workers,
    find_machine,
    room_for_pictures,
    room_on_device,
    sees_its_own_gpu,
    take_machine,
)
from resnext.run.beginning import (
    Terms,
    begin,
    check_decoder,
    check_processes,
    check_same_run,
    facts,
    find_run,
    first_network,
)
from resnext.run.choices import (
    KEPT_UP_TO_PX,
    Choice,
    build_augmentation,
    build_mixing,
    build_plan,
    class_weights,
)
from resnext.run.events import Decoded, Event, Judged, Settled, Stepped
from resnext.run.folder import Onlooker, RunFolder
from resnext.run.judging import Judge
from resnext.run.loggers import Loggers, choose_loggers
from resnext.run.order import Order, Run
from resnext.run.saving import Every, Progress, Saver, restore
from resnext.run.stopping import Stopped, StopRequest
from resnext.run.tally import Supply, Tally
from resnext.training.compiling import compile_network
from resnext.training.distribution import Group, join
from resnext.training.loop import State, Step, fit, torch_precision
from resnext.training.pulse import PeerLost


def train(order: Order) -> Generator[Event, None, Run]:
    """Train as ordered; the last event is `Finished`.

    Processes that `torchrun` started train together: all tell the same events, the first one writes.

    Raises `DataError`, `SourceMissing`, `DecoderMissing`, `RecipeError`, `RunError`, `ArchitectureError`,
    `WeightsError`, `DeviceError`, `LaunchError`, `PeersDiffer` or `LoggerMissing` before the first step;
    later `Stopped` on a signal, `PeerLost`, `PeerFailed`, `Diverged`, `BadPicture` or `OSError`, always with
    the last checkpoint intact. status.json says which.
    """
    Every.parse(order.checkpoint_every)
    choose_loggers(order.log)
    with join() as group, contextlib.ExitStack() as held:
        if group.local_size > 1 and ":" in (order.device or "") and not sees_its_own_gpu():
            raise DeviceError(
                f"--device {order.device}: {group.local_size} processes would share it; leave out its "
                "number, and each takes its own"
            )
        machine = find_machine(order.device, group.local_rank)
        take_machine(machine)
        splits = read_splits(order.data)
        splits = replace(splits, digest=fingerprint(splits))
        group.compare(facts(order, splits, machine))
        try:
            group.add(torch.zeros(1, device=machine.device))  # NCCL connects: here its errors are no losses
        except torch.distributed.DistError as error:
            reason = str(error).strip().splitlines()[-1]
            raise DeviceError(
                f"the processes do not reach each other through {machine.device} ({reason})"
            ) from None
        folder: RunFolder = Onlooker(order.runs)
        choices: list[Choice] = []
        if group.leads:
            found = find_run(order)
            folder, choices = (found, []) if found else (yield from begin(order, splits, machine, group.size))
            held.enter_context(folder.lock())
            if found is not None:
                check_same_run(found, order, splits)
        terms = Terms.loads(group.share(lambda: Terms.read(folder).dumps()))
        if terms.finished and group.leads:
            folder.confirm_finished()
        if not terms.finished:
            yield from _Training(order, group, machine, splits, folder, terms, tuple(choices)).attend()
    return Run(terms.path, group.leads)


@dataclass
class _Training:
    """One process's part in carrying a run out, from wherever its checkpoints say to its result."""

    order: Order
    group: Group
    machine: Machine
    splits: Splits
    folder: RunFolder
    terms: Terms
    choices: tuple[Choice, ...]

    def __post_init__(self) -> None:
        self.recipe, self.contract = self.terms.recipe, self.terms.contract
        self.saver: Saver | None = None
        # A run may go on with more processes than it began with, or where less is installed.
        check_processes(self.recipe, self.machine, self.group.size)
        check_decoder(self.recipe)
        self.splits = self.splits.without(self.terms.skipped)
        self.plan = build_plan(self.recipe, self.splits.train)
        side_px, asked = self.contract.input.height_px, self.order.workers
        usual = default_workers(self.machine.device, side_px, self.group.local_size)
        self.workers = usual if asked is None else asked
        if side_px <= KEPT_UP_TO_PX:
            room = room_for_pictures(self.group.local_size * max(1, self.workers)) // 2
            self.splits = replace(self.splits, val=Kept(self.splits.val, room))
        self.judge = Judge(self.group, self.machine, self.splits, self.folder, self.terms, self.workers)

    def attend(self) -> Generator[Event, None, None]:
        """Train while status.json says at every moment how the run stands."""
        folder = self.folder
        with StopRequest() as stop:
            self.group.on_loss = self._on_loss
            try:
                folder.set_status("running")
                with self.group.naming_losses():
                    yield from self._carry_out(stop)
            except (Stopped, PeerLost, GeneratorExit) as error:
                if folder.is_finished():  # and only its last event was not heard to the end
                    raise
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

    def _on_loss(self, why: str, resumable: bool) -> None:
        if self.saver is not None:
            self.saver.finish_writing()
        if not self.folder.is_finished():
            self.folder.set_status("resumable" if resumable else "failed", why)

    def _carry_out(self, stop: StopRequest) -> Generator[Event, None, None]:
        folder, group, plan = self.folder, self.group, self.plan
        state = self._state()
        progress, sums = restore(state, folder, plan.steps_per_epoch, group)
        forward, note = self._compile(state)
        settled = self._settled(state, note)
        folder.log(settled.text())
        yield settled

        to_device = partial(on_device, contract=self.contract, device=self.machine.device)
        resident = self._resident()
        supply = Supply(self._batches(resident, state.step), to_device)
        names = choose_loggers(self.order.log) if group.leads else ()
        every = Every.parse(self.order.checkpoint_every)
        with (
            contextlib.closing(Loggers(names, folder, self.recipe, state.step)) as loggers,
            contextlib.closing(Saver(state, folder, every, group.leads)) as saver,
        ):
            self.saver = saver
            tally = Tally(folder, sums, supply, loggers, group)
            judging = partial(self._end_epoch, state, progress, tally, loggers, saver, stop)
            if sums.pictures and state.step % plan.steps_per_epoch == 0:
                yield from judging()  # the run was stopped before it
            patience = self.recipe.training.patience or math.inf
            ended = state.step == plan.steps or progress.since_best >= patience
            if resident is not None and not ended:
                for done in supply.prepared(resident.read()):
                    yield Decoded(done, len(self.splits.train), supply.data_s)
                    if stop.reason is not None and group.size == 1:
                        raise self._stopped(stop, state)
            for step in () if ended else self._steps(state, supply, forward):
                tally.add(step)
                yield Stepped(step, plan, supply.data_s, supply.transfer_s)
                stopping, due = group.agree(stop.reason is not None, saver.is_due())
                if stopping:
                    saver.save(progress, tally)
                    raise self._stopped(stop, state)
                if step.ends_epoch:
                    yield from judging()
                    if progress.since_best >= patience:
                        folder.log(f"ending early: no better epoch than {progress.best_epoch} for {patience}")
                        break
                elif due:
                    saver.save(progress, tally)
        yield self.judge.finish(state, progress, saver)

    def _end_epoch(
        self,
        state: State,
        progress: Progress,
        tally: Tally,
        loggers: Loggers,
        saver: Saver,
        stop: StopRequest,
    ) -> Generator[Event, None, None]:
        """Judge the network after an epoch, and save.

        A process alone looks up for a request to stop meanwhile; an epoch that was not judged is when the run
        goes on.
        """
        plan, folder = self.plan, self.folder

        def look_up(*_: int) -> None:
            if stop.reason is not None and self.group.size == 1:
                raise self._stopped(stop, state)

        tally.flush()
        start = time.perf_counter()
        try:
            val = self.judge.evaluate(state, "val", self.splits.val, look_up).scores
        except Stopped:
            tally.resume_clock()
            saver.save(progress, tally)
            raise
        progress.evaluation_s += time.perf_counter() - start
        tally.resume_clock()
        epoch = tally.finish_epoch(state.step, plan.steps_per_epoch)
        balanced = self.recipe.data.balance != "none"
        is_best = progress.add(epoch, val.balanced_error if balanced else val.top1_error, val.loss)
        folder.add_metrics([epoch.line(val)])
        loggers.log(state.step, epoch.line(val))
        folder.log(f"{epoch.text(plan.epochs, val)}{', best so far' if is_best else ''}")
        saver.save(progress, tally, is_best)
        yield Judged(epoch, plan.epochs, val, is_best)

    def _stopped(self, stop: StopRequest, state: State) -> Stopped:
        return Stopped(
            f"{stop.reason or 'another process'} at step {state.step} of {self.plan.steps}; "
            f"the same command with --name {self.terms.path.name} --resume auto goes on"
        )

    def _state(self) -> State:
        """The run as it was before its first step."""
        fresh = self.group.leads and not self.folder.last.exists()  # a checkpoint holds what came of weights
        network = first_network(self.recipe, self.contract, self.terms.origin if fresh else None)
        network.to(self.machine.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        network.regularise(self.recipe.training.drop_path, self.recipe.training.dropout)
        if self.recipe.training.batch_norm == "synchronised" and self.group.size > 1:
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return State(network, self.recipe.training, network.parts())

    def _compile(self, state: State) -> tuple[nn.Module, tuple[str, ...]]:
        """The network as it is executed, and a line for people where that is not as asked."""
        training, plan = self.recipe.training, self.plan
        if training.compile == "off":
            return state.network, ()
        side = self.recipe.data.train_px or self.contract.input.height_px
        count = -(-len(self.group.rows(plan.batch)) // training.accumulate)
        pictures = torch.zeros(count, self.contract.input.channels, side, side, device=self.machine.device)
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        state.train_mode()
        precision = torch_precision(self.recipe.precision or "float32")
        forward, why = compile_network(state.network, pictures, training.compile, precision)
        return forward, () if why is None else (f"training.compile: eager instead ({why})",)

    def _settled(self, state: State, notes: tuple[str, ...]) -> Settled:
        return Settled(
            folder=self.terms.path,
            recipe=self.recipe,
            choices=self.choices,
            notes=self._notes() + notes,
            skipped=tuple(BadPicture(*bad) for bad in self.terms.bad),
            counts={name: len(pictures) for name, pictures in self.splits.items()},
            classes=len(self.contract.classes),
            cost=self.judge.cost(),
            device=self.judge.device(),
            plan=self.plan,
            first_step=state.step,
        )

    def _notes(self) -> tuple[str, ...]:
        if self.recipe.training.batch_norm == "synchronised" and self.group.size == 1:
            return (*self.splits.notes, "training.batch_norm: one process has nothing to synchronise with")
        return tuple(self.splits.notes)

    def _resident(self) -> Resident | None:
        """The training pictures, where they are small and few enough to live on the device."""
        train = self.splits.train
        cuts = Cuts.of(build_augmentation(self.recipe, self.contract))
        if cuts is None or train.window is not None or self.contract.input.height_px > KEPT_UP_TO_PX:
            return None
        room = room_on_device(self.machine, self.group.local_size) // 2
        return Resident(train, cuts, self.machine.device) if cuts.bytes(len(train)) <= room else None

    def _batches(self, resident: Resident | None, first_step: int) -> Iterator[Batch]:
        """This process's part of each batch from `first_step` on."""
        mixes = build_mixing(self.recipe, len(self.contract.classes)) is not None
        part = Part()
        if self.group.size > 1:
            part = Part(self.group.rows(self.plan.batch), before=mixes)
        if resident is not None:
            return resident.batches(self.plan, first_step, part)
        augmentation = build_augmentation(self.recipe, self.contract)
        train = self.splits.train
        kept = self.contract.input.height_px <= KEPT_UP_TO_PX and self.recipe.data.decoder != "fast"
        if kept and train.window is None:
            train = Kept(train, room_for_pictures(self.group.local_size * max(1, self.workers)) // 2)
        pin = self.machine.device.type == "cuda"
        return training_batches(train, augmentation, self.plan, first_step, self.workers, part, pin)

    def _steps(self, state: State, batches: Iterator[Batch], forward: nn.Module) -> Iterator[Step]:
        mixing = build_mixing(self.recipe, len(self.contract.classes))
        weights = class_weights(self.recipe, self.splits.train)
        return fit(
            state,
            _pairs(batches, mixing, state.step, extra=self.group.size > 1),
            self.recipe.training,
            self.plan.steps_per_epoch,
            self.plan.steps,
            torch_precision(self.recipe.precision or "float32"),
            class_weights=None if weights is None else torch.from_numpy(weights).to(self.machine.device),
            seed=self.recipe.seed,
            group=self.group,
            batch=self.plan.batch,
            forward=forward,
        )


def _pairs(
    batches: Iterator[Batch], mixing: Mixing | None, first_step: int, extra: bool
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Pictures and targets of each step from `first_step` on. With `extra`, mixed parts come with the row
    before them, which is left out then."""
    for step, batch in enumerate(batches, start=first_step):
        if mixing is None:
            yield batch.pictures, batch.labels
            continue
        pictures, targets = mixing(batch.pictures, batch.labels, step)
        yield (pictures[1:], targets[1:]) if extra else (pictures, targets)
