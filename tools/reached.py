"""Which tests reach which lines of the package, and how long they take: those that may notice a mutant run
first, the quickest before the others."""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pytest


@dataclass(frozen=True)
class Trace:
    """What running the tests once has shown.

    Attributes:
        lines: {test or its file: {file of the package: lines}}. What a fixture reaches counts for all tests
            of the file, since the next one may find it made.
        seconds: {test: how long it took}, without fixtures.
    """

    lines: dict[str, dict[str, list[int]]]
    seconds: dict[str, float]

    @classmethod
    def read(cls, path: Path) -> Trace:
        """What a `Tracer` wrote."""
        return cls(**json.loads(path.read_text()))

    def reaches(self, item: pytest.Item, file: str, lines: range) -> bool:
        """Whether a test, or a fixture of its file, reached one of the lines of a file."""
        found = (self.lines.get(name, {}).get(file, ()) for name in (item.nodeid, _file_of(item)))
        return any(line in lines for own in found for line in own)


class Tracer:
    """A pytest plugin: it writes a `Trace` over the files under `folder`."""

    def __init__(self, folder: Path, written: Path) -> None:
        self.folder, self.written = str(folder), written
        self.lines: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
        self.seconds: dict[str, float] = {}
        self.now = ""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        return (yield from self._traced(_file_of(item)))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        start = time.monotonic()
        try:
            return (yield from self._traced(item.nodeid))
        finally:
            self.seconds[item.nodeid] = time.monotonic() - start

    def pytest_sessionfinish(self) -> None:
        lines = {name: {f: sorted(own) for f, own in files.items()} for name, files in self.lines.items()}
        self.written.write_text(json.dumps({"lines": lines, "seconds": self.seconds}))

    def _traced(self, name: str) -> Generator[None, object, object]:
        self.now = name
        sys.settrace(self._call)
        try:
            return (yield)
        finally:
            sys.settrace(None)

    def _call(self, frame: FrameType, event: str, _: object) -> Any:
        return self._line if frame.f_code.co_filename.startswith(self.folder) else None

    def _line(self, frame: FrameType, event: str, _: object) -> Any:
        self.lines[self.now][frame.f_code.co_filename].add(frame.f_lineno)
        return self._line


class ReachingFirst:
    """A pytest plugin: tests that reach the lines of a file run before the others, the quickest first."""

    def __init__(self, trace: Trace, file: Path, lines: range) -> None:
        self.trace, self.file, self.lines = trace, str(file), lines

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=self._place)

    def _place(self, item: pytest.Item) -> tuple[bool, float]:
        reaches = self.trace.reaches(item, self.file, self.lines)
        return not reaches, self.trace.seconds.get(item.nodeid, 0.0)


def _file_of(item: pytest.Item) -> str:
    return item.nodeid.split("::")[0]
