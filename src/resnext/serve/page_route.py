"""The page for people: files of the package, which load nothing from elsewhere."""

from __future__ import annotations

import hashlib
import importlib.resources

from fastapi import APIRouter, Request
from fastapi.responses import Response

#: File of each address, and its type.
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}


def page_routes() -> APIRouter:
    """The routes of the page."""
    router = APIRouter(include_in_schema=False)
    for path, (name, kind) in FILES.items():
        _add(router, path, name, kind)
    return router


def _add(router: APIRouter, path: str, name: str, kind: str) -> None:
    content = (importlib.resources.files("resnext.serve") / "page" / name).read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"etag": tag, "cache-control": "no-cache"}  # kept, but asked for again: a new version is seen

    @router.api_route(path, methods=["GET", "HEAD"])
    async def file(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=kind)
