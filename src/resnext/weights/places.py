"""Where the weights of a run lie."""

from __future__ import annotations

from pathlib import Path

from resnext.catalogue import CONFIG_FILE as CONFIG_FILE
from resnext.catalogue import HUB_WEIGHTS_FILES, file_digest
from resnext.weights.errors import WeightsError

WEIGHTS_FILE = HUB_WEIGHTS_FILES[0]
#: Names of the weights in a hub folder, the preferred one first.
WEIGHTS_FILES = (*HUB_WEIGHTS_FILES, "pytorch_model.pth", "model.pth")


def weights_digest(path: Path) -> str:
    """SHA-256 of the weights at `path`. Raises `WeightsError`."""
    try:
        return file_digest(weights_file(path))
    except OSError as error:
        raise WeightsError(f"{path}: the weights cannot be read ({error.strerror})") from None


def weights_file(path: Path) -> Path:
    """The file of weights in a run folder or a hub folder, or `path` itself. Raises `WeightsError` for a run
    that has not finished."""
    if hint := explain_unfinished(path):
        raise WeightsError(hint)
    for folder in (path / "model", path):
        if folder.is_dir():
            return file_in(folder)
    return path


def file_in(folder: Path) -> Path:
    """The file of weights in a hub folder; the usual name if there is none."""
    files = (folder / name for name in WEIGHTS_FILES)
    return next((file for file in files if file.exists()), folder / WEIGHTS_FILE)


def explain_unfinished(path: Path) -> str:
    """What to do about a run folder that has no model yet; empty if `path` is something else."""
    if (path / "model").is_dir() or not (path / "metrics.jsonl").exists():
        return ""
    return (
        f"{path}: this run has not finished; `resnext train DATA --runs {path.parent} --name {path.name} "
        "--resume must` resumes it"
    )
