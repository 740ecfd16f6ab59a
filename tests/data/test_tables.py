"""Tables that nobody would have meant."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from resnext.data.decode import BadImage, DataError
from resnext.data.tables import read_table


def test_a_table_of_a_million_columns_is_refused_at_once(tmp_path: Path) -> None:
    names = ",".join(f"c{i}" for i in range(10**6))
    (tmp_path / "x.csv").write_text(f"{names}\n" + "1," * (10**6 - 1) + "1\n")
    with pytest.raises(DataError, match="has 1,000,000 columns, and at most 10,000 are read"):
        read_table(tmp_path / "x.csv")
    (tmp_path / "y.csv").write_text(",".join(f"c{i}" for i in range(9000)) + "\n" + "1," * 8999 + "1\n")
    with pytest.raises(DataError, match=r"no image column; it has c0, c1, .* and 8,980 more") as error:
        read_table(tmp_path / "y.csv")
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize("name", ["a" * 300, "a/" * 3000, "a\0b"])
def test_a_text_that_is_no_name_of_a_file_is_a_missing_file(name: str, tmp_path: Path) -> None:
    """Even to ask whether such a file exists is an error to some systems."""
    for path in (name, name + "\\1.jpg"):
        pq.write_table(pa.table({"path": [path, "1.jpg"], "label": ["cat", "dog"]}), tmp_path / "x.parquet")
        [images] = read_table(tmp_path / "x.parquet").values()
        assert images.stored_size(0) == -1
        with pytest.raises(BadImage):
            images.open(0)
