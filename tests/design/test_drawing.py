"""Drawings of blocks: where everything stands, and laws that every drawing obeys."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest

from resnext.arch import ATTENTIONS, FORMS, SHORTCUTS, TRANSFORMS, Architecture
from resnext.design import draw_block

SVG = "{http://www.w3.org/2000/svg}"
BOTTLENECKS = [name for name, row in TRANSFORMS.items() if row.expansion == 4]
TWO_PATHS = Architecture.from_name("resnext29_2x4d+template=16", 10)

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A layer, with the text in it."""

    left: float
    top: float
    width: float
    height: float
    text: str

    @property
    def middle(self) -> float:
        return self.left + self.width / 2

    @property
    def bottom(self) -> float:
        return self.top + self.height


class Drawing:
    """What an SVG shows."""

    def __init__(self, svg: str) -> None:
        root = ElementTree.fromstring(svg)
        _, _, self.width, self.height = map(float, root.attrib["viewBox"].split())
        elements = list(root)
        self.boxes = [
            Box(*(float(one.attrib[name]) for name in ("x", "y", "width", "height")), after.text or "")
            for one, after in pairwise(elements)
            if one.tag == SVG + "rect" and "x" in one.attrib
        ]
        self.texts = {
            (float(one.attrib["x"]), float(one.attrib["y"])): (one.text, float(one.attrib["font-size"]))
            for one in root.iter(SVG + "text")
        }
        self.pluses = [
            (float(one.attrib["cx"]), float(one.attrib["cy"]), float(one.attrib["r"]))
            for one in root.iter(SVG + "circle")
        ]
        self.lines: dict[tuple[Point, ...], bool] = {}
        """Points of each line, and whether it has an arrowhead."""
        for one in root.iter(SVG + "polyline"):
            numbers = (tuple(map(float, point.split(","))) for point in one.attrib["points"].split())
            self.lines[tuple((x, y) for x, y in numbers)] = "marker-end" in one.attrib


def test_where_everything_stands() -> None:
    """Two paths of width 4, as drawn by hand: lanes of 104, boxes of 92 x 26, gaps of 26, pluses of radius 9;
    the first form starts at 20, a shortcut passes 40 from the right end of its form."""
    drawn = Drawing(draw_block(TWO_PATHS))
    # Each form is as wide as its lanes, or its widest chain (7 for a character, at least 132), and 70.
    chain = 7 * len("8, 3x3, 8, 2 groups")
    a, b, c, end = 20, 20 + 278, 20 + 2 * 278, 20 + 2 * 278 + 70 + chain
    middles = middle_a, middle_b, middle_c = a + 114, b + 114, c + (20 + chain) / 2
    assert (drawn.width, drawn.height) == (end, 374 + 40)
    assert drawn.boxes == [
        *(Box(x - 46, 96 + 52 * row, 92, 26, text) for x in (middle_a - 52, middle_a + 52)
          for row, text in enumerate(("64, 1x1, 4", "4, 3x3, 4", "4, 1x1, 64"))),
        *(Box(x - 46, 96 + 52 * row, 92, 26, text) for x in (middle_b - 52, middle_b + 52)
          for row, text in enumerate(("64, 1x1, 4", "4, 3x3, 4"))),
        Box(middle_b - 98, 200, 196, 26, "concatenate"),
        Box(middle_b - 46, 252, 92, 26, "8, 1x1, 64"),
        *(Box(middle_c - chain / 2, 96 + 52 * row, chain, 26, text)
          for row, text in enumerate(("64, 1x1, 8", "8, 3x3, 8, 2 groups", "8, 1x1, 64"))),
    ]  # fmt: skip
    sums = [(middle_a, 278), (middle_a, 322), (middle_b, 313), (middle_c, 261)]
    assert drawn.pluses == [(x, y, 9) for x, y in sums]
    lines: dict[tuple[Point, ...], bool] = {}
    for next_left, x, top_of_sum in zip((b, c, end), middles, (322, 313, 261), strict=True):
        lines[(x, 60), (x, 70)] = False
        lines[(x, top_of_sum - 35), (x, top_of_sum - 9)] = True
        right = next_left - 40
        lines[(x, 70), (right, 70), (right, top_of_sum), (x + 9, top_of_sum)] = True
        lines[(x, top_of_sum + 9), (x, top_of_sum + 35)] = True
    for x in (middle_a - 52, middle_a + 52):
        lines[(middle_a, 70), (x, 70), (x, 96)] = True
        lines[(x, 122), (x, 148)] = lines[(x, 174), (x, 200)] = True
        lines[(x, 226), (x, 252)] = False
        lines[(x, 252), (middle_a, 269)] = True
    for x in (middle_b - 52, middle_b + 52):
        lines[(middle_b, 70), (x, 70), (x, 96)] = True
        lines[(x, 122), (x, 148)] = lines[(x, 174), (x, 200)] = True
    lines[(middle_b, 226), (middle_b, 252)] = True
    for top in (70, 122, 174):
        lines[(middle_c, top), (middle_c, top + 26)] = True
    assert drawn.lines == lines
    texts = {(box.middle, box.top + 17): (box.text, 12.0) for box in drawn.boxes}
    texts |= {(x, y + 4.5): ("+", 15.0) for x, y in sums}
    for x, title, bottom in zip(
        middles, ("(a) branches", "(b) concatenated", "(c) grouped"), (374, 365, 313), strict=True
    ):
        texts |= {(x, 24): (title, 14.0), (x, 54): ("64-d in", 12.0), (x, bottom): ("64-d out", 12.0)}
    assert drawn.texts == texts


def test_paths_are_left_out_from_five_on() -> None:
    for paths, shown in ((1, 1), (3, 3), (4, 4), (5, 3), (32, 3)):
        drawn = Drawing(draw_block(replace(TWO_PATHS, cardinality=paths)))
        first = [box for box in drawn.boxes if box.text == "64, 1x1, 4" and box.top == 96]
        grouped = 1 if paths == 1 else 0  # form (c) of one path has the same first layer
        assert len(first) == 2 * shown + grouped
        dots = [place for place, (text, _) in drawn.texts.items() if text == f"... {paths} paths ..."]
        if paths < 5:
            assert dots == []
            continue
        # In each form the dots stand in the third of four lanes, half-way down the paths.
        lanes = [[box.middle for box in first[:3]], [box.middle for box in first[3:]]]
        for (x, y), lane, merge in zip(dots, lanes, (252, 200), strict=True):
            assert (lane[1] - lane[0], lane[2] - lane[0]) == (104, 312)
            assert (x, y) == (lane[0] + 208, (70 + merge) / 2)


def test_a_chain_of_short_texts_and_one_path() -> None:
    drawn = Drawing(draw_block(replace(TWO_PATHS, cardinality=1)))
    assert [box.width for box in drawn.boxes if box.text == "4, 3x3, 4"] == [92, 92, 132]
    assert drawn.width == 20 + (70 + 104) + (70 + 104) + (70 + 132)
    assert not any("groups" in str(text) for text, _ in drawn.texts.values())


def test_attention_that_is_wider_than_the_paths_makes_room() -> None:
    wide = replace(Architecture.from_name("resnext50_1x64d"), attention="se")
    drawn = Drawing(draw_block(wide))
    attention = [box for box in drawn.boxes if box.text.startswith("SE")]
    assert len(attention) == 3
    width = max(132, 7 * len(attention[0].text))
    assert drawn.width == 20 + 3 * 70 + 2 * max(104, width) + max(
        132, 7 * max(len(box.text) for box in drawn.boxes if box.left > 20 + 2 * (70 + width))
    )


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("shortcut", SHORTCUTS)
@pytest.mark.parametrize("transform", BOTTLENECKS)
def test_laws_of_every_drawing(transform: str, shortcut: str, attention: str) -> None:
    paths = 8 if TRANSFORMS[transform].cardinality.allows(8, 64) else 1
    arch = replace(TWO_PATHS, cardinality=paths, transform=transform, shortcut=shortcut, attention=attention)
    drawn = Drawing(draw_block(arch))
    assert len(drawn.boxes) >= 2 * (3 if transform in FORMS else 1)
    for box in drawn.boxes:
        assert 0 <= box.left < box.left + box.width <= drawn.width
        assert 0 <= box.top < box.bottom <= drawn.height
    for one, other in combinations(drawn.boxes, 2):
        beside = one.left + one.width <= other.left or other.left + other.width <= one.left
        assert beside or one.bottom <= other.top or other.bottom <= one.top, (one, other)
    assert all(0 < x < drawn.width and 0 < y < drawn.height for x, y in drawn.texts)
    # An arrow ends at the upper edge of a box, at a plus, or above what comes out.
    ends = {(box.middle, box.top) for box in drawn.boxes}
    ends |= {(x, y - r) for x, y, r in drawn.pluses} | {(x + r, y) for x, y, r in drawn.pluses}
    ends |= {(x, y - 17) for (x, y), (text, _) in drawn.texts.items() if text == "64-d out"}
    for box in drawn.boxes:
        if box.text == "concatenate":  # all paths arrive along its upper edge
            ends |= {points[-1] for points in drawn.lines if _arrives(points, box)}
    assert {points[-1] for points, has_head in drawn.lines.items() if has_head} <= ends


def _arrives(points: tuple[Point, ...], box: Box) -> bool:
    x, y = points[-1]
    return y == box.top and box.left < x < box.left + box.width
