"""status.json: how a run stands, and which process says so."""

from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime
from pathlib import Path

from resnext.files import as_it_is, write_whole
from resnext.parsing import read_text
from resnext.run.documents import to_json_text

#: Tells processes apart whose pids are equal, on other hosts or in other containers.
PROCESS = uuid.uuid4().hex


class StatusFile:
    """A small file that is replaced as a whole, and overwritten in place where that fails.

    Overwriting takes no room on a full disk, and reaches a folder that was moved.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None
        self._text = ""

    def write(self, text: str) -> None:
        """Make `text` the content. Raises `OSError`."""
        try:
            write_whole(self.path, text)
        except OSError:
            self._overwrite(text.encode(errors="backslashreplace"))
        else:
            self.close()
            self._handle = os.open(self.path, os.O_WRONLY)
        self._text = text

    def is_replaced(self) -> bool:
        """Whether another process has written the file since this one did.

        False where this process has not written it, or it is gone. The words tell, and not the number of the
        file: some file systems give one file two, and a full disk is why it was overwritten in place.
        """
        if self._handle is None:
            return False
        try:
            return read_text(self.path) != self._text
        except (OSError, ValueError):
            return False

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


def status_text(state: str, why: str = "") -> str:
    """status.json."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    value = {"state": state, "why": why, "time_utc": now, "pid": os.getpid(), "process": PROCESS}
    return to_json_text(value)
