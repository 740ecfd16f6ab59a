"""A message of ours acts on no terminal, whatever the names in it hold."""

from __future__ import annotations

import pickle
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

import resnext
from resnext.errors import ResnextError
from resnext.names import printable_lines

names = st.text(st.characters(), max_size=20)


@given(st.lists(names, min_size=1, max_size=3))
def test_a_message_has_the_lines_that_it_was_made_of(lines: list[str]) -> None:
    error = resnext.DataError(*lines)
    for text in (str(error), str(pickle.loads(pickle.dumps(error)))):
        assert len(text.split("\n")) == len(lines)
        assert printable_lines(text) == text
        text.encode()


@pytest.mark.parametrize("name", ["\x1b[2J", "a\nresnext: done", "caf\udce9", "\u202egpj.exe", "a\rb"])
def test_python_shows_no_raw_name_either(name: str) -> None:
    with pytest.raises(ResnextError) as caught:
        resnext.load(f"{name}/model")
    told = "".join(traceback.format_exception_only(caught.value)).rstrip("\n")
    assert printable_lines(told) == told
    assert "\n" not in told


def test_a_message_that_needs_lines_has_them() -> None:
    with pytest.raises(resnext.DesignError) as caught:
        raise resnext.DesignError("nothing meets the budget; nearest:", "resnet50: 25 M")
    assert str(caught.value) == "nothing meets the budget; nearest:\nresnet50: 25 M"
