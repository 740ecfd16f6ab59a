"""Modes are named in words."""

from __future__ import annotations

import pytest

from resnext.bench import Mode, parse_modes


def test_modes_are_all_that_the_words_allow() -> None:
    assert parse_modes([]) == [Mode()]
    assert [mode.name for mode in parse_modes(["contiguous", "channels-last", "bfloat16"])] == [
        "eager bfloat16 contiguous",
        "eager bfloat16 channels-last",
    ]
    assert len(parse_modes("eager compiled float32 bfloat16 channels-last contiguous".split())) == 8
    with pytest.raises(ValueError, match="'int8' is no mode"):
        parse_modes(["int8"])
