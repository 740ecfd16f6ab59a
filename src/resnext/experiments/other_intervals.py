"""Intervals beside the one that decides: by the deviation of all arms, and for other images too."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resnext.experiments.claims import Claim
from resnext.experiments.findings import ERROR
from resnext.experiments.ledger import Ledger, Record, judged_split, training_metrics
from resnext.experiments.study import Arm
from resnext.statistics import crossed_bootstrap, pooled_deviation


def pooled_half_width(
    claim: Claim, arms: Sequence[Arm], ledger: Ledger, n: int, confidence: float
) -> tuple[float, int] | None:
    """Half the width of an interval by the deviation that all networks of one recipe and data set share, and
    its degrees of freedom; None if the claim is no sum of errors of such networks.

    It has many more degrees of freedom than the few pairs, and takes two things for granted: that all
    networks vary alike over seeds, and that the runs of a pair are no more alike than others.

    Args:
        claim: The claim.
        arms: Its arms.
        ledger: All records.
        n: Runs of each arm.
        confidence: Of the interval.
    """
    from scipy.special import stdtrit

    weights = claim.weights_of_arms
    if weights is None or claim.metric != ERROR or n < 2:
        return None
    if len({(arm.data, arm.unlike_others) for arm in arms}) > 1:
        return None
    by_network = ledger.alike(arms[0])
    groups = [
        [training_metrics(one).get(ERROR, math.nan) for one in own.values()] for own in by_network.values()
    ]
    deviation, freedom = pooled_deviation([[e for e in own if math.isfinite(e)] for own in groups])
    if freedom < 1:
        return None
    spread = deviation * math.sqrt(sum(weight**2 for weight in weights.values()) / n)
    return float(stdtrit(freedom, (1 + confidence) / 2)) * spread, freedom


def interval_with_images(
    claim: Claim, records: Sequence[Mapping[str, Record]], confidence: float
) -> tuple[float, float] | None:
    """The interval for other seeds and other images of the same kind, which belong together in pairs.

    None where a record does not say which images were classified correctly, as those of earlier versions.

    Args:
        claim: The claim.
        records: For each seed the record of each arm.
        confidence: Of the interval.
    """
    weights = claim.weights_of_arms
    if weights is None or claim.metric != ERROR or len(records) < 2:
        return None
    wrong = [own for seed in records for arm in weights if (own := _wrong(seed[arm])) is not None]
    if len(wrong) < len(records) * len(weights) or len({len(own) for own in wrong}) > 1:
        return None
    by_arm = np.stack(wrong).reshape(len(records), len(weights), -1)
    differences = np.einsum("a,san->sn", np.array([*weights.values()]), by_arm)
    return crossed_bootstrap(100 * differences, confidence)


def pack_correct(correct: NDArray[np.bool_]) -> str:
    """Which images (N,) were classified correctly, one bit each, as base64.

    >>> pack_correct(np.array([True, False, True]))
    'oA=='
    """
    return base64.b64encode(np.packbits(correct).tobytes()).decode()


def unpack_correct(text: str, count: int) -> NDArray[np.bool_]:
    """Inverse of `pack_correct`. Raises `ValueError` where the text has no `count` bits."""
    bits = np.unpackbits(np.frombuffer(base64.b64decode(text, validate=True), np.uint8))
    if not count <= len(bits) < count + 8:
        raise ValueError(f"correct: {len(bits)} bits are not those of {count} images")
    return bits[:count].astype(bool)


def _wrong(record: Record) -> NDArray[np.float64] | None:
    split = judged_split(record)
    correct: Any = record.get("correct", {}).get(split)
    if correct is None:
        return None
    is_correct = unpack_correct(correct, record["metrics"][split]["count"])
    return np.where(is_correct, 0.0, 1.0)
