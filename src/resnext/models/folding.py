"""Batch norms folded into the convolutions before them: the same function with fewer layers."""

from __future__ import annotations

import copy
from collections.abc import Iterator

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from resnext.models.network import Network


def fold_batch_norms(network: Network) -> Network:
    """A copy of `network` for inference in which each batch norm that follows a convolution is part of it.

    A batch norm in evaluation scales and shifts each channel, and so can the convolution. Where something
    lies between the two (the sum of the paths of form (a), a pooling) the batch norm stays.

    Args:
        network: It is not changed.

    >>> import torch
    >>> from resnext.arch import Architecture
    >>> from resnext.models import create
    >>> network = create(Architecture.from_name("resnext11_4x4d+template=16", 3)).eval()
    >>> folded = fold_batch_norms(network)
    >>> any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    False
    >>> images = torch.ones(1, 3, 32, 32)
    >>> torch.allclose(folded(images), network(images), atol=1e-5)
    True
    """
    folded = copy.deepcopy(network).eval()
    for convolution, norm in list(_pairs(folded)):
        before, after = folded.get_submodule(convolution), folded.get_submodule(norm)
        assert isinstance(before, nn.Conv2d)
        assert isinstance(after, nn.BatchNorm2d)
        folded.set_submodule(convolution, fuse_conv_bn_eval(before, after))
        folded.set_submodule(norm, nn.Identity())
    return folded


def _pairs(network: Network) -> Iterator[tuple[str, str]]:
    """Names of each convolution whose output only a batch norm takes, and of this batch norm."""
    traced = fx.symbolic_trace(network)
    for node in traced.graph.nodes:
        if node.op == "call_module" and isinstance(network.get_submodule(node.target), nn.BatchNorm2d):
            before = node.args[0]
            while _is(before, nn.Identity, network) and len(before.users) == 1:
                before = before.args[0]
            if _is(before, nn.Conv2d, network) and len(before.users) == 1:
                yield before.target, node.target


def _is(node: fx.Node, kind: type[nn.Module], network: Network) -> bool:
    return node.op == "call_module" and isinstance(network.get_submodule(str(node.target)), kind)
