"""`BoundedConnection`: HTTP as uvicorn speaks it, with limits for clients that never finish."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from resnext.serve.problems import MEDIA_TYPE

#: Seconds that the head of a request may take, from the connection or from its first byte.
HEAD_S = 10.0
#: Most connections at a time: each takes an open file, of which processes often have 1,024.
MAX_CONNECTIONS = 600


class BoundedConnection(H11Protocol):
    """A connection of a client.

    It is closed if there are too many, or if the head of a request takes too long; what is no HTTP is
    answered by problem details.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        if len(self.connections) > MAX_CONNECTIONS:
            self.transport.abort()
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._forget_head()
        elif self._head_timer is None and self.conn.their_state is h11.IDLE:
            self._expect_head()

    def send_400_response(self, msg: str) -> None:
        detail = "this is no HTTP that can be read"
        body = json.dumps({"title": "Bad Request", "status": 400, "detail": detail, "error": detail}).encode()
        headers = [("content-type", MEDIA_TYPE), ("connection", "close"), ("content-length", str(len(body)))]
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE) and self.cycle_is_over:
            response = h11.Response(status_code=400, headers=headers, reason="Bad Request")
            for event in (response, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    @property
    def cycle_is_over(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_S, self._give_up)

    def _forget_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        if self.cycle_is_over and not self.transport.is_closing():
            self.transport.close()
