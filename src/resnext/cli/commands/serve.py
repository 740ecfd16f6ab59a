"""`resnext serve`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from tyro.conf import Positional, arg

from resnext.cli.command import Command
from resnext.cli.option_checks import check_model, check_not_negative, check_positive
from resnext.cli.out_of_memory import device_hint
from resnext.cli.screen import say
from resnext.errors import UsageError
from resnext.recipe.options import EngineName

#: Highest number of a port.
MAX_PORT = 65_535


@dataclass(frozen=True)
class ServeCommand(Command):
    """Answer images over HTTP: a page for people, JSON and the Open Inference Protocol for programs."""

    name: ClassVar[str] = "serve"

    models: Annotated[Positional[tuple[str, ...]], arg(metavar="MODEL")]
    """Run folders, hub folders, weights files with their contract or exported files, as PATH or NAME=PATH."""
    host: str = "127.0.0.1"
    """Address to listen at; 0.0.0.0 lets other machines in."""
    port: int = 8000
    """Port; 0 chooses a free one."""
    token_file: Path | None = None
    """File with the token that requests must bring; that in the variable RESNEXT_TOKEN, if left out."""
    cors: tuple[str, ...] = ()
    """Origins of other sites whose pages may ask, such as https://example.org."""
    workers: int = 1
    """Processes that answer, each with its own copy of the models and its share of the cores."""
    engine: EngineName | None = None
    """What computes the models: torch, or what reads an exported file, if left out; auto measures which is
    the fastest here."""
    device: str | None = None
    """cpu, cuda, cuda:1, mps; the best there is if left out."""
    batch: int = 32
    """Most images that are computed together."""
    wait_ms: float = 0.0
    """Longest time that an image waits for others to fill its batch while nothing is computed."""
    queue: int = 256
    """Most images that wait; beyond them the answer is 503 with Retry-After."""
    max_mb: int = 32
    """Largest request, in megabytes (2^20 bytes)."""
    max_images: int = 64
    """Most images of a request."""
    max_megapixels: float = 40.0
    """Largest image, in millions of pixels."""
    deadline_s: float = 30.0
    """Longest time until a request that has been received is answered."""
    reload_s: float = 2.0
    """Seconds between two looks at the files of the models, which are opened again when they change; 0 never
    looks."""

    @property
    def memory_hint(self) -> str:
        return device_hint(self.device)

    def run(self) -> None:
        self._check()
        from resnext.serve import RequestLimits, ServeOptions, serve
        from resnext.serve.naming import name_models
        from resnext.serve.serving import check_installed, is_loopback, read_token

        named, token = name_models(self.models), read_token(self.token_file)
        for place in named.values():
            check_model(place)
        check_installed()
        if token is None and not is_loopback(self.host):
            say(
                f"note: --host {self.host}: whoever reaches it may ask; --token-file asks for a token",
                file=sys.stderr,
            )
        limits = RequestLimits(
            body_bytes=self.max_mb * 2**20,
            images=self.max_images,
            pixels=int(self.max_megapixels * 1e6),
            queue=self.queue,
            memory_bytes=max(256, 4 * self.max_mb) * 2**20,
            batch=self.batch,
            wait_s=self.wait_ms / 1000,
            deadline_s=self.deadline_s,
        )
        options = ServeOptions(
            host=self.host,
            port=self.port,
            workers=self.workers,
            device=self.device,
            engine=self.engine,
            token=token,
            origins=self.cors,
            reload_s=self.reload_s,
            limits=limits,
        )
        serve(named, options, lambda line: say(line, flush=True))

    def _check(self) -> None:
        if not self.models:
            raise UsageError("serve needs MODEL: a run folder, a hub folder or an exported file")
        check_positive(self, "workers", "batch", "queue", "max_mb", "max_images")
        check_not_negative(self, "port", "wait_ms", "reload_s")
        if self.port > MAX_PORT:
            raise UsageError(f"--port {self.port}: must be at most {MAX_PORT}")
        if self.max_images > self.queue:
            raise UsageError(
                f"--max-images {self.max_images}: must be at most --queue {self.queue}, or a full request "
                "never finds room"
            )
        for name in ("max_megapixels", "deadline_s"):
            if not 0 < (value := getattr(self, name)) < float("inf"):
                raise UsageError(f"--{name.replace('_', '-')} {value:g}: must be positive")
        for origin in self.cors:
            if not origin.startswith(("http://", "https://")) or origin.count("/") != 2:
                raise UsageError(f"--cors {origin}: must be an origin, as https://example.org")
