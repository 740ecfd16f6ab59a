"""`ImageProgress`: how far a command is that goes through many images."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from resnext.cli.screen import say


class ImageProgress:
    """Images done and the time left: a bar on a terminal, and elsewhere a line on stderr now and then.

    Args:
        doing: What is done to them, as "embedding".
        what: What is counted.
    """

    def __init__(self, doing: str, what: str = "images") -> None:
        from resnext.display.progress_bar import ProgressBar

        self._what = what

        self._bar = ProgressBar(doing)
        self._began_at = self._line_at = time.monotonic()
        self._before: int | None = None

    def __enter__(self) -> ImageProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def show(self, done: int, total: int) -> None:
        """Show that `done` images of `total` are done."""
        from resnext.display.progress_bar import LINE_EVERY_S

        self._bar.update(done, total)
        now = time.monotonic()
        if (
            self._before is None
        ):  # the model has been read, and rows of an earlier run are no work of this one
            self._before, self._began_at, self._line_at = done, now, now
        elif not self._bar.is_shown and now - self._line_at >= LINE_EVERY_S:
            self._line_at = now
            line = progress_line(done, total, self._before, now - self._began_at, self._what)
            say(line, file=sys.stderr, flush=True)


def progress_line(done: int, total: int, before: int, seconds: float, what: str = "images") -> str:
    """How far it is, and the time left at the pace so far.

    >>> progress_line(3000, 10_000, before=1000, seconds=20)
    '3,000/10,000 images, about 70 s left'
    """
    from resnext.display.train_display import duration

    left_s = seconds * (total - done) / max(1, done - before)
    return f"{done:,}/{total:,} {what}, about {duration(left_s)} left"
