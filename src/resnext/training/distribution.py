"""The processes that train one network together, as `torchrun` or a scheduler started them.

`Group` is one process by itself and does nothing; `Together` is torch.distributed, with what it lacks:
who does not answer is named within a minute. Nothing here knows networks or data.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from resnext.training import launcher, pulse
from resnext.training.meeting import Meeting
from resnext.training.pulse import PeerFailed, PeerLost

T = TypeVar("T")

#: A process that lives may take so long over its part of a step: reading, compiling.
STEP_TIMEOUT = timedelta(minutes=30)


class EndsAlike(Exception):
    """What all processes of a group come to at once: they can go on together with something else."""


class Group:
    """One process by itself. `leads` is true of the one process that writes and speaks."""

    rank, size, local_rank, local_size = 0, 1, 0, 1
    on_loss: Callable[[str, bool], None] = staticmethod(lambda why, resumable: None)
    """Called with who was lost, and why, and whether the run can go on, before this process ends itself."""

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
    """Two processes or more. Each is entered once; a process may join one after the other."""

    def __init__(self) -> None:
        self.rank, self.size = launcher.rank(), launcher.count_processes()
        self.local_rank, self.local_size = launcher.local_rank(), launcher.local_size()
        self._meeting = Meeting(self.rank, self.size, lambda *lost: self.on_loss(*lost))

    def __enter__(self) -> Together:
        self._meeting.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ends_alike = error is None or isinstance(error, EndsAlike)
        if error is not None and not ends_alike:
            self._meeting.tell_end(error)
        elif dist.is_initialized():
            with self.naming_losses():
                self.agree()  # the leader's store is everybody's: nobody leaves before the others are done
        self._meeting.end()
        if ends_alike and dist.is_initialized():
            dist.destroy_process_group()

    def compare(self, facts: dict[str, str]) -> None:
        self._meeting.compare(facts)
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
            store=self._meeting.store(STEP_TIMEOUT),  # NCCL waits through it for who comes to a step late
            rank=self.rank,
            world_size=self.size,
            timeout=STEP_TIMEOUT,
        )

    def share(self, make: Callable[[], T]) -> T:
        return self._meeting.share(make)

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
            if failure := self._meeting.find_failure():
                raise PeerFailed(failure) from error
            raise PeerLost(
                f"rank {self.rank}: another process has died or cannot be reached "
                f"({self._meeting.suspect or text.splitlines()[0]})"
            ) from error


def join() -> Group:
    """The group that this process was started in; one by itself where no launcher says otherwise.

    Raises `LaunchError` where it cannot be joined, and `PeerLost` where its store cannot be reached.
    """
    if not launcher.is_launched():
        return Group()
    if dist.is_initialized():
        raise launcher.LaunchError(
            "this process has joined others through torch.distributed already: by its own program, or in an "
            "earlier call that failed. Start another one for this"
        )
    return Together()
