"""The 1,000 classes of ImageNet-1K: their synsets in order, and WordNet's words for each."""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def imagenet_classes() -> tuple[tuple[str, str], ...]:
    """Synset and words of each class, in the order in which networks are trained: that of the synsets.

    >>> imagenet_classes()[0]
    ('n01440764', 'tench, Tinca tinca')
    """
    text = resources.files("resnext.catalogue").joinpath("imagenet_classes.tsv").read_text("utf-8")
    pairs = [line.split("\t") for line in text.splitlines()]
    return tuple((synset, words) for synset, words in pairs)
