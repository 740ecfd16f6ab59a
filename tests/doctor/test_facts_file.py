"""Facts are found again, whatever happened to the end of the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from resnext.data.decode import DataError
from resnext.doctor.facts import FACTS
from resnext.doctor.facts_file import HEAD, FactsFile


def make(idents: list[int]) -> np.ndarray:
    facts = np.zeros(len(idents), FACTS)
    facts["ident"], facts["phash"] = idents, [7 * ident for ident in idents]
    return facts


def known(path: Path, idents: list[int], others: tuple[Path, ...] = ()) -> list[int]:
    is_known, facts = FactsFile(path, others).find(np.array(idents, np.uint64))
    assert facts["ident"].tolist() == [ident for ident, one in zip(idents, is_known, strict=True) if one]
    assert (facts["phash"] == 7 * facts["ident"]).all()
    return facts["ident"].tolist()


def test_what_was_added_is_found_after_a_cut_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "a.facts"
    file = FactsFile(path)
    assert known(path, [1, 2]) == []
    file.add(make([5, 3]))
    file.add(make([9]))
    whole = path.read_bytes()
    assert known(path, [9, 4, 3, 5]) == [9, 3, 5]
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        records = max(0, end - len(HEAD)) // FACTS.itemsize
        if end < 14 and end:
            with pytest.raises(DataError, match="is not what was measured"):
                FactsFile(path)
            continue
        assert known(path, [5, 3, 9]) == [5, 3, 9][:records]
        if end >= len(HEAD) and end % 17 == 0:
            FactsFile(path).add(make([11]))  # behind the last whole record
            assert known(path, [5, 3, 9, 11]) == [*[5, 3, 9][:records], 11]


def test_a_changed_bit_or_an_unwritten_block_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "a.facts"
    FactsFile(path).add(make([5, 3]))
    whole = bytearray(path.read_bytes())
    for place in range(len(HEAD), len(HEAD) + FACTS.itemsize):
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(changed)
        assert known(path, [3]) == [3]
        assert not FactsFile(path).find(np.array([5], np.uint64))[0].any()
    path.write_bytes(whole + bytes(3 * FACTS.itemsize))
    assert known(path, [5, 3, 0]) == [5, 3]


def test_other_versions_are_measured_again_and_shards_join(tmp_path: Path) -> None:
    path, shard = tmp_path / "a.facts", tmp_path / "a-00000-of-00001.facts"
    path.write_bytes(HEAD[:20] + b"other version!!\n" + bytes(FACTS.itemsize))
    FactsFile(shard).add(make([4]))
    assert known(path, [4, 5], (shard,)) == [4]
    FactsFile(path, (shard,)).finish(make([4, 6]))
    assert known(path, [4, 5, 6]) == [4, 6]
