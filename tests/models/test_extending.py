"""docs/extending.md shows lines that are in the code, and promises no more reading than there is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


def shown() -> Iterator[tuple[str, str]]:
    """(file, consecutive lines that it is shown to contain)."""
    block = (ROOT / "docs" / "extending.md").read_text().split("```diff\n")[1].split("```")[0]
    file = ""
    for added, lines in itertools.groupby(block.splitlines(), lambda line: line.startswith("+")):
        text = "\n".join(line.removeprefix("+") for line in lines)
        if added:
            yield file, text
        else:
            file = next((line for line in text.splitlines() if line.startswith("src/")), file)


def test_the_lines_that_a_variant_takes_are_those_of_the_code() -> None:
    assert len(list(shown())) == 5
    for file, lines in shown():
        assert f"{lines}\n" in (ROOT / file).read_text(), file


def test_a_transformation_takes_two_files_and_less_than_300_lines_of_reading() -> None:
    edited = {file for file, _ in shown()}
    assert len(edited) == 2
    assert sum(len((ROOT / file).read_text().splitlines()) for file in edited) < 300
