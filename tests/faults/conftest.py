"""Faults on purpose: a short version in every test run, the whole with `make faults`, which keeps results."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from resnext.machine import cpu_name
from resnext.records import append_record, stamp

RESULTS = Path(__file__).parents[2] / "results" / "faults.jsonl"


@pytest.fixture(scope="session")
def full() -> bool:
    """Is this the whole version?"""
    return os.environ.get("RESNEXT_FAULTS") == "full"


@pytest.fixture
def record(full: bool) -> Callable[..., None]:
    """`record(what, tried=..., ...)` keeps a figure of the whole version."""

    def keep(what: str, **figures: Any) -> None:
        print(f"\n{what}: {figures}")
        if full:
            append_record({"kind": "faults", "what": what, **figures} | asdict(stamp(cpu_name())), RESULTS)

    return keep
