"""A block drawn as in the paper's figure 3: its paths, their widths, and where they merge. As SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape

from resnext.arch import ATTENTIONS, FORMS, TRANSFORMS, Architecture, StageTemplate
from resnext.design.description import as_architecture

#: Sizes in user units.
BOX_WIDTH, BOX_HEIGHT, GAP, LANE = 92, 26, 26, 104
#: Radius of the circle around a plus.
PLUS = 9
#: Up to this many paths are drawn in full; of more, two, dots and the last one are.
DRAWN_PATHS = 4
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
        self.elements.append(f'<circle cx="{x:g}" cy="{y:g}" r="{PLUS}" fill="{PAPER}" stroke="{INK}"/>')
        self.text(x, y + 4.5, "+", size=15)

    def text(self, x: float, y: float, text: str, size: float = 12, weight: str = "normal") -> None:
        self.elements.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" font-weight="{weight}">{escape(text)}</text>'
        )

    def line(self, *points: tuple[float, float], arrow: bool = True) -> None:
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        end = ' marker-end="url(#arrow)"' if arrow else ""
        self.elements.append(f'<polyline points="{path}" fill="none" stroke="{INK}"{end}/>')

    def chain(self, x: float, y: float, texts: Sequence[str]) -> float:
        """Layers one below the other, each reached by an arrow; returns the lower edge of the last."""
        for text in texts:
            self.line((x, y), (x, y + GAP))
            self.box(x, y + GAP, text, width=_chain_width(texts))
            y += GAP + BOX_HEIGHT
        return y

    def to_svg(self, title: str, width: float, height: float) -> str:
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
            f'height="{height:g}" font-family="sans-serif" text-anchor="middle" fill="{INK}">\n'
            f"<title>{escape(title)}</title>\n"
            '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            f'orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="{INK}"/></marker></defs>\n'
            f'<rect width="100%" height="100%" fill="{PAPER}"/>\n' + "\n".join(self.elements) + "\n</svg>\n"
        )


def draw_block(network: str | Architecture) -> str:
    """An SVG of a block of the first stage: in the paper's three forms where it has them, else in its own.

    The block is one that does not open the stage: it has as many input channels as output channels.

    Args:
        network: The name of a network, or an architecture.

    Raises:
        ArchitectureError: No network has this name; the message has the nearest names.

    >>> draw_block("resnext50_32x4d").splitlines()[1]
    '<title>A block of resnext50_32x4d</title>'
    """
    arch = as_architecture(network)
    canvas, left, bottom = _Canvas(), 20.0, 0.0
    for form in _drawn_forms(arch.transform):
        width = 70 + _width(form, arch)
        bottom = max(bottom, _draw_form(canvas, form, arch, left, width))
        left += width
    return canvas.to_svg(f"A block of {arch.name}", width=left, height=bottom + 40)


def _drawn_forms(transform: str) -> list[str]:
    """The transformations to draw: (a), (b) and (c) for one of them, else the one itself."""
    return sorted(FORMS, key=lambda form: TRANSFORMS[form].letter) if transform in FORMS else [transform]


def _draw_form(canvas: _Canvas, form: str, arch: Architecture, left: float, width: float) -> float:
    """One form from its input to its output, `width` wide; returns the depth that it reaches."""
    stage = arch.stages[0]
    middle, top = left + (width - 50) / 2, 64.0
    fork = top + 6
    canvas.text(middle, 24, f"{TRANSFORMS[form].letter} {form.replace('_', ' ')}".strip(), 14, "bold")
    canvas.text(middle, top - 10, f"{stage.out_channels}-d in")
    canvas.line((middle, top - 4), (middle, fork), arrow=False)
    end = _DRAWN_APART.get(form, _draw_chain(form))(canvas, stage, middle, fork)
    end = canvas.chain(middle, end, ATTENTIONS[arch.attention].text(stage.out_channels))
    if arch.shortcut != "none":
        end = _draw_shortcut(canvas, middle, left + width - 40, fork, end)
    canvas.line((middle, end), (middle, end + GAP))
    canvas.text(middle, end + GAP + 17, f"{stage.out_channels}-d out")
    return end + GAP + 17


def _draw_shortcut(canvas: _Canvas, middle: float, right: float, fork: float, end: float) -> float:
    join = end + GAP + PLUS
    canvas.line((middle, end), (middle, join - PLUS))
    canvas.line((middle, fork), (right, fork), (right, join), (middle + PLUS, join))
    canvas.plus(middle, join)
    return join + PLUS


def _draw_chain(form: str) -> Callable[[_Canvas, StageTemplate, float, float], float]:
    return lambda canvas, stage, middle, fork: canvas.chain(middle, fork, _chain(form, stage))


def _chain(form: str, stage: StageTemplate) -> tuple[str, ...]:
    """The layers of a form whose paths are not drawn apart."""
    if form != "grouped":
        return TRANSFORMS[form].text(stage)
    inner, out = stage.inner_channels, stage.out_channels
    groups = f", {stage.cardinality} groups" if stage.cardinality > 1 else ""
    return f"{out}, 1x1, {inner}", f"{inner}, 3x3, {inner}{groups}", f"{inner}, 1x1, {out}"


def _width(form: str, arch: Architecture) -> float:
    stage = arch.stages[0]
    attention = ATTENTIONS[arch.attention].text(stage.out_channels)
    if form in _DRAWN_APART:
        return max(LANE * len(_lanes(stage)), _chain_width(attention) if attention else 0)
    return _chain_width([*_chain(form, stage), *attention])


def _chain_width(texts: Sequence[str]) -> float:
    return max(BOX_WIDTH + 40, 7 * max(map(len, texts)))


def _lanes(stage: StageTemplate) -> list[bool]:
    """The lanes from left to right: whether a path is drawn there, or dots for the ones left out."""
    return [True] * stage.cardinality if stage.cardinality <= DRAWN_PATHS else [True, True, False, True]


def _draw_paths(
    canvas: _Canvas,
    stage: StageTemplate,
    layers: Sequence[str],
    middle: float,
    fork: float,
    finish: Callable[[float, float], None],
) -> float:
    """Paths side by side; `finish` draws what follows the last layer of each, at (x, y). Returns where they
    have arrived one gap below their last layers."""
    lanes = _lanes(stage)
    merge = fork + GAP + len(layers) * (BOX_HEIGHT + GAP)
    for place, has_path in enumerate(lanes):
        x = middle + LANE * (place - (len(lanes) - 1) / 2)
        if has_path:
            canvas.line((middle, fork), (x, fork), (x, fork + GAP))
            finish(x, _draw_path(canvas, x, fork + GAP, layers))
        else:
            canvas.text(x, (fork + merge) / 2, f"... {stage.cardinality} paths ...")
    return merge


def _draw_path(canvas: _Canvas, x: float, y: float, layers: Sequence[str]) -> float:
    first, *others = layers
    canvas.box(x, y, first)
    y += BOX_HEIGHT
    for text in others:
        canvas.line((x, y), (x, y + GAP))
        canvas.box(x, y + GAP, text)
        y += GAP + BOX_HEIGHT
    return y


def _draw_branches(canvas: _Canvas, stage: StageTemplate, middle: float, fork: float) -> float:
    """Form (a): whole paths, and a plus that sums them."""

    def finish(x: float, y: float) -> None:
        canvas.line((x, y), (x, y + GAP), arrow=False)
        canvas.line((x, y + GAP), (middle, y + 2 * GAP - PLUS))

    out, d = stage.out_channels, stage.path_width
    layers = f"{out}, 1x1, {d}", f"{d}, 3x3, {d}", f"{d}, 1x1, {out}"
    merge = _draw_paths(canvas, stage, layers, middle, fork, finish)
    canvas.plus(middle, merge + GAP)
    return merge + GAP + PLUS


def _draw_concatenated(canvas: _Canvas, stage: StageTemplate, middle: float, fork: float) -> float:
    """Form (b): paths, their concatenation, and the layer that merges them."""

    def finish(x: float, y: float) -> None:
        canvas.line((x, y), (x, y + GAP))

    out, d = stage.out_channels, stage.path_width
    merge = _draw_paths(canvas, stage, (f"{out}, 1x1, {d}", f"{d}, 3x3, {d}"), middle, fork, finish)
    canvas.box(middle, merge, "concatenate", width=LANE * len(_lanes(stage)) - 12)
    below = merge + BOX_HEIGHT
    canvas.line((middle, below), (middle, below + GAP))
    canvas.box(middle, below + GAP, f"{stage.inner_channels}, 1x1, {out}")
    return below + GAP + BOX_HEIGHT


#: Forms whose paths are drawn side by side; every other transformation is drawn as the chain of its layers.
_DRAWN_APART: dict[str, Callable[[_Canvas, StageTemplate, float, float], float]] = {
    "branches": _draw_branches,
    "concatenated": _draw_concatenated,
}
