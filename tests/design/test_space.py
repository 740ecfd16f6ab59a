"""The cost of all members of a design space."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from resnext.arch import ATTENTIONS, SHORTCUTS, STEMS, TRANSFORMS, Architecture
from resnext.cost import count_cost
from resnext.design import (
    DesignSpace,
)

BOTTLENECKS = [name for name, row in TRANSFORMS.items() if row.expansion == 4]
RESNET50 = Architecture.from_name("resnet50")
SMALL = Architecture.from_name("resnext29_8x4d+template=16", 10)


@pytest.mark.parametrize("transform", BOTTLENECKS)
@pytest.mark.parametrize("stem", STEMS)
def test_solved_costs_are_counted_costs(transform: str, stem: str) -> None:
    blocks = (1, 1, 2, 1) if STEMS[stem].size_px == 224 else (1, 2, 1)
    base = replace(SMALL, transform=transform, stem=stem, blocks=blocks, cardinality=1)
    check_costs(base)


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("shortcut", SHORTCUTS)
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_costs_are_exact_with_every_shortcut_and_attention(
    transform: str, shortcut: str, attention: str
) -> None:
    more = {"attention": attention, "shortcut": shortcut, "stem": "deep_imagenet"}
    check_costs(replace(SMALL, transform=transform, cardinality=1, blocks=(1, 2), **more))


def check_costs(base: Architecture) -> None:
    """Four random members of a space around `base` cost what is counted."""
    space = DesignSpace(base, frozenset({"width"}), 32, cardinalities=(1, 3, 4, 7, 8))
    for pair in np.random.default_rng(0).integers(0, len(space.pairs), 4):
        arch = space.member(0, int(pair))
        cost = count_cost(arch, 32)
        assert space.cost(0, int(pair)) == cost, arch.name


def test_random_members_of_the_whole_space() -> None:
    """Over all depths up to 200, 64 cardinalities and 128 widths; benchmarks/design.py counts 200."""
    space = DesignSpace(RESNET50, frozenset({"cardinality", "width", "depth"}))
    assert space.costs.shape == (57, 64 * 128, 4)
    random = np.random.default_rng(1)
    for _ in range(10):
        depth, pair = int(random.integers(57)), int(random.integers(64 * 128))
        arch = space.member(depth, pair)
        assert Architecture.from_name(arch.name) == arch
        assert space.cost(depth, pair) == count_cost(arch), arch.name


def test_paths_that_cannot_share_the_channels_are_left_out() -> None:
    """Those of inception share the 48 channels that a block of the first stage gives."""
    base = replace(SMALL, transform="inception", template_width=12, cardinality=1)
    space = DesignSpace(base, frozenset({"cardinality"}))
    assert space.pairs[:, 0].tolist() == [c for c in range(1, 65) if 48 % c == 0]
