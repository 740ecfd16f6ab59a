"""Arrays in files are those of numpy, or an error; nothing in a header is believed."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from resnext.data.npy_files import map_array, parse_array


def saved(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@given(st.sampled_from(["<i8", "<u8", "|u1", "<f4", "<i4"]), st.integers(0, 300), st.data())
def test_what_numpy_writes_is_read(kind: str, count: int, data: st.DataObject) -> None:
    array = data.draw(arrays(np.dtype(kind), count))
    found = parse_array(saved(array))
    assert found.dtype == array.dtype
    assert found.tobytes() == array.tobytes()


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_a_mapped_array_is_the_same(count: int, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(count))
    assert np.array_equal(map_array(tmp_path / "x.npy"), np.arange(count))


def with_header(text: str) -> bytes:
    whole = saved(np.arange(3))
    return whole[:8] + len(text).to_bytes(2, "little") + text.encode() + whole[-24:]


GOOD = "{'descr': '<i8', 'fortran_order': False, 'shape': (3,), } \n"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04" + bytes(100),
        saved(np.zeros((2, 2))),
        saved(np.array(["a", "b"])),
        saved(np.arange(3, dtype=">i8")),
        saved(np.arange(3))[:-1],
        saved(np.arange(3)) + b"x",
        with_header(GOOD.replace("(3,)", "(100000000000,)")),
        with_header(GOOD.replace("(3,)", "(" * 100)),
        with_header(GOOD.replace("(3,)", "(" + "-" * 100 + "1,)")),
        with_header(GOOD.replace("(3,)", "(1" + "+1" * 50 + ",)")),
        with_header(GOOD.replace("<i8", "|O")),
        with_header(GOOD)[:8] + b"\x05\x00" + with_header(GOOD)[10:],
    ],
)
def test_anything_else_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"not an array of numbers of one dimension|is not whole"):
        parse_array(content)
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(ValueError, match=r"not an array of numbers of one dimension|is not whole"):
        map_array(tmp_path / "x.npy")


def test_the_header_in_these_tests_is_a_good_one() -> None:
    assert parse_array(with_header(GOOD)).tolist() == [0, 1, 2]
