"""What a network is: a frozen value, its two template rules, and its name.

Words follow the paper (Xie et al., arXiv 1611.05431): a *block* splits its input into `cardinality`
paths of width `d`, transforms each, merges them and adds the *shortcut*. Standard library only.
"""

from resnext.arch.architecture import Architecture, implied_blocks, implied_depths
from resnext.arch.attentions import ATTENTIONS, Attention, squeezed_channels
from resnext.arch.errors import ArchitectureError
from resnext.arch.names import KNOWN_NAMES, TIMM_NAMES
from resnext.arch.shortcuts import SHORTCUTS
from resnext.arch.stems import STEMS, Convolution, MaxPooling, Stem
from resnext.arch.transforms import FORMS, SCALES, TRANSFORMS, CardinalityRule, StageTemplate, Transform

__all__ = [
    "ATTENTIONS",
    "FORMS",
    "KNOWN_NAMES",
    "SCALES",
    "SHORTCUTS",
    "STEMS",
    "TIMM_NAMES",
    "TRANSFORMS",
    "Architecture",
    "ArchitectureError",
    "Attention",
    "CardinalityRule",
    "Convolution",
    "MaxPooling",
    "StageTemplate",
    "Stem",
    "Transform",
    "implied_blocks",
    "implied_depths",
    "squeezed_channels",
]
