"""The page about all experiments as one HTML file, with its plots inside: the same text as in Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping

from markupsafe import Markup, escape

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
body { color: #222; }
table { border-collapse: collapse; font-size: 0.85rem; display: block; overflow-x: auto; margin: 1rem 0; }
td, th { border: 1px solid #ccc; padding: 0.25rem 0.5rem; text-align: left; vertical-align: top; }
th { background: #f3f3f3; } code { font-size: 0.9em; background: #f3f3f3; }
svg { max-width: 100%; height: auto; }
@media (prefers-color-scheme: dark) {
  body { background: #181818; color: #ddd; } th, code { background: #2a2a2a; } td, th { border-color: #444; }
}
"""
_IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)]*)\)")
_CODE = re.compile(r"(`[^`]+`)")
_BOLD = re.compile(r"\*\*(.+?)\*\*", re.DOTALL)
_ITALIC = re.compile(r"(?<![\w*])\*(?!\s)([^*]+?)\*")


def to_html(text: str, plots: Mapping[str, str]) -> str:
    """The page `text`, as `claims_page.page` writes it, in HTML.

    It knows the Markdown of that page and no more: headings, paragraphs, tables, code, bold, italics, and
    images, for which the plot of that file name is put in.

    Args:
        text: The page in Markdown.
        plots: SVG texts by file name.

    >>> "<td>a &lt; b</td>" in to_html("| claim |\\n|---|\\n| a < b |", {})
    True
    """
    body = Markup("\n").join(_block(block, plots) for block in re.split(r"\n{2,}", text.strip()))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Results</title>'
        f"<style>{STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def _block(block: str, plots: Mapping[str, str]) -> Markup:
    image = _IMAGE.fullmatch(block)
    if image is not None and (name := image[2].rsplit("/", 1)[-1]) in plots:
        title = image[1]
        svg = plots[name]
        # The plot comes from this program, which escapes its texts; what stands before it is of files.
        return Markup('<figure role="img" aria-label="{}">{}</figure>').format(
            title, Markup(svg[svg.index("<svg") :])
        )
    if heading := re.fullmatch(r"(#+) (.*)", block):
        level = len(heading[1])
        return Markup("<h{0}>{1}</h{0}>").format(level, _inline(heading[2]))
    if block.startswith("|") and len(lines := block.splitlines()) > 1:
        return _table(lines)
    return Markup("<p>{}</p>").format(_inline(block))


def _table(lines: list[str]) -> Markup:
    head, _, *rows = (line.strip().removeprefix("|").removesuffix("|").split("|") for line in lines)
    made = [Markup("<tr>{}</tr>").format(Markup("").join(_cell("th", cell) for cell in head))]
    made += [Markup("<tr>{}</tr>").format(Markup("").join(_cell("td", cell) for cell in row)) for row in rows]
    return Markup("<table>{}</table>").format(Markup("\n").join(made))


def _cell(tag: str, text: str) -> Markup:
    lines = Markup("<br>").join(_inline(line) for line in text.strip().split("<br>"))
    return Markup("<{0}>{1}</{0}>").format(Markup(tag), lines)


def _inline(text: str) -> Markup:
    """Code, bold and italics; everything else is escaped."""
    parts = []
    for part in _CODE.split(text):
        if part.startswith("`") and part.endswith("`") and len(part) > 2:
            parts.append(Markup("<code>{}</code>").format(part[1:-1]))
        else:
            safe = _BOLD.sub(r"<strong>\1</strong>", str(escape(part)))
            parts.append(Markup(_ITALIC.sub(r"<em>\1</em>", safe)))
    return Markup("").join(parts)
