"""Addresses and tokens."""

from __future__ import annotations

from pathlib import Path

import pytest

from resnext.errors import UsageError
from resnext.serve.serving import ServeOptions, address_of, listen, read_token


def test_a_port_in_use_and_an_address_of_nobody() -> None:
    with listen("127.0.0.1", 0) as one:
        port = one.getsockname()[1]
        assert address_of(one) == f"http://127.0.0.1:{port}"
        with pytest.raises(UsageError, match=f"--port {port}: is in use"):
            listen("127.0.0.1", port)
    for host in ("192.0.2.1", "no.such.host.invalid", "x" * 300):
        with pytest.raises(UsageError, match="is no address of this machine"):
            listen(host, 0)


def test_a_token_comes_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RESNEXT_TOKEN", raising=False)
    assert read_token(None) is None
    path = tmp_path / "token"
    path.write_text("0123456789abcdef\n")
    assert read_token(path) == "0123456789abcdef"
    monkeypatch.setenv("RESNEXT_TOKEN", "fedcba9876543210")
    assert read_token(None) == "fedcba9876543210"
    assert "fedcba" not in repr(ServeOptions(token="fedcba9876543210"))
    for bad in ("", "short", "0123456789 abcdef", "0123456789abcdé" * 2):
        path.write_text(bad)
        with pytest.raises(UsageError, match="must be at least 16 printable"):
            read_token(path)
