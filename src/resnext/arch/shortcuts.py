"""The shortcuts, by name; `resnext.models.shortcuts` has what each is made of."""

from __future__ import annotations

#: B, C and A of the ResNet paper (He et al. 2016, section 4.1), no shortcut, and that of ResNet-D.
SHORTCUTS = ("projection", "projection_all", "zero_pad", "none", "average_projection")
