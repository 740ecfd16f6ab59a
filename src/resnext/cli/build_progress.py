"""`BuildProgress`: how far a command is that builds networks for an engine and times them."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from resnext.cli.screen import say

if TYPE_CHECKING:
    from resnext.display.progress_bar import ProgressBar


class BuildProgress:
    """Says on stderr how long the work will take, as soon as that is known, and then how far it is: a bar on
    a terminal, and elsewhere a line now and then. Closes itself when a `with` block ends.

    Args:
        doing: What is done, as "timing in openvino".
    """

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._bar: ProgressBar | None = None
        self._line_at = 0.0

    def __enter__(self) -> BuildProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, done: int, total: int, seconds_left: float) -> None:
        """Show that `done` of about `total` blocks are done, and how long the others will take."""
        from resnext.display.progress_bar import LINE_EVERY_S, ProgressBar
        from resnext.display.train_display import duration

        now, left = time.monotonic(), f"about {duration(seconds_left)} left"
        if self._bar is None:
            say(f"{self._doing}: about {total:,} blocks, {left}", file=sys.stderr, flush=True)
            self._bar, self._line_at = ProgressBar(self._doing), now
        self._bar.update(done, total)
        if not self._bar.is_shown and now - self._line_at >= LINE_EVERY_S:
            self._line_at = now
            say(f"{self._doing}: {done:,}/{total:,} blocks, {left}", file=sys.stderr, flush=True)
