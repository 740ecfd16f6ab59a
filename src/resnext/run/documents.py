"""The JSON files of a run folder as typed values.

Only what is read is listed: other versions may write more, and earlier ones wrote less. Keys are those of the
files.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Annotated, Any

from resnext.data.obeying import ManifestNote
from resnext.names import printable_lines
from resnext.parsing import MAX_INTEGER, Extensible, Range

Count = Annotated[int, Range(0, MAX_INTEGER)]
Seconds = Annotated[float, Range(-1e9, 1e9)]
Percent = Annotated[float, Range(-1e-6, 100 + 1e-6)]


@dataclass(frozen=True)
class WeightsOrigin(Extensible):
    """The weights that a run starts from."""

    path: str
    sha256: str
    new_head: bool


@dataclass(frozen=True)
class DataDocument(Extensible):
    """data.json: the data of a run, and what it starts from.

    `counts` are images by split; `train_counts` those of train by class, in the order of contract.json, empty
    if an earlier version did not count them. `skipped` are name and error of the images that are left out, by
    split and by index. `contents` is the digest of what all images held; empty if an earlier version did not
    read it. `manifest` is what one did to the data, if there was one.
    """

    name: str
    fingerprint: str
    contents: str = ""
    counts: dict[str, Count] = field(default_factory=dict)
    train_counts: tuple[Count, ...] = ()
    skipped: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    weights: WeightsOrigin | None = None
    manifest: ManifestNote | None = None

    def __post_init__(self) -> None:
        for split, bad in self.skipped.items():
            for index in bad:
                if not index.isdecimal() or len(index) > len(str(MAX_INTEGER)):
                    raise ValueError(f"data.skipped.{split}: {index!r} is no index of an image")


@dataclass(frozen=True)
class EnvironmentDocument(Extensible):
    """environment.json: where a run found its data; empty if an earlier version did not say."""

    data: str = ""


@dataclass(frozen=True)
class StatusDocument(Extensible):
    """status.json; earlier versions did not say whose it is."""

    state: str
    process: str = ""


@dataclass(frozen=True)
class RunMetrics(Extensible):
    """The metrics in result.json."""

    best_epoch: Count


@dataclass(frozen=True)
class RunCost(Extensible):
    """The cost in result.json."""

    params: Count
    macs: Count
    activations: Count


@dataclass(frozen=True)
class RunWaits(Extensible):
    """Where the time went, in seconds; `rest_s` is 0 if an earlier version did not measure it."""

    data_s: Seconds
    compute_s: Seconds
    evaluation_s: Seconds
    transfer_s: Seconds = 0.0
    rest_s: Seconds = 0.0


@dataclass(frozen=True)
class ResultDocument(Extensible):
    """result.json."""

    metrics: RunMetrics
    cost: RunCost
    seconds: Seconds
    pictures_per_s: Seconds
    time_utc: str
    device: str
    versions: dict[str, str]
    command: str
    commit: str | None = None
    dirty: bool | None = None
    waits: RunWaits | None = None


@dataclass(frozen=True)
class StoredProgress(Extensible):
    """The progress of a run in a checkpoint."""

    best_epoch: Count
    best_error: float
    best_loss: float
    seconds: Seconds
    pictures: Count
    data_s: Seconds
    transfer_s: Seconds
    since_best: Count = 0
    evaluation_s: Seconds = 0.0
    wall_s: Seconds | None = None


@dataclass(frozen=True)
class StoredSums(Extensible):
    """The sums over an epoch so far in a checkpoint."""

    loss: float
    correct: Count
    pictures: Count
    seconds: Seconds
    data_s: Seconds
    transfer_s: Seconds


@dataclass(frozen=True)
class EpochLine(Extensible):
    """A line of metrics.jsonl about a whole epoch; of a run that fits the head, about one `penalty`."""

    epoch: Count
    train_loss: float
    train_top1_error: Percent
    val_loss: float
    val_top1_error: Percent
    penalty: float | None = None


def to_json_text(value: Any) -> str:
    """`value` as a JSON file for people."""
    return printable_lines(json.dumps(value, indent=2, ensure_ascii=False)) + "\n"
