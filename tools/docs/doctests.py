"""An extension of griffe, which reads the docstrings for the site: examples are code, not quotations.

`>>>` begins a quotation in Markdown, and a list that an example prints would be read as a link.
"""

from __future__ import annotations

from typing import Any

import griffe


def fenced(text: str) -> str:
    """`text` with a fence around each example, which ends with a blank line.

    >>> fenced("Sum.\\n\\n>>> 1 + 1\\n2")
    'Sum.\\n\\n```pycon\\n>>> 1 + 1\\n2\\n```'
    """
    blocks = text.split("\n\n")
    return "\n\n".join(f"```pycon\n{block}\n```" if block.startswith(">>> ") else block for block in blocks)


class FenceDoctests(griffe.Extension):
    """Fences the examples of every docstring."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = fenced(obj.docstring.value)
