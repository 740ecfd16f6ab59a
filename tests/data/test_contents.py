"""Digests and stamps of images, and the file that keeps them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from resnext.data.contents import (
    NO_DIGEST,
    Contents,
    content_digest,
    contents_digest,
    files_stamp,
    from_bytes,
    size_and_time,
    to_bytes,
)

CONTENTS = {
    "train": Contents(np.array([1, 2**64 - 1, 3], np.uint64), np.array([-(2**63), 0, 2**62])),
    "val": Contents(np.array([4], np.uint64), np.array([5])),
}


def test_a_digest_is_the_beginning_of_sha256() -> None:
    for content in (b"", b"cat", bytes(10**6)):
        assert f"{content_digest(content):016x}" == hashlib.sha256(content).hexdigest()[:16]
    assert content_digest(None) == NO_DIGEST


def test_the_digest_of_a_set_is_of_each_image_in_its_split() -> None:
    def digest(**splits: list[int]) -> str:
        return contents_digest(
            {name: Contents(np.array(d, np.uint64), np.zeros(len(d), np.int64)) for name, d in splits.items()}
        )

    others = [
        digest(train=[1, 2], val=[3]),
        digest(train=[2, 1], val=[3]),
        digest(train=[1], val=[2, 3]),
        digest(train=[1, 2], test=[3]),
        digest(train=[1, 2]),
    ]
    assert len(set(others)) == len(others)
    assert digest(train=[1, 2], val=[3]) == others[0]


def test_what_is_kept_is_read_again_and_no_part_of_it() -> None:
    kept = to_bytes(CONTENTS)
    found = from_bytes(kept)
    assert found.keys() == CONTENTS.keys()
    for name, one in found.items():
        np.testing.assert_array_equal(one.digests, CONTENTS[name].digests)
        np.testing.assert_array_equal(one.stamps, CONTENTS[name].stamps)
    for size in range(0, len(kept), 13):
        with pytest.raises(ValueError):
            from_bytes(kept[:size])


def test_a_stamp_changes_with_size_and_time(tmp_path: Path) -> None:
    one, other = tmp_path / "1", tmp_path / "2"
    one.write_bytes(b"1")
    other.write_bytes(b"2")
    os.utime(one, ns=(5, 5))
    assert size_and_time(one) == (1, 5)
    stamps = [files_stamp([one, other])]
    os.utime(one, ns=(6, 6))
    stamps.append(files_stamp([one, other]))
    one.write_bytes(b"11")
    os.utime(one, ns=(6, 6))
    stamps.append(files_stamp([one, other]))
    one.unlink()
    stamps.append(files_stamp([one, other]))
    assert len(set(stamps)) == 4
    assert all(0 <= stamp < 2**63 for stamp in stamps)
