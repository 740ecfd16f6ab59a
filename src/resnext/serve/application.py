"""`make_application`: the routes, the models and what they share, wired together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp

from resnext.serve.access import INTERNAL, AccessGuard
from resnext.serve.answering import Answering, MakeBatcher, in_own_batches
from resnext.serve.bodies import Intake
from resnext.serve.infer_routes import infer_routes
from resnext.serve.limits import RequestLimits
from resnext.serve.memory import keep_giving_back
from resnext.serve.metrics import MEDIA_TYPE, Metrics
from resnext.serve.models import Shelf
from resnext.serve.page_route import page_routes
from resnext.serve.predict_route import predict_routes
from resnext.serve.problems import MEDIA_TYPE as PROBLEM_TYPE
from resnext.serve.problems import ProblemDetails, problem_response, response_of
from resnext.version import __version__


@dataclass
class Application:
    """What answers requests.

    Attributes:
        asgi: The application, as a server of ASGI takes it.
        intake: What receives bodies.
        answering: What answers them.
    """

    asgi: ASGIApp
    intake: Intake
    answering: Answering

    def begin_stop(self) -> None:
        """Take no further uploads: what has been received is still answered."""
        self.intake.stop()


def make_application(
    shelf: Shelf,
    limits: RequestLimits,
    metrics: Metrics,
    token: str | None = None,
    origins: tuple[str, ...] = (),
    reload_s: float = 0.0,
    is_local: bool = False,
    make_batcher: MakeBatcher = in_own_batches,
) -> Application:
    """The application of a server.

    Args:
        shelf: Its models.
        limits: Bounds of requests.
        metrics: Where everything is counted.
        token: Bearer token that requests need; none if None.
        origins: Origins of other pages that may ask.
        reload_s: Seconds between two looks at the files of the models; 0 never looks.
        is_local: Whether only this machine is meant to ask.
        make_batcher: Makes what computes images in batches.
    """
    intake, answering = Intake(limits), Answering(limits, metrics, make_batcher)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.ensure_future(keep_giving_back())]
        if reload_s:
            tasks.append(asyncio.ensure_future(shelf.watch(reload_s)))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.to_thread(answering.close)

    app = FastAPI(
        title="resnext serve",
        version=__version__,
        description="Classes of images, by trained networks.",
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
        responses={"default": _PROBLEM},
    )
    app.add_exception_handler(StarletteHTTPException, _of_http_error)
    app.add_exception_handler(RequestValidationError, _of_invalid)
    app.add_exception_handler(Exception, _of_bug)
    for routes in (predict_routes, infer_routes):
        app.include_router(routes(shelf, intake, answering, limits))

    app.include_router(page_routes())

    @app.get("/metrics", response_class=PlainTextResponse, tags=["operation"])
    async def figures() -> Response:
        """Counts and times, for Prometheus."""
        metrics.set("resnext_waiting_images", answering.waiting)
        metrics.set("resnext_held_bytes", intake.held_bytes)
        return Response(metrics.text(), media_type=MEDIA_TYPE)

    guard = AccessGuard(app, metrics, token, origins, is_local, lambda: intake.is_stopping)
    return Application(guard, intake, answering)


_PROBLEM: dict[str, Any] = {
    "description": "Why the request was not answered",
    "model": ProblemDetails,
    "content": {PROBLEM_TYPE: {}},
}


async def _of_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    if isinstance(error, HTTPException):
        return response_of(error)
    said = {404: f"there is nothing at {request.url.path}", 405: f"{request.method} is not answered here"}
    return problem_response(error.status_code, said.get(error.status_code, error.detail), error.headers)


async def _of_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or "the request"
    return problem_response(422, f"{where}: {first['msg']}")


async def _of_bug(request: Request, error: Exception) -> Response:
    return problem_response(500, INTERNAL)  # `AccessGuard` logs it
