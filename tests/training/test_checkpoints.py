"""Writing in the background: its errors arrive, and keep nothing alive."""

from __future__ import annotations

import contextlib
import gc
import weakref

import pytest

from resnext.training.checkpoints import BackgroundWriter


def fail() -> None:
    raise OSError("the disk is on fire")


def test_an_error_is_raised_once_by_the_next_call() -> None:
    writer = BackgroundWriter()
    writer.submit(fail)
    with pytest.raises(OSError, match="fire"):
        writer.submit(fail)
    writer.wait()
    assert writer.jobs == 1


def test_an_error_keeps_nothing_alive_that_its_callers_hold() -> None:
    """Such as a loader and its worker processes, until some garbage collection."""

    class Held:
        pass

    def save() -> weakref.ref[Held]:
        held = Held()
        writer = BackgroundWriter()
        writer.submit(fail)
        with contextlib.suppress(OSError):
            writer.wait()
        return weakref.ref(held)

    gc.disable()
    try:
        assert save()() is None
    finally:
        gc.enable()
