"""`RequestLimits`: what one request may ask for, and what all of them together may hold."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 2**20


@dataclass(frozen=True)
class RequestLimits:
    """Bounds of requests.

    Attributes:
        body_bytes: Most bytes of the body of a request.
        images: Most images of a request.
        pixels: Most pixels of an image.
        queue: Most images that are accepted and not answered yet, of all requests.
        memory_bytes: Most bytes of all bodies that are being received or worked on.
        batch: Most images that are computed together.
        wait_s: Longest time that an image waits for others to fill its batch while nothing is computed.
        upload_s: Longest time from the head of a request to the end of its body.
        deadline_s: Longest time from the end of the body to the answer.
        stop_s: Time that accepted requests have to be answered once the server is asked to stop.
    """

    body_bytes: int = 32 * MIB
    images: int = 64
    pixels: int = 40_000_000
    queue: int = 256
    memory_bytes: int = 256 * MIB
    batch: int = 32
    wait_s: float = 0.0
    upload_s: float = 20.0
    deadline_s: float = 30.0
    stop_s: float = 7.0


#: The usual ones.
LIMITS = RequestLimits()
