"""A hub on the loopback that answers as the real one does, and caches of its own for each test."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

COMMIT, OLDER = "c" * 40, "0" * 40
_RESOLVE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


@dataclass
class LoopbackHub:
    """What the hub has, how it misbehaves, and what it was asked for.

    Args:
        files: Content by repository, revision and name. Large files have a digest of their own there, as with
            Git LFS: those that end in .safetensors or .bin.
        cut_after: Bytes after which the connection breaks, once.
        swapped: Byte of the next large file that is sent changed.
    """

    files: dict[tuple[str, str, str], bytes] = field(default_factory=dict)
    cut_after: int | None = None
    swapped: int | None = None
    asked: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)

    def add(self, repository: str, revision: str = "main", **files: bytes) -> None:
        for name, content in files.items():
            stem, _, suffix = name.rpartition("_")
            self.files[repository, revision, f"{stem}.{suffix}"] = content


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: LoopbackHub
    server: ThreadingHTTPServer

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(send=False)

    def do_GET(self) -> None:
        self._answer(send=True)

    def _answer(self, send: bool) -> None:
        self.hub.asked.append(f"{self.command} {self.path}")
        if self.path.startswith("/lfs/"):
            self._send_large(self.path.removeprefix("/lfs/"), send)
        elif match := _RESOLVE.fullmatch(self.path):
            self._resolve(*match.groups(), send=send)
        elif self.path.startswith("/api/models/"):
            self._head(200, {"Content-Type": "application/json"}, b'{"sha": "%s"}' % COMMIT.encode(), send)
        else:
            self._head(200, {}, b"", send)

    def _resolve(self, repository: str, revision: str, name: str, send: bool) -> None:
        known = {(repo, rev) for repo, rev, _ in self.hub.files}
        if repository not in {repo for repo, _ in known}:
            self._head(401, {"X-Error-Code": "RepoNotFound"}, b"", send)
        elif (repository, revision) not in known:
            self._head(404, {"X-Error-Code": "RevisionNotFound"}, b"", send)
        elif (repository, revision, name) not in self.hub.files:
            self._head(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}, b"", send)
        else:
            self._send_file(self.hub.files[repository, revision, name], revision, name, send)

    def _send_file(self, content: bytes, revision: str, name: str, send: bool) -> None:
        headers = {"X-Repo-Commit": COMMIT if revision == "main" else OLDER}
        if name.endswith((".safetensors", ".bin")):
            digest = hashlib.sha256(content).hexdigest()
            headers |= {"X-Linked-ETag": f'"{digest}"', "X-Linked-Size": str(len(content))}
            store = f"http://localhost:{self.server.server_port}"  # another host, as the real one has
            self._head(302, headers | {"Location": f"{store}/lfs/{digest}"}, b"", send)
        else:
            self._head(200, headers | {"ETag": f'"{hashlib.sha1(content).hexdigest()}"'}, content, send)

    def _send_large(self, digest: str, send: bool) -> None:
        content = next(c for c in self.hub.files.values() if hashlib.sha256(c).hexdigest() == digest)
        if self.hub.swapped is not None:
            at, self.hub.swapped = self.hub.swapped, None
            content = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        status, headers, start = 200, {"ETag": f'"{digest}"'}, 0
        if wanted := self.headers.get("Range"):
            self.hub.ranges.append(wanted)
            start = int(wanted.removeprefix("bytes=").split("-")[0])
            status = 206
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._head(status, headers, content[start:], send)

    def _head(self, status: int, headers: dict[str, str], body: bytes, send: bool) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not send:
            return
        if self.hub.cut_after is not None and len(body) > self.hub.cut_after:
            body, self.hub.cut_after = body[: self.hub.cut_after], None
            self.close_connection = True
        self.wfile.write(body)


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches, of the hub's client and of our own."""
    pytest.importorskip("huggingface_hub", reason="the extra hub is not installed")
    from huggingface_hub import constants

    monkeypatch.setenv("RESNEXT_CACHE", str(tmp_path / "resnext"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return tmp_path


@pytest.fixture
def hub(caches: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    from huggingface_hub import constants

    state = LoopbackHub()
    handler = type("Handler", (_Handler,), {"hub": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    yield state
    server.shutdown()
    server.server_close()


def config_json(**fields: Any) -> bytes:
    return json.dumps(fields).encode()
