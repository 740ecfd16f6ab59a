"""The processes that train one network together, as `torchrun` or a scheduler started them.

`ProcessGroup` is a single process. `DistributedGroup` is torch.distributed, plus what it lacks: a process
that does not answer is named within a minute. Nothing here knows networks or data.
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

from resnext.errors import ResnextError
from resnext.training import heartbeat, launcher
from resnext.training.heartbeat import OnPeerLost, PeerFailed, PeerLost
from resnext.training.rendezvous import Rendezvous

T = TypeVar("T")

#: How long a living process may take over its part of a step: reading images, compiling.
STEP_TIMEOUT = timedelta(minutes=30)


class CollectiveError(ResnextError):
    """An error that all processes of a group raise at the same point, so that they can go on together."""


def ignore_peer_lost(why: str, resumable: bool) -> None:
    """The `on_peer_lost` of a group that no run belongs to."""


class ProcessGroup:
    """A single process. `on_peer_lost` is called before this process ends because another one was lost."""

    rank, size, local_rank, local_size = 0, 1, 0, 1
    on_peer_lost: OnPeerLost = staticmethod(ignore_peer_lost)

    @property
    def is_main_process(self) -> bool:
        """Whether this is rank 0, the process that writes files and prints."""
        return self.rank == 0

    def __enter__(self) -> ProcessGroup:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def shard(self, total: int) -> range:
        """The rows of a batch of `total` that this process computes: contiguous, nearly equal shares by
        rank."""
        share, extra = divmod(total, self.size)
        start = self.rank * share + min(self.rank, extra)
        return range(start, start + share + (self.rank < extra))

    def check_equal(self, facts: dict[str, str]) -> None:
        """Raises `PeersDiffer` if `facts` differ between processes, `PeerLost` if one does not answer."""

    def broadcast_object(self, make: Callable[[], T]) -> T:
        """The result of `make` on rank 0, for all processes, as JSON.

        The others do not call `make`, and wait as long as it takes. Raises `PeerFailed` there if it raises,
        and `PeerLost` if rank 0 is lost.
        """
        return make()

    def broadcast_tensors(self, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor] | None:
        """None on rank 0; elsewhere the tensors, in main memory, that `make` returns on rank 0."""
        return None

    def any_rank(self, *flags: bool) -> tuple[bool, ...]:
        """For each flag, whether it is set on any process."""
        return flags

    def all_reduce(self, values: Tensor) -> Tensor:
        """The sum of `values`, which have one shape, over all processes."""
        return values

    def all_gather(self, value: T) -> list[T]:
        """The values of all processes, by rank."""
        return [value]

    def wrap(self, network: nn.Module) -> nn.Module:
        """`network`, such that a backward pass leaves the mean of the gradients of all processes."""
        return network

    def no_sync(self, wrapped: nn.Module, hold: bool) -> AbstractContextManager[None]:
        """A context in which, if `hold`, backward passes accumulate the gradients of this process only."""
        return contextlib.nullcontext()

    @contextmanager
    def name_failed_peers(self) -> Iterator[None]:
        """A context that turns communication errors into `PeerLost`, or into `PeerFailed` if another process
        has left the message that it failed."""
        yield


class DistributedGroup(ProcessGroup):
    """Two processes or more. A group is entered once; after it, its processes may join another group."""

    def __init__(self) -> None:
        self.rank, self.size = launcher.rank(), launcher.world_size()
        self.local_rank, self.local_size = launcher.local_rank(), launcher.local_size()
        self._rendezvous = Rendezvous(self.rank, self.size, lambda *lost: self.on_peer_lost(*lost))

    def __enter__(self) -> DistributedGroup:
        self._rendezvous.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        is_intact = error is None or isinstance(error, CollectiveError)
        if error is not None and not is_intact:
            self._rendezvous.announce_end(error)
        elif dist.is_initialized():
            with self.name_failed_peers():
                # Rank 0 may keep the store that all use, so no process leaves before the others are done.
                self.any_rank()
        self._rendezvous.stop()
        if is_intact and dist.is_initialized():
            dist.destroy_process_group()

    def check_equal(self, facts: dict[str, str]) -> None:
        self._rendezvous.check_equal(facts)
        if not dist.is_initialized():
            dist.init_process_group(
                "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
                # NCCL waits in this store for a process that is late, so it has the long timeout.
                store=self._rendezvous.store(STEP_TIMEOUT),
                rank=self.rank,
                world_size=self.size,
                timeout=STEP_TIMEOUT,
            )

    def broadcast_object(self, make: Callable[[], T]) -> T:
        return self._rendezvous.broadcast_object(make)

    def broadcast_tensors(self, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor] | None:
        tensors = make() if self.is_main_process else {}
        kinds = self.broadcast_object(
            lambda: [
                (name, str(tensor.dtype).removeprefix("torch."), list(tensor.shape))
                for name, tensor in tensors.items()
            ]
        )
        if not self.is_main_process:
            tensors = {name: torch.empty(shape, dtype=getattr(torch, kind)) for name, kind, shape in kinds}
        for tensor in tensors.values():
            dist.broadcast(tensor, 0)
        return None if self.is_main_process else tensors

    def any_rank(self, *flags: bool) -> tuple[bool, ...]:
        values = torch.tensor([*flags, False], dtype=torch.uint8)
        dist.all_reduce(values, dist.ReduceOp.MAX)
        return tuple(bool(v) for v in values[:-1])

    def all_reduce(self, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    def all_gather(self, value: T) -> list[T]:
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def wrap(self, network: nn.Module) -> nn.Module:
        if not any(p.requires_grad for p in network.parameters()):
            return network
        # Only rank 0's batch-norm statistics are kept; the others receive them with its checkpoints.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # it suggests a name that torch 2.11 lacks
            return DistributedDataParallel(network, broadcast_buffers=False, gradient_as_bucket_view=True)

    def no_sync(self, wrapped: nn.Module, hold: bool) -> AbstractContextManager[None]:
        if hold and isinstance(wrapped, DistributedDataParallel):
            return wrapped.no_sync()
        return contextlib.nullcontext()

    @contextmanager
    def name_failed_peers(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            text = str(error)
            if not isinstance(error, dist.DistError) and "gloo" not in text and "nccl" not in text.lower():
                raise
            time.sleep(2 * heartbeat.BEAT_S)  # until heartbeats show which process is silent, or failed
            if failure := self._rendezvous.find_failure():
                raise PeerFailed(*failure.splitlines()) from error
            raise PeerLost(
                f"rank {self.rank}: another process has died or cannot be reached "
                f"({self._rendezvous.suspect or text.splitlines()[0]})"
            ) from error


def init_group() -> ProcessGroup:
    """The group that this process was started in; a single process if no launcher says otherwise.

    Raises `LaunchError` if it cannot be joined, and `PeerLost` if its store cannot be reached.
    """
    if not launcher.is_launched():
        return ProcessGroup()
    if dist.is_initialized():
        raise launcher.LaunchError(
            "this process has joined others through torch.distributed already: by its own program, or in an "
            "earlier call that failed. Start another one for this"
        )
    return DistributedGroup()
