"""`ServeBatcher`: images of many requests computed together by `serve.batch` of Ray Serve."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from resnext.serve.batching import NEWEST, Computes
from resnext.serve.limits import RequestLimits


class ServeBatcher:
    """Computes items as `resnext.serve.batching.Batcher` does, in the batches that Ray Serve makes.

    All but `_compute` happens in the event loop of a replica, where `serve.batch` must be used.

    Args:
        batch: `ray.serve.batch`.
        limits: Most items of a batch, and how long the first waits for others.
        on_batch: Called with the number of items and the seconds that they took.

    Attributes:
        seconds_each: Mean time of an item of late; 0 before the first.
    """

    def __init__(
        self,
        batch: Callable[..., Any],
        limits: RequestLimits,
        on_batch: Callable[[int, float], object] = lambda *_: None,
    ) -> None:
        self.seconds_each = 0.0
        self._on_batch = on_batch
        # One thread, so that requests are received and images decoded while the network computes.
        self._engine = ThreadPoolExecutor(1, "engine")
        self._ask = batch(max_batch_size=limits.batch, batch_wait_timeout_s=limits.wait_s)(self._together)

    def submit(self, computer: Computes[Any, Any], item: Any) -> asyncio.Future[Any]:
        """The answer to `item` in the future."""
        future: asyncio.Future[Any] = asyncio.ensure_future(self._ask(computer, item))
        return future

    def close(self) -> None:
        """Compute what has begun, then end the thread."""
        self._engine.shutdown()

    async def _together(self, computers: Sequence[Computes[Any, Any]], items: Sequence[Any]) -> list[Any]:
        """The answer to each item, or its error, which `submit` raises; each has its own computer."""
        loop = asyncio.get_running_loop()
        answers: list[Any] = []
        pairs = zip(computers, items, strict=True)
        for _, same in itertools.groupby(pairs, lambda pair: id(pair[0])):
            group = list(same)
            computer, some = group[0][0], [item for _, item in group]
            answers += await loop.run_in_executor(self._engine, self._compute, computer, some)
        return answers

    def _compute(self, computer: Computes[Any, Any], items: list[Any]) -> Sequence[Any]:
        start = time.perf_counter()
        answers = computer.compute(items)
        seconds = time.perf_counter() - start
        each = seconds / len(items)
        self.seconds_each += (NEWEST if self.seconds_each else 1.0) * (each - self.seconds_each)
        self._on_batch(len(items), seconds)
        return answers
