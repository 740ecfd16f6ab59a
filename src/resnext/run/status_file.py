"""status.json: how a run stands, and which process says so."""

from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime
from pathlib import Path

from resnext.files import as_it_is, write_whole
from resnext.parsing import build, read_json
from resnext.run.documents import StatusDocument, to_json_text


class StatusFile:
    """A small file that is replaced as a whole, and overwritten in place where that fails.

    Overwriting takes no room on a full disk, and reaches a folder that was moved.

    Attributes:
        path: The file.
        writer: Who writes it, in the file too: pids of other hosts and containers may be equal.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writer = uuid.uuid4().hex
        self._handle: int | None = None

    def write(self, state: str, why: str) -> None:
        """Say how the run stands. Raises `OSError`."""
        text = status_text(state, why, self.writer)
        try:
            write_whole(self.path, text)
        except OSError:
            self._overwrite(text.encode(errors="backslashreplace"))
        else:
            self.close()
            self._handle = os.open(self.path, os.O_WRONLY)

    def is_replaced(self) -> bool:
        """Whether another process has written the file since this one did.

        False where this process has not written it, or it is gone or damaged, as a full disk may leave it.
        The words tell, and not the number of the file: some file systems give one file two, and on a full
        disk it is overwritten in place.
        """
        if self._handle is None:
            return False
        try:
            status = build(StatusDocument, read_json(self.path), "status")
        except (OSError, ValueError):
            return False
        return status.process != self.writer

    def close(self) -> None:
        """Let go of the file."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _overwrite(self, content: bytes) -> None:
        if self._handle is None:
            self._handle = as_it_is(str(self.path), os.O_WRONLY)
        os.lseek(self._handle, 0, os.SEEK_SET)
        os.write(self._handle, content)
        os.ftruncate(self._handle, len(content))


def status_text(state: str, why: str, writer: str = "") -> str:
    """status.json.

    Args:
        state: `running`, `finished`, `resumable` or `failed`.
        why: The reason, for people.
        writer: See `StatusFile`; nobody's if empty.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    value = {"state": state, "why": why, "time_utc": now, "pid": os.getpid(), "process": writer}
    return to_json_text(value)
