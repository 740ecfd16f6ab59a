"""`AccessGuard`: who may ask: a bearer token, other origins, and what every answer carries."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import Callable, Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from resnext.serve.metrics import Metrics
from resnext.serve.problems import busy, problem_response, response_of
from resnext.serve.serving import is_loopback

#: Paths that need no token: what says whether the server lives, and the page, which asks for the token.
OPEN_PATHS = ("/", "/page.css", "/page.js", "/icon.svg", "/v2/health/live", "/v2/health/ready")
#: Headers of every answer: no browser guesses another type, shows it in a frame, or loads from elsewhere.
SAFE_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' blob: data:; media-src 'self' blob:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
}
#: What is told of an error that nobody foresaw.
INTERNAL = "an internal error; the log of the server has the details"
_log = logging.getLogger("resnext.serve")


class AccessGuard:
    """Passes on requests that may be answered, and counts all of them.

    Whatever is no open path needs the token, if there is one. A request of a page of another origin is
    refused, unless that origin is allowed. An error that nobody foresaw becomes a 500 without details.

    Args:
        app: Who answers.
        metrics: Where requests are counted.
        token: The token; None asks for none.
        is_local: Whether only this machine is meant to ask, by one of its own names. A page of a stranger can
            give its name the address 127.0.0.1 and so seem to be of the same origin.
        is_stopping: Says whether the server stops; then clients are told not to use their connection again.
        origins: Allowed origins, such as `https://example.org`.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        token: str | None = None,
        origins: Collection[str] = (),
        is_local: bool = False,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._is_local = is_local
        self._is_stopping = is_stopping
        self._app = app
        self._metrics = metrics
        self._digest = None if token is None else _digest(f"Bearer {token}")
        self._origins = frozenset(origin.rstrip("/").lower() for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 0
        origin = Headers(scope=scope).get("origin", "").lower()

        async def send_safely(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in SAFE_HEADERS.items():
                    headers.setdefault(name, value)
                if self._is_stopping():
                    headers["connection"] = "close"
                if origin in self._origins:
                    headers["access-control-allow-origin"] = origin
                    headers.add_vary_header("origin")
            await send(message)

        try:
            if (refusal := self._refuse(scope, origin)) is not None:
                await refusal(scope, receive, send_safely)
            else:
                await self._app(scope, receive, send_safely)
        except asyncio.CancelledError:  # the time to stop is over
            if not status:
                await response_of(busy("the server stops; ask another, or later", 5))(
                    scope, receive, send_safely
                )
        except Exception:
            _log.exception("an error that should not be, while %s was answered", scope["path"].encode())
            if not status:
                await problem_response(500, INTERNAL)(scope, receive, send_safely)
        finally:
            self._count(scope["path"], status, time.perf_counter() - begun)

    def _refuse(self, scope: Scope, origin: str) -> ASGIApp | None:
        """The answer to a request that may not be answered; None if it may be."""
        headers = Headers(scope=scope)
        method, path = scope["method"], scope["path"]
        host = headers.get("host", "").lower()
        if self._is_local and not (_is_own(host) or any(_host_of(one) == host for one in self._origins)):
            return problem_response(
                421,
                "Host: is no name of this machine; behind a proxy say --cors ADDRESS, or use a token",
            )
        if origin and origin not in self._origins and _host_of(origin) != host:
            return problem_response(
                403, "requests of pages of other origins are refused; resnext serve --cors ORIGIN allows one"
            )
        if origin in self._origins and method == "OPTIONS" and "access-control-request-method" in headers:
            return _preflight()
        if self._digest is None or path in OPEN_PATHS:
            return None
        given = headers.getlist("authorization")
        if len(given) == 1 and hmac.compare_digest(_digest(_normal(given[0])), self._digest):
            return None
        said = "the token is not the one of this server" if given else "this server asks for a token"
        return problem_response(
            401,
            f"{said}: send it as Authorization: Bearer TOKEN",
            {"www-authenticate": "Bearer", "connection": "close"},
        )

    def _count(self, path: str, status: int, seconds: float) -> None:
        route = "predict" if path == "/predict" else "infer" if path.endswith("/infer") else "other"
        if status:
            kind = str(status) if status in (500, 503) else f"{status // 100}xx"
            self._metrics.add("resnext_requests_total", 1, route, kind)
            self._metrics.observe("resnext_request_seconds", seconds, route)


def _preflight() -> ASGIApp:
    """The answer to a browser that asks whether a page of an allowed origin may ask."""
    allowed = {
        "access-control-allow-methods": "GET, POST",
        "access-control-allow-headers": "authorization, content-type, inference-header-content-length",
        "access-control-max-age": "600",
    }
    return Response(status_code=204, headers=allowed)


def _host_of(origin: str) -> str:
    """Host and port of an origin; empty if it has none.

    >>> _host_of("http://localhost:8000")
    'localhost:8000'
    """
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _is_own(host: str) -> bool:
    """Whether a `Host` means this machine, whatever the port.

    >>> _is_own("localhost:8000"), _is_own("[::1]"), _is_own("127.0.0.1:80"), _is_own("evil.example:8000")
    (True, True, True, False)
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return is_loopback(name)


def _normal(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return f"{scheme.capitalize()} {token.strip()}"


def _digest(text: str) -> bytes:
    """A digest of fixed length, so that the time of comparing does not even tell the length of the token."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
