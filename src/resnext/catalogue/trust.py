"""What a fetched file contained when it was first used: its SHA-256, compared ever after.

A record is a file of one line, as `sha256sum` writes it, in a folder of this user.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from resnext.catalogue.errors import DamagedWeights
from resnext.files import ordinary, write_whole
from resnext.parsing import read_text

_DIGEST = re.compile("[0-9a-f]{64}")


def cache_folder() -> Path:
    """Where records and added weights are kept: RESNEXT_CACHE, or `resnext` among the user's caches."""
    if given := os.environ.get("RESNEXT_CACHE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "resnext"


def file_digest(path: Path) -> str:
    """SHA-256 of the file at `path`, as 64 hexadecimal digits. Raises `OSError`."""
    with open(path, "rb", opener=ordinary) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_trusted(what: str, path: Path) -> None:
    """Compare the file at `path` with the record of `what`, which is made if there is none.

    Args:
        what: Repository, revision and name of the file.
        path: The file.

    Raises:
        DamagedWeights: It is another file than at its first use.
    """
    known = recorded_digest(what)
    if known is None:
        record_digest(what, path)
    elif (digest := file_digest(path)) != known:
        raise DamagedWeights(
            f"{path}: is not the file that {what} was at its first use (SHA-256 {digest[:16]}..., then "
            f"{known[:16]}...). If its publisher has replaced it and you trust the new file, remove "
            f"{_record(what)}"
        )


def record_digest(what: str, path: Path) -> None:
    """Make the file at `path` the one that `what` means from now on."""
    record = _record(what)
    record.parent.mkdir(parents=True, exist_ok=True)
    write_whole(record, f"{file_digest(path)}  {what}\n")


def recorded_digest(what: str) -> str | None:
    """The SHA-256 in the record of `what`; None if there is none, or none that can be read."""
    try:
        digest = read_text(_record(what)).split(" ")[0]
    except (OSError, ValueError):
        return None
    return digest if _DIGEST.fullmatch(digest) else None


def _record(what: str) -> Path:
    return cache_folder() / "trusted" / (re.sub(r"[^\w.@=-]", "--", what) + ".sha256")
