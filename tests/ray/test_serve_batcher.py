"""Requests through `ServeBatcher`, batched by a function that does what `serve.batch` of Ray does.

That the real one does so `make ray` tries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

import pytest

from resnext.engine import Classifier
from resnext.ray.serve_batcher import ServeBatcher
from resnext.serve.limits import LIMITS
from tests.serve.loopback import Served, encoded, start

Together = Callable[[Sequence[Any], Sequence[Any]], Coroutine[Any, Any, list[Any]]]


def batch(max_batch_size: int, batch_wait_timeout_s: float) -> Callable[[Together], Callable[..., Any]]:
    """Gathers what is asked in one turn of the event loop, up to a size."""

    def decorate(together: Together) -> Callable[..., Any]:
        waiting: list[tuple[Any, Any, asyncio.Future[Any]]] = []

        async def answer_all() -> None:
            while some := waiting[:max_batch_size]:
                del waiting[:max_batch_size]
                computers, items, futures = zip(*some, strict=True)
                try:
                    answers: list[Any] = await together(list(computers), list(items))
                except Exception as error:
                    for future in futures:
                        future.set_exception(error)
                    continue
                for future, one in zip(futures, answers, strict=True):
                    future.set_result(one)

        tasks: set[asyncio.Task[None]] = set()

        async def ask(computer: Any, item: Any) -> Any:
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            waiting.append((computer, item, future))
            if len(waiting) == 1:
                task = loop.create_task(answer_all())
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            return await future

        return ask

    return decorate


class Adding:
    """Adds a number, and notes its batches."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.batches: list[list[int]] = []

    def compute(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        if -1 in items:
            raise ValueError("a bug")
        return [self.number + item for item in items]


def test_each_item_is_computed_by_its_own_computer_and_in_order() -> None:
    sizes: list[int] = []
    ten, hundred = Adding(10), Adding(100)

    async def ask() -> list[Any]:
        batcher = ServeBatcher(batch, LIMITS, lambda images, seconds: sizes.append(images))
        pairs = [(ten, 0), (ten, 1), (hundred, 2), (ten, 3), (hundred, 4), (hundred, 5)]
        answers = await asyncio.gather(*(batcher.submit(*pair) for pair in pairs))
        assert batcher.seconds_each > 0
        batcher.close()
        return answers

    assert asyncio.run(ask()) == [10, 11, 102, 13, 104, 105]
    assert (ten.batches, hundred.batches, sizes) == ([[0, 1], [3]], [[2], [4, 5]], [2, 1, 1, 2])


def test_an_error_reaches_those_of_its_batch_only() -> None:
    adding = Adding(1)

    async def ask() -> list[Any]:
        batcher = ServeBatcher(batch, LIMITS)
        first = await asyncio.gather(
            *(batcher.submit(adding, number) for number in (5, -1)), return_exceptions=True
        )
        return [*first, await batcher.submit(adding, 6)]

    *failed, good = asyncio.run(ask())
    assert [str(error) for error in failed] == ["a bug"] * 2
    assert good == 7


@pytest.fixture
def served(classifier: Classifier) -> Iterator[Served]:
    one = start(
        {"pets": classifier}, make_batcher=lambda limits, on_batch: ServeBatcher(batch, limits, on_batch)
    )
    yield one
    one.stop()


def test_requests_have_the_answers_of_the_classifier(served: Served, classifier: Classifier) -> None:
    images = [encoded(number) for number in range(3)]
    for image, prediction in zip(images, classifier.predict(images), strict=True):
        [answer] = served.post("/predict", image).json["images"]
        assert answer["label"] == prediction.label
        assert answer["probability"] == pytest.approx(prediction.probability, abs=1e-6)
        assert answer["set"] == list(prediction.set)
        assert answer["rejected"] == prediction.rejected
    refused = served.post("/predict", b"no image")
    assert (refused.status, served.application.answering.waiting) == (422, 0)
