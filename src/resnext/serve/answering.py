"""`Answering`: from encoded images to answers: admitted, decoded in threads, computed in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from resnext.data.decode import BadImage
from resnext.machine import count_cores
from resnext.names import counted
from resnext.serve.batching import Batcher, Batches
from resnext.serve.bodies import EncodedImage
from resnext.serve.limits import RequestLimits
from resnext.serve.metrics import Metrics
from resnext.serve.models import ImageAnswer, LoadedModel, PreparedImage
from resnext.serve.problems import busy, problem
from resnext.training.loop import Diverged

#: Makes what computes images in batches, and calls back with the number and the seconds of each batch.
MakeBatcher = Callable[[RequestLimits, Callable[[int, float], object]], Batches[PreparedImage, ImageAnswer]]


def in_own_batches(
    limits: RequestLimits, on_batch: Callable[[int, float], object]
) -> Batches[PreparedImage, ImageAnswer]:
    """Batches of one thread of this process."""
    return Batcher(limits.batch, limits.wait_s, on_batch)


class Answering:
    """Answers for images, of all requests of a process.

    An image is admitted if fewer than `limits.queue` wait. It is decoded in a thread, and then waits for the
    engine, which has one thread for all models.

    Args:
        limits: Bounds.
        metrics: Where images and batches are counted.
        make_batcher: Makes what computes the images in batches.

    Attributes:
        waiting: Images that are admitted and not answered yet.
    """

    def __init__(
        self, limits: RequestLimits, metrics: Metrics, make_batcher: MakeBatcher = in_own_batches
    ) -> None:
        self._limits = limits
        self._metrics = metrics
        self._decoders = ThreadPoolExecutor(count_cores(), "decoder")
        self._batcher = make_batcher(limits, self._count_batch)
        self.waiting = 0

    def close(self) -> None:
        """Answer what is admitted, and end the threads."""
        self._decoders.shutdown()
        self._batcher.close()

    async def answer(
        self, model: LoadedModel, images: Sequence[EncodedImage], wants_maps: bool = False
    ) -> list[ImageAnswer]:
        """The answer to each image, in order.

        Raises:
            HTTPException: There is no room for them, or they were not answered in time (503), some of them
                cannot be read (422), or the model gives no maps (422).
        """
        if wants_maps and not model.has_maps:
            raise problem(422, f"map: the model {model.name} gives no class activation maps")
        if self.waiting + len(images) > self._limits.queue:
            raise busy(
                f"{counted(self.waiting, 'image')} wait, and at most {self._limits.queue:,} may; ask again",
                self.waiting * self._batcher.seconds_each,
            )
        tasks = [asyncio.ensure_future(self._one(model, image, wants_maps)) for image in images]
        self.waiting += len(tasks)
        for task in tasks:
            task.add_done_callback(self._leave)
        try:
            async with asyncio.timeout(self._limits.deadline_s):
                outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        except TimeoutError:
            raise busy(
                f"not answered within {self._limits.deadline_s:g} s",
                self.waiting * self._batcher.seconds_each,
            ) from None
        bad = [
            {"index": index, "name": image.name, "detail": f"{error.reason}"}
            for index, (image, error) in enumerate(zip(images, outcomes, strict=True))
            if isinstance(error, BadImage)
        ]
        if bad:
            self._metrics.add("resnext_bad_images_total", len(bad), model.name)
            of = "" if len(images) == 1 else f"{len(bad)} of {len(images)} images cannot be used; the first: "
            raise problem(422, f"{of}{bad[0]['name']}: {bad[0]['detail']}", images=bad)
        answers = []
        for outcome in outcomes:
            if isinstance(outcome, Diverged):
                raise problem(500, str(outcome))
            if isinstance(outcome, BaseException):
                raise outcome
            answers.append(outcome)
        self._metrics.add("resnext_images_total", len(answers), model.name)
        rejected = sum(one.prediction.rejected for one in answers)
        self._metrics.add("resnext_rejected_total", rejected, model.name)
        return answers

    async def _one(self, model: LoadedModel, image: EncodedImage, wants_map: bool) -> ImageAnswer:
        loop, limits = asyncio.get_running_loop(), self._limits
        prepared = await loop.run_in_executor(
            self._decoders, model.prepare, image.content, image.name, wants_map, limits.pixels
        )
        return await asyncio.wrap_future(self._batcher.submit(model, prepared))

    def _leave(self, task: asyncio.Task[ImageAnswer]) -> None:
        self.waiting -= 1

    def _count_batch(self, images: int, seconds: float) -> None:
        self._metrics.observe("resnext_batch_images", images)
        self._metrics.add("resnext_batch_seconds_total", seconds)
