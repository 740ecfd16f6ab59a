"""`deployment`: `resnext serve` as a deployment of Ray Serve: the same answers, on many machines."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from resnext.api import load
from resnext.errors import PackageMissing
from resnext.recipe.options import EngineName
from resnext.serve.limits import LIMITS, RequestLimits
from resnext.serve.naming import name_models

if TYPE_CHECKING:
    from ray import serve

#: Name of the deployment, unless `options(name=...)` says another.
NAME = "resnext"


def deployment(
    *models: str,
    device: str | None = None,
    engine: EngineName | None = None,
    token: str | None = None,
    origins: tuple[str, ...] = (),
    limits: RequestLimits = LIMITS,
) -> serve.Deployment:
    """A deployment of Ray Serve that answers what `resnext serve` does: `/predict`, the page, and the rest.

    Each replica opens the models. Images of its requests are computed in the batches of `serve.batch`. How
    many replicas there are, and what each gets, is said in Ray's own words, by `options`.

    Args:
        *models: Models as `resnext serve` takes them: PATH or NAME=PATH, on a disk that every machine sees,
            or names of public weights.
        device: Where the models compute; the best that Ray has given to the replica if None.
        engine: What computes them; the usual one of each if None.
        token: Bearer token that requests need; none if None.
        origins: Origins of other pages that may ask.
        limits: Bounds of the requests of one replica.

    Raises:
        PackageMissing: The extra `ray` is not installed.
        UsageError: A name of a model is none, or stands twice.

    >>> from ray import serve  # doctest: +SKIP
    >>> import resnext.ray
    >>> pets = resnext.ray.deployment("runs/pets").options(num_replicas=2)  # doctest: +SKIP
    >>> serve.run(pets.bind())  # http://127.0.0.1:8000/predict  # doctest: +SKIP
    """
    try:
        from ray import serve
    except ImportError:
        raise PackageMissing("resnext.ray.deployment needs Ray; pip install 'resnext[ray]'") from None
    named = name_models(models)

    def build() -> Any:
        """The application of a replica, made there."""
        from resnext.ray.serve_batcher import ServeBatcher
        from resnext.serve.application import make_application
        from resnext.serve.metrics import Metrics
        from resnext.serve.models import Shelf

        shelf = Shelf(named, lambda place: load(place, device, engine=engine))
        make_batcher = partial(ServeBatcher, serve.batch)
        application = make_application(
            shelf, limits, Metrics(list(named)), token, origins, make_batcher=make_batcher
        )
        return application.asgi

    # A batch that is computed and one that gathers; what is more waits where another replica can take it.
    decorate = serve.deployment(name=NAME, max_ongoing_requests=2 * limits.batch)
    made: serve.Deployment = decorate(serve.ingress(build)())
    return made
