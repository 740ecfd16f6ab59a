"""Networks described and drawn."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from resnext.arch import ATTENTIONS, FORMS, SHORTCUTS, STEMS, TRANSFORMS, Architecture
from resnext.cost import count_cost, count_parts
from resnext.design import (
    describe,
    draw_block,
)

BOTTLENECKS = [name for name, row in TRANSFORMS.items() if row.expansion == 4]
SMALL = Architecture.from_name("resnext29_8x4d+template=16", 10)


def test_a_description_is_the_paper_s_table_1() -> None:
    table = describe("resnext50_32x4d")
    assert table == describe(Architecture.from_name("resnext50_32x4d"))
    assert (table.size_px, describe("resnext50_32x4d", 64).size_px) == (224, 64)
    assert [row.output_px for row in describe("resnext50_32x4d", 64).rows] == [16, 16, 8, 4, 2, 1]
    rows = {row.stage: (row.output_px, row.template, row.repeats) for row in table.rows}
    assert rows["stage 1"] == (56, ("1x1, 128", "3x3, 128, C=32", "1x1, 256"), 3)
    assert rows["stage 2"] == (28, ("1x1, 256", "3x3, 256, C=32", "1x1, 512"), 4)
    assert rows["stage 3"] == (14, ("1x1, 512", "3x3, 512, C=32", "1x1, 1024"), 6)
    assert rows["stage 4"] == (7, ("1x1, 1024", "3x3, 1024, C=32", "1x1, 2048"), 3)
    assert table.cost == count_cost(Architecture.from_name("resnext50_32x4d"))
    assert table.cost.params == 25_028_904
    assert json.loads(json.dumps(table.to_json()))["rows"][1]["cost"]["params"] == sum(
        part.cost.params for part in count_parts(Architecture.from_name("resnext50_32x4d"))[1:4]
    )


def test_variants_are_described() -> None:
    name = "resnext50_32x4d+attention=se+shortcut=average_projection+stem=deep_imagenet"
    stem, first, *_ = describe(name).rows
    stem_text = "3x3, 32, stride 2", "3x3, 32", "3x3, 64", "3x3 max pool, stride 2"
    assert (stem.template, stem.output_px, stem.channels) == (stem_text, 56, 64)
    assert first.template == ("1x1, 128", "3x3, 128, C=32", "1x1, 256", "SE: fc 16, fc 256")


@pytest.mark.parametrize("row", [*TRANSFORMS, *ATTENTIONS, *SHORTCUTS, *STEMS])
def test_every_row_is_described_and_drawn(row: str) -> None:
    tables = {"transform": TRANSFORMS, "attention": ATTENTIONS, "shortcut": SHORTCUTS, "stem": STEMS}
    for field, table in tables.items():
        if row in table:
            arch = replace(SMALL, cardinality=1, **{field: row})
            assert describe(arch).cost == count_cost(arch)
            assert all(stage.template for stage in describe(arch).rows)
            assert f"<title>A block of {arch.name}</title>" in draw_block(arch)
            assert draw_block(arch.name) == draw_block(arch)


def test_attention_is_drawn_before_the_sum() -> None:
    for name in ("resnext50_32x4d+attention=se", "resnext50_8x4d+transform=multi_resolution+attention=se"):
        texts = ElementTree.fromstring(draw_block(name)).itertext()
        shown = [text for text in texts if text.startswith("SE") or text == "+" or text.endswith("-d out")]
        ends = [tuple(shown[i - 2 : i + 1]) for i, text in enumerate(shown) if text == "256-d out"]
        assert set(ends) == {("SE: fc 16, fc 256", "+", "256-d out")}


@pytest.mark.parametrize("transform", BOTTLENECKS)
def test_every_block_is_drawn(transform: str) -> None:
    paths = 32 if TRANSFORMS[transform].cardinality.allows(32, 256) else 1
    arch = replace(Architecture.from_name("resnext50_32x4d"), transform=transform, cardinality=paths)
    root = ElementTree.fromstring(draw_block(arch))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    if transform in FORMS:
        assert texts.count("256, 1x1, 4") == 6  # three paths drawn in (a) and in (b)
        assert "128, 3x3, 128, 32 groups" in texts
        assert "... 32 paths ..." in texts
        assert [t for t in texts if t and t.startswith("(")] == [
            "(a) branches",
            "(b) concatenated",
            "(c) grouped",
        ]
    forms = 3 if transform in FORMS else 1
    assert texts.count("+") == forms + (transform in FORMS)  # the shortcut of each, and the paths of (a)
    assert texts.count("256-d out") == forms
    bare = ElementTree.fromstring(draw_block(replace(arch, shortcut="none")))
    texts = [element.text for element in bare.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count("+") == (transform in FORMS)
    assert texts.count("256-d out") == forms
