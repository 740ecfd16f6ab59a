"""Models by name: opened, and opened again when their files change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from resnext.catalogue import is_path
from resnext.data.decode import BadImage
from resnext.engine import Classifier, Prediction, check_explains
from resnext.engine.engine import ModelError
from resnext.engine.origin import model_digest
from resnext.errors import ResnextError
from resnext.serve.image_size import check_pixels

#: Size, time of change and number of each file of a model.
Stamp = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True)
class PreparedImage:
    """An image as a model takes it.

    Attributes:
        key: Its name.
        pixels: What `Classifier.prepare` has made of it.
        wants_map: Whether its class activation map is asked for.
    """

    key: str
    pixels: torch.Tensor
    wants_map: bool = False


@dataclass(frozen=True)
class ImageAnswer:
    """What a model says of an image.

    Attributes:
        prediction: The classes.
        map: Class activation map of the predicted class (h, w), if it was asked for.
    """

    prediction: Prediction
    map: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model as it was when it was opened.

    Attributes:
        name: Its name in addresses.
        classifier: What computes it.
        stamp: Its files then.
        opened_at: Seconds since 1970.
    """

    name: str
    classifier: Classifier
    stamp: Stamp = ()
    opened_at: float = field(default_factory=time.time)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of its tensors, or of its exported file."""
        return model_digest(self.classifier.engine)

    @cached_property
    def has_maps(self) -> bool:
        """Whether it gives class activation maps."""
        try:
            check_explains(self.classifier)
        except ModelError:
            return False
        return True

    def prepare(self, encoded: bytes, key: str, wants_map: bool, max_pixels: int) -> PreparedImage:
        """The image as the model takes it. Raises `BadImage` if it cannot be read or is too large."""
        if not encoded:
            raise BadImage(key, "has no bytes")
        check_pixels(encoded, key, max_pixels)
        return PreparedImage(key, self.classifier.prepare(encoded, key), wants_map)

    def compute(self, items: Sequence[PreparedImage]) -> list[ImageAnswer]:
        """The answers for a batch."""
        batch = self.classifier.answer([one.pixels for one in items])
        predictions = self.classifier.name_classes([one.key for one in items], batch)
        asked = [place for place, one in enumerate(items) if one.wants_map]
        maps: dict[int, NDArray[np.float32]] = {}
        if asked:
            made = self.classifier.activation_maps([items[place].pixels for place in asked])
            for row, place in enumerate(asked):
                maps[place] = made[row, int(batch.probabilities[place].argmax())]
        return [ImageAnswer(one, maps.get(place)) for place, one in enumerate(predictions)]

    def warm_up(self) -> None:
        """Compute one black image, so that the first request does not wait for what is set up at first."""
        size = self.classifier.contract.input
        takes_pixels = self.classifier.engine.takes == "pixels"
        shape = (3, size.height_px, size.width_px) if takes_pixels else (size.height_px, size.width_px, 3)
        self.compute([PreparedImage("warm-up", torch.zeros(shape, dtype=torch.uint8))])


class Shelf:
    """The models of a server by name.

    Args:
        places: Path or public name of each model, by its name; the first is the one that is meant where a
            request names none.
        open: Opens a model.
        on_reload: Called with the name of a model whose files have changed, and the error if it cannot be
            opened any more.
    """

    def __init__(
        self,
        places: Mapping[str, str],
        open: Callable[[str], Classifier],
        on_reload: Callable[[str, Exception | None], object] = lambda *_: None,
    ) -> None:
        self._places = dict(places)
        self._open = open
        self._on_reload = on_reload
        self._models = {name: self._load(name) for name in self._places}
        self._failed: dict[str, Stamp] = {}

    def __iter__(self) -> Iterator[LoadedModel]:
        return iter(tuple(self._models.values()))

    def get(self, name: str | None = None) -> LoadedModel:
        """The model of this name, the first if None. Raises `KeyError`."""
        return self._models[next(iter(self._models)) if name is None else name]

    async def watch(self, every_s: float) -> None:
        """Open models again whose files have changed, for ever.

        A change is taken up when the files have stayed the same from one look to the next: before, they may
        be half written. A model that cannot be opened any more stays as it was.
        """
        seen: dict[str, Stamp] = {}
        while True:
            await asyncio.sleep(every_s)
            for name, model in tuple(self._models.items()):
                now = await asyncio.to_thread(stamp_of, self._places[name])
                is_new = now not in (model.stamp, self._failed.get(name))
                if is_new and seen.get(name) == now:
                    await self._reload(name, now)
                seen[name] = now

    async def _reload(self, name: str, stamp: Stamp) -> None:
        try:
            self._models[name] = await asyncio.to_thread(self._load, name)
        except (ResnextError, OSError, ValueError, RuntimeError) as error:
            self._failed[name] = stamp
            self._on_reload(name, error)
        else:
            self._on_reload(name, None)

    def _load(self, name: str) -> LoadedModel:
        place = self._places[name]
        stamp = stamp_of(place)
        model = LoadedModel(name, self._open(place), stamp)
        model.warm_up()
        _ = model.digest  # computed here, in no request
        return model


def stamp_of(place: str) -> Stamp:
    """What tells whether the files of a model have changed; empty where they cannot be seen, and for a name
    of public weights, which stay as they are."""
    if not is_path(place):
        return ()
    path = Path(place)
    try:
        folder = path / "model" if (path / "model").is_dir() else path
        files = sorted(folder.iterdir()) if folder.is_dir() else [path, *path.parent.glob(f"{path.stem}.*")]
        stats = [(str(file), file.stat()) for file in files if file.is_file()]
    except OSError:
        return ()
    return tuple((name, stat.st_size, stat.st_mtime_ns, stat.st_ino) for name, stat in stats)
