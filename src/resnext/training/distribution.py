"""The processes that train one network together, as `torchrun` or a scheduler started them.

`Group` is one process by itself and does nothing; `Together` is torch.distributed, with what it lacks:
who does not answer is named within a minute. Nothing here knows networks or data.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import socket
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]
from torch.nn.parallel import DistributedDataParallel

from resnext.training import pulse
from resnext.training.pulse import Patience, PeerFailed, PeerLost, Pulse, naming_the_store

T = TypeVar("T")

#: A process that lives may take so long over its part of a step: reading, compiling.
STEP_TIMEOUT = timedelta(minutes=30)
#: Ends of a process after which the run can go on.
RESUMABLE = ("PeerLost", "Stopped", "GeneratorExit", "KeyboardInterrupt")
_numbers = itertools.count()  # of the groups that this process joins, one after the other, as its peers do


class PeersDiffer(Exception):
    """The processes were not started alike; the message names what differs and where."""


class EndsAlike(Exception):
    """What all processes of a group come to at once: they can go on together with something else."""


class Group:
    """One process by itself. `leads` is true of the one process that writes and speaks."""

    rank, size, local_rank, local_size = 0, 1, 0, 1
    on_loss: Callable[[str], None] = staticmethod(lambda why: None)
    """Called with who was lost, and for how long, before this process ends itself."""

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def __enter__(self) -> Group:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def rows(self, total: int) -> range:
        """The rows of a batch of `total` that are this process's part: nearly equal runs, in order."""
        share, extra = divmod(total, self.size)
        start = self.rank * share + min(self.rank, extra)
        return range(start, start + share + (self.rank < extra))

    def compare(self, facts: dict[str, str]) -> None:
        """Raises `PeersDiffer` where `facts` differ from the leader's, `PeerLost` for who does not answer."""

    def share(self, make: Callable[[], T]) -> T:
        """What `make` gives the leader, to all, as JSON; the others do not call it and wait as long as it
        takes. Where it raises, they raise `PeerFailed` with the reason, or `PeerLost`."""
        return make()

    def receive(self, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor] | None:
        """None to the leader; to the others the tensors, in main memory, that `make` gives the leader."""
        return None

    def agree(self, *wishes: bool) -> tuple[bool, ...]:
        """Of each wish, whether any process has it."""
        return wishes

    def add(self, values: Tensor) -> Tensor:
        """The sum of all processes' `values`, which are of one shape."""
        return values

    def gather(self, value: T) -> list[T]:
        """All processes' values, by rank."""
        return [value]

    def wrap(self, network: nn.Module) -> nn.Module:
        """`network` so that a backward pass leaves the mean of all processes' gradients."""
        return network

    def holding_back(self, wrapped: nn.Module, hold: bool) -> AbstractContextManager[None]:
        """While entered and if `hold`, backward passes only add up gradients of their own."""
        return contextlib.nullcontext()

    @contextmanager
    def naming_losses(self) -> Iterator[None]:
        """Errors of the network between processes become `PeerLost` inside, or `PeerFailed` where another one
        has told that it failed."""
        yield


class Together(Group):
    """Two processes or more. Entered once in a process, by `join`."""

    def __init__(self) -> None:
        environment = os.environ
        self.rank, self.size = int(environment["RANK"]), int(environment["WORLD_SIZE"])
        self.local_rank = local_rank()
        self.local_size = int(
            environment.get("LOCAL_WORLD_SIZE", environment.get("SLURM_NTASKS_PER_NODE", 1))
        )
        self._shared, self._number = 0, next(_numbers)
        self._facts: list[dict[str, str]] = []
        self._store = self._connect()
        self._pulse = Pulse(self.rank, self.size, self._connect(), lambda who: self.on_loss(who))

    def __enter__(self) -> Together:
        self._pulse.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ends_alike = error is None or isinstance(error, EndsAlike)
        if not ends_alike:
            with contextlib.suppress(RuntimeError):
                self._store.set(f"ended/{self.rank}", f"{type(error).__name__}: {error}")
        elif dist.is_initialized():
            with self.naming_losses():
                self.agree()  # the leader's store is everybody's: nobody leaves before the others are done
        self._pulse.stop()
        if ends_alike and dist.is_initialized():
            dist.destroy_process_group()

    # Before the first step: through the store, so that who is missing can be named

    def _connect(self) -> PrefixStore:
        host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        try:
            if self.leads and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
                _serve(host, port)
            store = _open_store(host, port, is_master=False)
        except (RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise PeerLost(
                f"rank {self.rank} ({socket.gethostname()}): rank 0 at {host}:{port} cannot be reached "
                f"({reason}). Is it started, and the port open?"
            ) from None
        # What is left of an earlier group of these processes would pass for a peer's answer, or its pulse.
        return PrefixStore(
            f"resnext/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}/{self._number}", store
        )

    def compare(self, facts: dict[str, str]) -> None:
        own = {"host": socket.gethostname()} | facts
        token = self._answer(own) if self.leads else self._ask(own)
        self._store = PrefixStore(token, self._store)
        if problem := self.share(lambda: _differences(self._facts)):
            raise PeersDiffer(f"the processes were not started alike\n{problem}")
        store = PrefixStore("group", self._store)
        store.set_timeout(STEP_TIMEOUT)  # NCCL waits through it for who comes to the first step late
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
            store=store,
            rank=self.rank,
            world_size=self.size,
            timeout=STEP_TIMEOUT,
        )

    def _answer(self, own: dict[str, str]) -> str:
        """The leader's side of the roll call: hear everybody's facts, and give all one token.

        What dead processes of an earlier start left in the store is answered too, but only the living
        acknowledge; keys under the token are of this start alone.
        """
        token, self._facts = uuid.uuid4().hex, [own] + [{}] * (self.size - 1)
        missing = set(range(1, self.size))
        patience: dict[int, Patience] = {}
        while missing:
            for rank in sorted(missing):
                patience.setdefault(rank, Patience(self._store, rank)).check()
                if self._store.check([f"{token}/{rank}"]):
                    missing.remove(rank)
                elif self._store.check([f"facts/{rank}"]):
                    answered, facts = json.loads(self._store.get(f"facts/{rank}"))
                    self._facts[rank] = facts
                    self._store.set(f"answer/{rank}", json.dumps([answered, token]))
            time.sleep(pulse.POLL_S)
        return token

    def _ask(self, own: dict[str, str]) -> str:
        """The others' side: tell the facts until they are answered, and acknowledge."""
        name, answer, patience = uuid.uuid4().hex, f"answer/{self.rank}", Patience(self._store, 0)
        with naming_the_store():
            while True:
                self._store.set(f"facts/{self.rank}", json.dumps([name, own]))
                if self._store.check([answer]):
                    answered, token = json.loads(self._store.get(answer))
                    if answered == name:
                        self._store.set(f"{token}/{self.rank}", "heard")
                        return str(token)
                patience.check()
                time.sleep(pulse.POLL_S)

    def _wait(self, key: str, rank: int) -> str:
        """The value that `rank` sets, however long it takes, while it shows that it lives."""
        ended, patience = f"ended/{rank}", Patience(self._pulse.store, rank)
        with naming_the_store():
            while not self._store.check([key]):
                if self._store.check([ended]):
                    why = self._store.get(ended).decode()
                    kind = PeerLost if _is_resumable(why) else PeerFailed
                    raise kind(f"rank {rank} has ended: {why}")
                patience.check()
                time.sleep(pulse.POLL_S)
            return str(self._store.get(key).decode())

    def share(self, make: Callable[[], T]) -> T:
        self._shared += 1
        key = f"shared/{self._shared}"
        if self.leads:
            self._store.set(key, json.dumps(make()))
        value: T = json.loads(self._wait(key, 0))
        return value

    # From the first step on

    def receive(self, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor] | None:
        tensors = make() if self.leads else {}
        kinds = self.share(
            lambda: [
                (name, str(tensor.dtype).removeprefix("torch."), list(tensor.shape))
                for name, tensor in tensors.items()
            ]
        )
        if not self.leads:
            tensors = {name: torch.empty(shape, dtype=getattr(torch, kind)) for name, kind, shape in kinds}
        for tensor in tensors.values():
            dist.broadcast(tensor, 0)
        return None if self.leads else tensors

    def agree(self, *wishes: bool) -> tuple[bool, ...]:
        values = torch.tensor([*wishes, False], dtype=torch.uint8)
        dist.all_reduce(values, dist.ReduceOp.MAX)
        return tuple(bool(v) for v in values[:-1])

    def add(self, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    def gather(self, value: T) -> list[T]:
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def wrap(self, network: nn.Module) -> nn.Module:
        if not any(p.requires_grad for p in network.parameters()):
            return network
        # Statistics of batch norms are the leader's; the others get them with its checkpoints.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of the new name, which torch 2.11 lacks
            return DistributedDataParallel(network, broadcast_buffers=False, gradient_as_bucket_view=True)

    def holding_back(self, wrapped: nn.Module, hold: bool) -> AbstractContextManager[None]:
        if hold and isinstance(wrapped, DistributedDataParallel):
            return wrapped.no_sync()
        return contextlib.nullcontext()

    @contextmanager
    def naming_losses(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            text = str(error)
            if not isinstance(error, dist.DistError) and "gloo" not in text and "nccl" not in text.lower():
                raise
            time.sleep(2 * pulse.BEAT_S)  # who is silent, or has failed, shows by now
            if failure := self._failure():
                raise PeerFailed(failure) from error
            raise PeerLost(
                f"rank {self.rank}: another process has died or cannot be reached "
                f"({self._pulse.suspect or text.splitlines()[0]})"
            ) from error

    def _failure(self) -> str:
        """Who has ended with an error that the run would meet again; empty if nobody has told so."""
        with contextlib.suppress(RuntimeError):  # the store is gone with its process
            for rank in range(self.size):
                if self._store.check([f"ended/{rank}"]):
                    why = self._store.get(f"ended/{rank}").decode()
                    if not _is_resumable(why):
                        return f"rank {rank} has failed: {why}"
        return ""


def _is_resumable(why: str) -> bool:
    """Of what an ended process has told: can the run go on?"""
    return why.split(":")[0] in RESUMABLE


def _open_store(host: str, port: int, is_master: bool) -> TCPStore:
    timeout = timedelta(seconds=pulse.PATIENCE_S)
    return TCPStore(host, port, is_master=is_master, timeout=timeout, wait_for_workers=False)


@functools.cache
def _serve(host: str, port: int) -> TCPStore:
    """The store of all groups that the processes form one after the other, kept as long as this one lives."""
    return _open_store(host, port, is_master=True)


def _differences(facts: list[dict[str, str]]) -> str:
    """What is not as on rank 0, for people; empty if nothing is."""
    own = facts[0]
    return "\n".join(
        f"  {name}: {theirs.get(name)} on rank {rank} ({theirs['host']}), "
        f"{own.get(name)} on rank 0 ({own['host']})"
        for rank, theirs in enumerate(facts)
        for name in sorted(own.keys() | theirs.keys())
        if name != "host" and theirs.get(name) != own.get(name)
    )


def join() -> Group:
    """The group that this process was started in; one by itself where no launcher says otherwise."""
    return Together() if is_launched() and not dist.is_initialized() else Group()


def is_launched() -> bool:
    """Has a launcher started this process together with others?"""
    return count_processes() > 1


def count_processes() -> int:
    """How many processes a launcher has started together, this one among them."""
    return int(os.environ.get("WORLD_SIZE", 1))


def local_rank() -> int:
    """This process's number among those that were started together on its machine."""
    return int(os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", 0))) if is_launched() else 0


def leads() -> bool:
    """Is this the one that writes and speaks, of the processes that were started together?"""
    return not is_launched() or int(os.environ["RANK"]) == 0
