"""Errors of requests as problem details (RFC 9457): a status, a title and a sentence, in JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi import HTTPException
from fastapi.responses import JSONResponse

from resnext.names import brief, printable

MEDIA_TYPE = "application/problem+json"
#: Names of statuses that older versions of Python call otherwise.
TITLES = {421: "Misdirected Request", 413: "Content Too Large", 422: "Unprocessable Content"}


@dataclass(frozen=True)
class ImageProblem:
    """What is wrong with one image of a request."""

    index: int
    name: str
    detail: str


@dataclass(frozen=True)
class ProblemDetails:
    """Why a request was not answered.

    Attributes:
        title: Name of the status.
        status: Status of the answer.
        detail: What is wrong, and what to do.
        error: The same, as the Open Inference Protocol calls it.
        images: The images that cannot be read, where there are some.
    """

    title: str
    status: int
    detail: str
    error: str
    images: list[ImageProblem] = field(default_factory=list)


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None, **more: Any) -> HTTPException:
    """The error to raise for a request that cannot be answered.

    Args:
        status: HTTP status.
        detail: What is wrong, and what to do.
        headers: Further headers.
        **more: Further members of the answer.
    """
    return HTTPException(status, {"detail": detail, **more}, dict(headers or {}))


def closing(status: int, detail: str) -> HTTPException:
    """As `problem`, where the rest of the body is not read: the connection ends with the answer."""
    return problem(status, detail, {"connection": "close"})


def busy(detail: str, retry_s: float) -> HTTPException:
    """A 503 that says when to ask again."""
    return problem(503, detail, {"retry-after": str(max(1, math.ceil(retry_s)))})


def problem_response(
    status: int, detail: str, headers: Mapping[str, str] | None = None, **more: Any
) -> JSONResponse:
    """The answer that says what is wrong."""
    title = TITLES.get(status) or HTTPStatus(status).phrase
    safe = printable(detail)
    body = {"title": title, "status": status, "detail": safe, "error": safe, **more}
    return JSONResponse(body, status, dict(headers or {}), MEDIA_TYPE)


def response_of(error: HTTPException) -> JSONResponse:
    """The answer for an error that `problem` made, or the framework."""
    said = error.detail if isinstance(error.detail, dict) else {"detail": str(error.detail)}
    more = {name: value for name, value in said.items() if name != "detail"}
    return problem_response(error.status_code, said["detail"], error.headers, **more)


def named(name: str) -> str:
    """The name of something in an error."""
    return repr(brief(name))
