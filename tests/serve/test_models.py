"""Models whose files change while they are served."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from resnext.engine import Classifier, TorchEngine, open_model
from resnext.models import create
from resnext.serve.models import Shelf, stamp_of
from resnext.weights import write_hub_folder
from tests.serve.loopback import ARCH, CONTRACT, encoded


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_hub_folder(tmp_path / "pets", create(ARCH, 1), CONTRACT, "")
    return tmp_path / "pets"


async def watch_until(shelf: Shelf, told: list[Any], count: int) -> None:
    task = asyncio.ensure_future(shelf.watch(0.01))
    async with asyncio.timeout(30):
        while len(told) < count:
            await asyncio.sleep(0.01)
    task.cancel()


def test_a_model_that_changes_is_opened_again_and_a_damaged_one_stays_as_it_was(folder: Path) -> None:
    told: list[Any] = []
    shelf = Shelf({"pets": str(folder)}, open_model, lambda name, error: told.append((name, error)))
    before, image = shelf.get(), encoded()
    stamp = stamp_of(str(folder))
    new = folder.with_name("new")
    write_hub_folder(new, create(ARCH, 2), CONTRACT, "")
    shutil.copytree(new, folder, dirs_exist_ok=True)
    assert stamp_of(str(folder)) != stamp
    asyncio.run(watch_until(shelf, told, 1))
    after = shelf.get("pets")
    assert told == [("pets", None)]
    assert after.digest == open_digest(new) != before.digest
    assert after.classifier.predict([image]) == open_model(new).predict([image])
    next(folder.glob("*.safetensors")).write_bytes(b"damaged")
    asyncio.run(watch_until(shelf, told, 2))
    assert told[1][0] == "pets"
    assert told[1][1] is not None
    assert shelf.get() is after
    third = folder.with_name("third")
    write_hub_folder(third, create(ARCH, 3), CONTRACT, "")
    shutil.copytree(third, folder, dirs_exist_ok=True)  # mended
    asyncio.run(watch_until(shelf, told, 3))
    assert told[2] == ("pets", None)


def open_digest(folder: Path) -> str:
    return Shelf({"x": str(folder)}, open_model).get().digest


def test_what_is_unchanged_is_not_opened_again(folder: Path) -> None:
    opened: list[str] = []

    def open(place: str) -> Classifier:
        opened.append(place)
        return Classifier(TorchEngine(create(ARCH, 1), CONTRACT))

    shelf = Shelf({"pets": str(folder)}, open)

    async def look() -> None:
        task = asyncio.ensure_future(shelf.watch(0.005))
        await asyncio.sleep(0.1)
        task.cancel()

    asyncio.run(look())
    assert opened == [str(folder)]
    assert stamp_of("resnext50_32x4d") == stamp_of("/nowhere/at/all") == ()
