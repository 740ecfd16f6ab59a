"""Calls are timed in turns."""

from __future__ import annotations

from resnext.timing import interleave


def test_no_call_always_follows_the_same_other() -> None:
    called: list[str] = []
    interleave({name: lambda name=name: called.append(name) for name in "abc"}, 4)  # type: ignore[misc]
    assert "".join(called) == "abc" + "abc" + "bca" + "cab" + "abc"
