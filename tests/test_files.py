"""Nothing is written through a link, and nobody waits for a pipe."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from resnext.files import as_it_is, find_link, naming, ordinary, write_output, write_whole


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("keep")
    return tmp_path / "secret"


@pytest.mark.parametrize("mode", ["a", "w", "r+"])
def test_links_pipes_and_devices_are_not_opened(mode: str, secret: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(secret)
    (tmp_path / "nowhere").symlink_to(tmp_path / "new")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "nowhere", "pipe"):
        with pytest.raises(FileExistsError, match="link or no ordinary file"):
            open(tmp_path / name, mode, opener=as_it_is).close()
    assert secret.read_text() == "keep"
    assert not (tmp_path / "new").exists()


def test_ordinary_files_are_opened_as_ever(tmp_path: Path) -> None:
    for text in ("a", "b"):
        with open(tmp_path / "x", "a", opener=as_it_is) as file:
            file.write(text)
    assert (tmp_path / "x").read_text() == "ab"
    (tmp_path / "plain").touch()
    assert (tmp_path / "x").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_only_ordinary_files_are_read_and_nobody_waits(secret: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(secret)
    with open(tmp_path / "link", opener=ordinary) as file:
        assert file.read() == "keep"
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to-pipe").symlink_to(tmp_path / "pipe")
    (tmp_path / "round").symlink_to(tmp_path / "round")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for place in ("pipe", "to-pipe", "socket", "round", "/dev/zero"):
            with pytest.raises(OSError, match="a pipe, socket or device, not a file"):
                open(tmp_path / place, "rb", opener=ordinary).close()
    with pytest.raises(IsADirectoryError):
        open(tmp_path, "rb", opener=ordinary).close()
    with pytest.raises(FileNotFoundError):
        open(tmp_path / "none", "rb", opener=ordinary).close()


def test_no_handle_is_left_open(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    before = len(os.listdir("/proc/self/fd"))
    for opener, mode in ((ordinary, "rb"), (as_it_is, "ab")):
        for place in (tmp_path / "pipe", Path("/dev/null")):
            with pytest.raises(OSError, match="file"):
                open(place, mode, opener=opener).close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_link_in_the_place_of_a_file_or_its_part_is_replaced(secret: Path, tmp_path: Path) -> None:
    for name in ("x", "x.part"):
        (tmp_path / name).symlink_to(secret)
    write_whole(tmp_path / "x", "caf\udce9")
    assert (tmp_path / "x").read_bytes() == rb"caf\udce9"
    assert not (tmp_path / "x").is_symlink()
    assert secret.read_text() == "keep"
    assert {path.name for path in tmp_path.iterdir()} == {"secret", "x"}


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    write_whole(tmp_path / "x", "old")
    monkeypatch.setattr(os, "fsync", full)
    for write in (write_whole, write_output):
        with pytest.raises(OSError, match="No space") as error:
            write(tmp_path / "x", "new")
        assert error.value.filename == str(tmp_path / "x")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_an_error_that_names_no_file_gets_its_name() -> None:
    for error in (OSError(errno.EIO, "bad", "other"), ValueError("no error of the system")):
        with pytest.raises(type(error)) as raised, naming("x"):
            raise error
        assert raised.value is error
        assert getattr(error, "filename", "other") == "other"
    with pytest.raises(OSError, match=r"^x: cannot be written \(4 requested and 0 written\)$"), naming("x"):
        raise OSError("4 requested and 0 written")  # as numpy tells of a full disk


def test_output_is_written_whole_through_links_and_to_pipes_at_once(secret: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(secret)
    write_output(tmp_path / "link", "caf\udce9")
    assert (tmp_path / "link").is_symlink()
    assert secret.read_bytes() == rb"caf\udce9"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_output(tmp_path / "pipe", "through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert {path.name for path in tmp_path.iterdir()} == {"secret", "link", "pipe"}


def test_the_output_of_the_process_is_not_replaced(tmp_path: Path) -> None:
    code = "import resnext.files as f; from pathlib import Path; f.write_output(Path('/dev/stdout'), 'all')"
    with open(tmp_path / "x", "w") as file:
        place = os.fstat(file.fileno())
        subprocess.run([sys.executable, "-c", code], stdout=file, check=True)
    assert os.path.samestat((tmp_path / "x").stat(), place)
    assert (tmp_path / "x").read_text() == "all"
    assert os.path.exists("/dev/stdout")


def test_links_are_found_at_any_depth_but_not_the_folder_itself(secret: Path, tmp_path: Path) -> None:
    (tmp_path / "run" / "deep").mkdir(parents=True)
    (tmp_path / "run" / "others" / "logs").mkdir(parents=True)
    (tmp_path / "run" / "others" / "logs" / "latest").symlink_to(secret)
    (tmp_path / "alias").symlink_to(tmp_path / "run")
    assert find_link(tmp_path / "alias", skipped="others") is None
    (tmp_path / "run" / "deep" / "x").symlink_to(secret)
    assert find_link(tmp_path / "alias", skipped="others") == tmp_path / "alias" / "deep" / "x"
    (tmp_path / "run" / "deep" / "x").unlink()
    (tmp_path / "run" / "deep").rmdir()
    (tmp_path / "run" / "deep").symlink_to(tmp_path)  # a folder
    assert find_link(tmp_path / "run", skipped="others") == tmp_path / "run" / "deep"
