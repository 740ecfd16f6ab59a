"""A block drawn as in the paper's figure 3: its paths, their widths, and where they merge. As SVG."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

from resnext.arch import FORMS, Architecture, StageTemplate
from resnext.design.describe import layers

#: Sizes in user units.
BOX_WIDTH, BOX_HEIGHT, GAP, LANE = 92, 26, 26, 104
#: Paths that are drawn in full; of more, two, dots and the last one are.
DRAWN_PATHS = 4
#: Letters of the paper's figure.
LETTERS = {"branches": "(a)", "concatenated": "(b)", "grouped": "(c)"}
BLUE, INK, PAPER = "#2a7de1", "#1c2733", "#ffffff"


@dataclass
class _Canvas:
    elements: list[str] = field(default_factory=list)

    def box(self, x: float, y: float, text: str, width: float = BOX_WIDTH) -> None:
        """A layer: a box centred at x whose upper edge is at y."""
        self.elements.append(
            f'<rect x="{x - width / 2:g}" y="{y:g}" width="{width:g}" height="{BOX_HEIGHT}" rx="4" '
            f'fill="{BLUE}" fill-opacity="0.12" stroke="{BLUE}"/>'
        )
        self.text(x, y + BOX_HEIGHT / 2 + 4, text)

    def plus(self, x: float, y: float) -> None:
        self.elements.append(f'<circle cx="{x:g}" cy="{y:g}" r="9" fill="{PAPER}" stroke="{INK}"/>')
        self.text(x, y + 4.5, "+", size=15)

    def text(self, x: float, y: float, text: str, size: float = 12, weight: str = "normal") -> None:
        self.elements.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" font-weight="{weight}">{escape(text)}</text>'
        )

    def line(self, *points: tuple[float, float], arrow: bool = True) -> None:
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        end = ' marker-end="url(#arrow)"' if arrow else ""
        self.elements.append(f'<polyline points="{path}" fill="none" stroke="{INK}"{end}/>')


def draw_block(arch: Architecture) -> str:
    """An SVG of a block of the first stage: in its three forms where it has them, else in its own.

    The block is one that does not open the stage: as many channels come in as go out.
    """
    stage = arch.stages[0]
    has_forms = arch.transform in FORMS
    shown = [form for form in ("branches", "concatenated", "grouped") if has_forms] or [arch.transform]
    canvas, left, depth = _Canvas(), 20.0, 0.0
    for form in shown:
        lanes: list[int | None] = _lanes(stage) if form in FORMS[1:] else [0]
        width = 70 + (LANE * len(lanes) if form in FORMS[1:] else _chain_width(form, stage))
        middle = left + (width - 50) / 2
        title = f"{LETTERS.get(form, '')} {form.replace('_', ' ')}".strip()
        canvas.text(middle, 24, title, size=14, weight="bold")
        right = None if arch.shortcut == "none" else left + width - 40
        depth = max(depth, _draw(canvas, form, stage, lanes, middle, right))
        left += width
    height = depth + 40
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left:g} {height:g}" width="{left:g}" '
        f'height="{height:g}" font-family="sans-serif" text-anchor="middle" fill="{INK}">\n'
        f"<title>A block of {escape(arch.name)}</title>\n"
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        f'orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="{INK}"/></marker></defs>\n'
        f'<rect width="100%" height="100%" fill="{PAPER}"/>\n' + "\n".join(canvas.elements) + "\n</svg>\n"
    )


def _lanes(stage: StageTemplate) -> list[int | None]:
    """Numbers of the paths to draw; None stands for those left out."""
    if stage.cardinality <= DRAWN_PATHS:
        return [*range(stage.cardinality)]
    return [0, 1, None, stage.cardinality - 1]


def _chain(form: str, stage: StageTemplate) -> tuple[str, ...]:
    """The layers of a form whose paths are not drawn apart."""
    if form != "grouped":
        return layers(form, stage)
    inner, out = stage.inner_channels, stage.out_channels
    groups = f", {stage.cardinality} groups" if stage.cardinality > 1 else ""
    return f"{out}, 1x1, {inner}", f"{inner}, 3x3, {inner}{groups}", f"{inner}, 1x1, {out}"


def _chain_width(form: str, stage: StageTemplate) -> float:
    return max(BOX_WIDTH + 40, 7 * max(map(len, _chain(form, stage))))


def _draw(
    canvas: _Canvas,
    form: str,
    stage: StageTemplate,
    lanes: list[int | None],
    middle: float,
    right: float | None,
) -> float:
    """One form, from its input to its output, with its shortcut at `right` if it has one; returns the depth
    that was reached."""
    out, d, inner = stage.out_channels, stage.path_width, stage.inner_channels
    top = 64.0
    canvas.text(middle, top - 10, f"{out}-d in")
    fork = top + 6
    canvas.line((middle, top - 4), (middle, fork), arrow=False)
    if form in FORMS[1:]:
        boxes = [f"{out}, 1x1, {d}", f"{d}, 3x3, {d}"] + [f"{d}, 1x1, {out}"] * (form == "branches")
        merge = fork + GAP + len(boxes) * (BOX_HEIGHT + GAP)
        for place, number in enumerate(lanes):
            x = middle + LANE * (place - (len(lanes) - 1) / 2)
            if number is None:
                canvas.text(x, (fork + merge) / 2, f"... {stage.cardinality} paths ...")
                continue
            y = fork + GAP
            canvas.line((middle, fork), (x, fork), (x, y))
            for count, text in enumerate(boxes):
                canvas.box(x, y, text)
                y += BOX_HEIGHT
                following = y + GAP if count < len(boxes) - 1 else merge
                canvas.line((x, y), (x, following), arrow=count < len(boxes) - 1 or form == "concatenated")
                y = following
            if form == "branches":
                canvas.line((x, merge), (middle, merge + GAP - 9))
        if form == "branches":
            canvas.plus(middle, merge + GAP)
            end = merge + GAP + 9
        else:
            canvas.box(middle, merge, "concatenate", width=LANE * len(lanes) - 12)
            canvas.line((middle, merge + BOX_HEIGHT), (middle, merge + BOX_HEIGHT + GAP))
            canvas.box(middle, merge + BOX_HEIGHT + GAP, f"{inner}, 1x1, {out}")
            end = merge + 2 * BOX_HEIGHT + GAP
    else:
        end = fork
        for text in _chain(form, stage):
            canvas.line((middle, end), (middle, end + GAP))
            canvas.box(middle, end + GAP, text, width=_chain_width(form, stage))
            end += GAP + BOX_HEIGHT
    if right is not None:
        join = end + GAP + 9
        canvas.line((middle, end), (middle, join - 9))
        canvas.line((middle, fork), (right, fork), (right, join), (middle + 9, join))
        canvas.plus(middle, join)
        end = join + 9
    canvas.line((middle, end), (middle, end + GAP))
    canvas.text(middle, end + GAP + 17, f"{out}-d out")
    return end + GAP + 17
