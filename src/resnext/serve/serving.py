"""`serve`: the models of a command line behind a socket, until somebody asks to stop."""

from __future__ import annotations

import errno
import importlib
import ipaddress
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from resnext.errors import PackageMissing, ResnextError, UsageError
from resnext.recipe.options import EngineName
from resnext.serve.limits import LIMITS, RequestLimits

#: Connections that wait to be accepted.
BACKLOG = 512


class ServeError(ResnextError):
    """A server that cannot begin, or whose processes end by themselves."""

    exit_code = 5


@dataclass(frozen=True)
class ServeOptions:
    """How models are served.

    Attributes:
        host: Address to listen at.
        port: Port; 0 chooses a free one.
        workers: Processes that answer, each with its own copy of the models and its share of the cores.
        device: Where the models compute; the best there is if None.
        engine: What computes them; the usual one of each if None.
        token: Bearer token that requests need; none if None.
        origins: Origins of other pages that may ask.
        reload_s: Seconds between two looks at the files of the models; 0 never looks.
        limits: Bounds of requests.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    device: str | None = None
    engine: EngineName | None = None
    token: str | None = field(default=None, repr=False)
    origins: tuple[str, ...] = ()
    reload_s: float = 2.0
    limits: RequestLimits = LIMITS


def serve(
    models: dict[str, str], options: ServeOptions | None = None, say: Callable[[str], object] = print
) -> None:
    """Serve models until SIGTERM or SIGINT; then answer what was accepted.

    Args:
        models: Path or public name of each model, by the name that it gets in addresses.
        options: How; at 127.0.0.1:8000 by default.
        say: Called with a line for people, once requests are answered, and when something happens.

    Raises:
        PackageMissing: The extra `serve` is not installed.
        UsageError: The address cannot be listened at.
        ModelError: A model cannot be opened.
        ServeError: A process of several has ended by itself, again and again.
    """
    options = options or ServeOptions()
    check_installed()
    listener = listen(options.host, options.port)
    try:
        from resnext.serve.processes import run_one, run_several

        if options.workers == 1:
            run_one(models, options, listener, say)
        else:
            run_several(models, options, listener, say)
    finally:
        listener.close()


def check_installed() -> None:
    """Raise `PackageMissing` if the extra `serve` is not installed."""
    try:
        for library in ("fastapi", "uvicorn"):
            importlib.import_module(library)
    except ImportError:
        raise PackageMissing(
            "resnext serve needs FastAPI and uvicorn; pip install 'resnext[serve]'"
        ) from None


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens at an address.

    Raises:
        UsageError: The port is in use, or the address is not one of this machine.
        OSError: There is no permission.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise UsageError(f"--host {host}: is no address of this machine; say 127.0.0.1 or 0.0.0.0") from None
    # `localhost` is two addresses: the one that everybody tries.
    family, _, _, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise UsageError(f"--port {port}: is in use; say another, or 0 for a free one") from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise UsageError(
                f"--host {host}: is no address of this machine; say 127.0.0.1 or 0.0.0.0"
            ) from None
        raise
    listener.set_inheritable(True)
    return listener


def address_of(listener: socket.socket) -> str:
    """The address of a listening socket, as a browser takes it."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0"), is_loopback("localhost")
    (True, True, False, True)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_token(path: Path | None) -> str | None:
    """The token in a file, or in the variable RESNEXT_TOKEN; None if neither is given.

    Raises:
        UsageError: It is too short to be a secret, or no such token.
    """
    from resnext.parsing import read_text

    if path is None:
        token, where = os.environ.get("RESNEXT_TOKEN"), "RESNEXT_TOKEN"
        if token is None:
            return None
    else:
        where = f"--token-file {path}"
        try:
            token = read_text(path, 2**12)
        except ValueError as error:
            raise UsageError(f"{where}: {error}") from None
    token = token.strip()
    if len(token) < 16 or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(
            f"{where}: must be at least 16 printable characters of ASCII without blanks, as of "
            "`openssl rand -hex 24`"
        )
    return token
