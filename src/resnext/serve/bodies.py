"""Bodies of requests: received within limits of bytes and time, and taken apart into encoded images."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from resnext.parsing import parse_json
from resnext.serve.limits import RequestLimits
from resnext.serve.problems import busy, closing, problem

#: Bodies of up to so many bytes are taken apart at once.
SMALL_BODY = 2**18
Result = TypeVar("Result")
#: Seconds that uploads still have when the server is asked to stop.
LAST_S = 2.0
#: The parameters of a header, such as `boundary="x"`; the names of a part of a form likewise.
_PARAMETER = re.compile(r';\s*([\w*-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;\s]*)')


@dataclass(frozen=True)
class EncodedImage:
    """An image of a request: its name for answers and errors, and its bytes."""

    name: str
    content: bytes


class Intake:
    """Receives bodies of requests.

    Attributes:
        held_bytes: Bytes of all bodies in hand.
        is_stopping: Whether no further bodies are received.
    """

    def __init__(self, limits: RequestLimits) -> None:
        self._limits = limits
        self._open: set[asyncio.Timeout] = set()
        self.is_stopping = False
        self.held_bytes = 0

    def stop(self) -> None:
        """Give the uploads that are under way little time, and refuse others."""
        self.is_stopping = True
        until = asyncio.get_running_loop().time() + LAST_S
        for upload in self._open:
            upload.reschedule(min(until, upload.when() or until))

    def check_open(self) -> None:
        """Raise `HTTPException` (503) if the server stops."""
        if self.is_stopping:
            raise busy("the server stops; ask another, or later", 5)

    @contextmanager
    def holding(self) -> Iterator[Holding]:
        """A context in which a body counts as in hand once it has been received."""
        held = Holding(self)
        try:
            yield held
        finally:
            self.held_bytes -= held.count

    async def receive(self, request: Request, held: Holding) -> bytes:
        """The body of `request`.

        Raises:
            HTTPException: It is too large (413), coded otherwise (415), comes too slowly (408), breaks off
                (400), or there is no room for it (503).
        """
        limits = self._limits
        self.check_open()
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise closing(415, "Content-Encoding: only identity is taken; send the images as they are")
        too_large = f"the body is larger than {limits.body_bytes:,} bytes; send fewer or smaller images"
        announced = request.headers.get("content-length", "")
        if announced.isascii() and announced.isdigit() and int(announced[:20]) > limits.body_bytes:
            raise closing(413, too_large)
        body = bytearray()
        try:
            async with asyncio.timeout(limits.upload_s) as upload:
                self._open.add(upload)
                try:
                    async for chunk in request.stream():
                        body += chunk
                        held.add(len(chunk))
                        if len(body) > limits.body_bytes:
                            raise closing(413, too_large)
                        if self.held_bytes > limits.memory_bytes:
                            raise busy("too many bytes are being received; ask again", 1)
                finally:
                    self._open.discard(upload)
        except TimeoutError:
            if self.is_stopping:
                raise busy("the server stops; ask another, or later", 5) from None
            raise closing(408, f"the body did not end within {limits.upload_s:g} s") from None
        except ClientDisconnect:
            raise problem(400, "the body broke off") from None
        return bytes(body)


@dataclass
class Holding:
    """Bytes of one body that count as in hand."""

    intake: Intake
    count: int = 0

    def add(self, count: int) -> None:
        self.count += count
        self.intake.held_bytes += count


async def apart(read: Callable[[], Result], body: bytes) -> Result:
    """What `read` makes of a body; in a thread if the body is large, so that other requests need not wait."""
    return read() if len(body) <= SMALL_BODY else await asyncio.to_thread(read)


def images_in(body: bytes, content_type: str, most: int) -> list[EncodedImage]:
    """The images of a body, by its type: a form, JSON, or the bytes of one image.

    Args:
        body: The body.
        content_type: Its `Content-Type`, with parameters.
        most: Most images.

    Raises:
        HTTPException: The body is none of these (415, 400), or has too many images (413) or none (422).
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        images = list(_of_form(body, _boundary(content_type), most))
    elif kind == "application/json":
        images = _of_json(body)
    elif kind in ("", "application/octet-stream", "application/x-www-form-urlencoded") or kind.startswith(
        "image/"
    ):
        if kind == "application/x-www-form-urlencoded":  # of curl --data-binary
            kind = "application/octet-stream"
        images = [EncodedImage("image 0", body)]
    else:
        raise problem(
            415,
            "Content-Type: must be multipart/form-data, application/json, image/... or "
            "application/octet-stream",
        )
    if len(images) > most:
        raise problem(413, f"{len(images):,} images; at most {most:,} are taken at a time")
    if not images:
        raise problem(422, "no images: the form needs files, or the JSON a list `images`")
    return images


def _boundary(content_type: str) -> bytes:
    boundary = _parameters(content_type).get("boundary", "")
    if not 0 < len(boundary) <= 70 or not boundary.isascii():
        raise problem(400, "Content-Type: multipart/form-data needs a boundary of at most 70 characters")
    return boundary.encode()


def _parameters(header: str) -> dict[str, str]:
    """The parameters of a header by name.

    >>> _parameters('form-data; name="images"; filename="a\\\\"b.png"')
    {'name': 'images', 'filename': 'a"b.png'}
    """
    found: dict[str, str] = {}
    for name, value in _PARAMETER.findall(header):
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        found.setdefault(name.lower(), value)
    return found


def _of_form(body: bytes, boundary: bytes, most: int) -> Iterator[EncodedImage]:
    """The files of a form (RFC 7578), in order; fields that are no files are passed over."""
    broken = problem(400, "the form is broken: a part has no end, or no head")
    mark = b"--" + boundary
    start = 0 if body.startswith(mark) else body.find(b"\r\n" + mark) + 2
    if not body.startswith(mark, start):
        raise broken
    place, count = start + len(mark), 0
    while not body.startswith(b"--", place):
        head_end = body.find(b"\r\n\r\n", place)
        end = body.find(b"\r\n" + mark, head_end + 2)
        if head_end < 0 or end < 0 or head_end - place > 8192:
            raise broken
        head = body[place:head_end].decode("utf-8", "replace")
        names = _disposition(head)
        if "filename" in names:
            if (count := count + 1) > most:
                raise problem(413, f"more than {most:,} images; send them in several requests")
            content = body[head_end + 4 : end]
            if names["filename"] or content:
                yield EncodedImage(names["filename"][:200] or f"image {count - 1}", content)
        place = end + 2 + len(mark)


def _disposition(head: str) -> dict[str, str]:
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-disposition":
            return _parameters(value)
    return {}


def _of_json(body: bytes) -> list[EncodedImage]:
    value = read_json(body)
    images = value.get("images") if isinstance(value, dict) else None
    if not isinstance(images, list):
        raise problem(422, 'the JSON needs a list of images in base64: {"images": ["..."]}')
    unknown = sorted(set(value) - {"images"})
    if unknown:
        raise problem(422, f"the JSON has the unknown field {unknown[0][:100]!r}; it takes images")
    return [EncodedImage(f"image {n}", of_base64(one, f"images[{n}]")) for n, one in enumerate(images)]


def read_json(body: bytes) -> Any:
    """The JSON of a body. Raises `HTTPException`."""
    try:
        return parse_json(body)
    except ValueError as error:
        raise problem(400, f"the body is no JSON that can be taken: {error}") from None


def of_base64(text: Any, where: str) -> bytes:
    """What `text` holds in base64. Raises `HTTPException`, which names the field `where`."""
    if not isinstance(text, str):
        raise problem(422, f"{where}: must be text in base64")
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise problem(422, f"{where}: is not base64") from None
