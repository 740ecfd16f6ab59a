"""`Predictor`: what `ray.data` maps over batches of paths; its rows are those of `resnext predict`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa

from resnext.api import load
from resnext.data.image_files import ImagesByName
from resnext.engine import BatchPrediction, Classifier
from resnext.engine.prediction_formats import KEY, ParquetFormat, choose_columns
from resnext.errors import UsageError
from resnext.names import encodable
from resnext.recipe.options import EngineName, Views

#: Why an image could not be read; null where it could.
ERROR = "error"


class Predictor:
    """Predicts the images at a batch of paths, as a class for `map_batches` of `ray.data`.

    Ray makes one in each of its actors, which opens the model there. Decoding and pre-processing are those
    of the model's contract, as in `resnext predict`.

    Args:
        model: A classifier, or what `resnext.load` takes: the path of a run folder, hub folder, weights file
            or exported file, which every machine must see, or the name of public weights.
        top: How many of the likeliest classes a row holds; the probabilities of all if None, in the order of
            the contract's classes.
        views: Average over more views of each image: `flip`, or `ten` crops.
        column: The column that holds the paths. `ray.data.from_items` calls it `item`.
        device: Where to compute; the best that Ray has given to the actor if None.
        engine: What computes the model; the usual one for it if None.

    Raises:
        ModelError: There is no such model, or the engine cannot take it.
        DeviceError: The device cannot be used.

    >>> import resnext.ray
    >>> predictor = resnext.ray.Predictor("runs/pets", top=1)
    >>> row, = predictor({"item": ["new/1.png"]}).to_pylist()
    >>> row["picture"], row["label"] in ("cat", "dog"), row["error"]
    ('new/1.png', True, None)

    On many machines:

    >>> import ray  # doctest: +SKIP
    >>> paths = ray.data.from_items(["new/1.png", "new/2.png"])  # doctest: +SKIP
    >>> actors = ray.data.ActorPoolStrategy(size=2)  # doctest: +SKIP
    >>> rows = paths.map_batches(  # doctest: +SKIP
    ...     resnext.ray.Predictor, fn_constructor_args=("runs/pets",), batch_size=64, compute=actors
    ... )
    >>> rows.write_parquet("answers")  # doctest: +SKIP
    """

    def __init__(
        self,
        model: str | Path | Classifier,
        *,
        top: int | None = 3,
        views: Views = "one",
        column: str = "item",
        device: str | None = None,
        engine: EngineName | None = None,
    ) -> None:
        self._classifier = model if isinstance(model, Classifier) else load(model, device, engine=engine)
        self._views, self._column = views, column
        self._format = ParquetFormat(choose_columns(self._classifier.contract.classes, top))
        self._schema = pa.schema([(KEY, pa.string()), *self._format.computed, (ERROR, pa.string())])

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> pa.Table:
        """A row for each path, in order.

        Args:
            batch: The columns of a batch, of which one holds paths, or addresses of an object store.

        Returns:
            The columns that `resnext predict` writes, and `error`. An image that cannot be read has its
            `picture` and `error`, and null in the others; `error` of all others is null.

        Raises:
            UsageError: The batch has no such column, or it holds something other than paths.
            ModelError: `views` is unknown, or the engine cannot give them.
            Diverged: The network's outputs are not finite.
        """
        images = ImagesByName(self._paths(batch))
        tables, done = [self._schema.empty_table()], 0
        with closing(self._classifier.classify(images, views=self._views)) as answers:
            for answer in answers:
                end = done + len(answer.indices) + len(answer.bad)
                tables.append(self._rows(images, range(done, end), answer))
                done = end
        return pa.concat_tables(tables)

    def _rows(self, images: ImagesByName, places: range, answer: BatchPrediction) -> pa.Table:
        """The rows of the images at `places`, all those of one answer."""
        row_of = {int(place): row for row, place in enumerate(answer.indices)}
        bad = iter(answer.bad)
        errors = [None if place in row_of else next(bad).reason for place in places]
        computed = self._format.compute(self._classifier.to_predictions(images, answer))
        rows = pa.array([row_of.get(place) for place in places], pa.int64())  # null: no such prediction
        columns = {name: values.take(rows) for name, values in computed.items()}
        keys = [encodable(images.keys[place]) for place in places]
        return pa.table({KEY: keys, **columns, ERROR: errors}, schema=self._schema)

    def _paths(self, batch: Mapping[str, Sequence[Any]]) -> list[str]:
        if self._column not in batch:
            raise UsageError(
                f"column {self._column!r}: the batch has none, but {', '.join(map(repr, batch))}; say which "
                "holds the paths: fn_constructor_kwargs={'column': ...}"
            )
        paths = list(batch[self._column])
        for path in paths:
            if not isinstance(path, str | Path):
                raise UsageError(
                    f"column {self._column!r}: holds {type(path).__name__}, and must hold paths: the "
                    "Predictor reads and decodes the images itself"
                )
        return [str(path) for path in paths]
