"""The attentions: what scales the output of a transformation before the shortcut is added. One row each.

A new attention is a row here and a class in `resnext.models.attention`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Attention:
    """One kind of attention; `text` gives its layers for the output channels of a block."""

    name: str
    text: Callable[[int], tuple[str, ...]]


def squeezed_channels(channels: int) -> int:
    """Channels between the two layers of squeeze-and-excitation.

    A sixteenth of `channels`, rounded to the nearest multiple of 8 (halves up), at least 8: timm's rule.

    >>> [squeezed_channels(channels) for channels in (64, 192, 256, 2048)]
    [8, 16, 16, 128]
    """
    return max(8, (channels // 16 + 4) // 8 * 8)


ATTENTIONS = {
    row.name: row
    for row in (
        Attention("none", lambda channels: ()),
        Attention("se", lambda channels: (f"SE: fc {squeezed_channels(channels)}, fc {channels}",)),
    )
}
