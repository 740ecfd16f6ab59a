"""The weights of the paper's three equal forms: the same values, cut differently.

Form (c) stacks the paths' first convolutions, 3x3s and batch norms along their outputs, and their last
convolutions along their inputs: A1 B1 + A2 B2 = [A1, A2] [B1; B2] (paper, section 3.3). Everything else,
such as shortcuts and attentions, is the same tensor in every form.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor

from resnext.arch import FORMS

_OF_PATH = re.compile(r"(.+)\.paths\.(\d+)\.(.+)")
_OF_BLOCK = re.compile(r"(layer\d+\.\d+)\.((conv|bn)[123]\..+)")
#: Modules of a block that are cut into one share for each path, by form.
_SHARED = {
    "grouped": (),
    "concatenated": ("conv1", "bn1", "conv2", "bn2"),
    "branches": ("conv1", "bn1", "conv2", "bn2", "conv3"),
}


def convert_form(state: dict[str, Tensor], cardinality: int, form: str) -> dict[str, Tensor]:
    """The state dict of the same network in another form; values are copied, never computed.

    Args:
        state: State dict of a network in any of the forms.
        cardinality: Its number of paths.
        form: The form wanted, one of `resnext.arch.FORMS`.

    >>> from resnext.arch import Architecture
    >>> from resnext.models import create
    >>> state = create(Architecture.from_name("resnext11_4x4d+template=16")).state_dict()
    >>> convert_form(state, 4, "branches")["layer1.0.paths.3.conv1.weight"].shape
    torch.Size([4, 64, 1, 1])
    """
    assert form in FORMS
    return _split(_join(state), cardinality, _SHARED[form])


def _join(state: dict[str, Tensor]) -> dict[str, Tensor]:
    joined: dict[str, Tensor] = {}
    shares: dict[str, list[Tensor]] = {}
    for name, tensor in state.items():
        match = _OF_PATH.fullmatch(name)
        if match is None:
            joined[name] = tensor
        else:  # a state dict has the paths in their order
            shares.setdefault(f"{match[1]}.{match[3]}", []).append(tensor)
    for name, tensors in shares.items():
        joined[name] = tensors[0] if tensors[0].dim() == 0 else torch.cat(tensors, _cut_along(name))
    return joined


def _split(state: dict[str, Tensor], cardinality: int, shared: tuple[str, ...]) -> dict[str, Tensor]:
    split: dict[str, Tensor] = {}
    for name, tensor in state.items():
        match = _OF_BLOCK.fullmatch(name)
        if match is None or match[2].split(".")[0] not in shared:
            split[name] = tensor
            continue
        counter = tensor.dim() == 0
        shares = [tensor] * cardinality if counter else tensor.chunk(cardinality, _cut_along(name))
        for number, share in enumerate(shares):
            split[f"{match[1]}.paths.{number}.{match[2]}"] = share.clone()
    return split


def _cut_along(name: str) -> int:
    """The dimension in which paths lie side by side.

    A path owns outputs of its layers, but inputs of the last one, whose results are summed over paths.
    """
    return 1 if name.endswith(".conv3.weight") else 0
