"""How familiar an image looks by the features of a network, where its logits alone do not tell."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from resnext.contract import Rejection
from resnext.models.network import Network

#: Least squared length of features that are scaled.
_LEAST_SQUARE = 1e-24


def familiarity(network: Network, rejection: Rejection, pooled: Tensor, logits: Tensor) -> Tensor:
    """How familiar images look, by the score of a rejection: larger where they look more like the classes.

    Args:
        network: The network. For the score `neighbours`, its `bank` has been checked.
        rejection: The score and its parameters.
        pooled: What the classifier of the network receives, (B, num_features).
        logits: What it makes of that, (B, classes).

    Returns:
        (B,)

    >>> from resnext.arch import Architecture
    >>> from resnext.models import create
    >>> network = create(Architecture.from_name("resnet11+template=8", 3)).eval()
    >>> pooled = torch.rand(2, network.num_features)
    >>> familiarity(network, Rejection("clipped", 0.0, clip=0.5), pooled, network.fc(pooled)).shape
    torch.Size([2])
    """
    match rejection.score:
        case "probability":
            return logits.softmax(1).amax(1)
        case "energy":
            return logits.logsumexp(1)
        case "clipped":
            return torch.logsumexp(network.fc(pooled.clamp(max=rejection.clip)), 1)
        case "neighbours":
            assert network.bank is not None
            similarity = linear(_unit(pooled), network.bank)
            return similarity.topk(rejection.neighbour or 1).values.amin(1)


def check_bank(network: Network, rejection: Rejection) -> None:
    """Raise `ValueError` if a score compares with features of known images that the network does not have."""
    if rejection.score != "neighbours":
        return
    least, width = rejection.neighbour or 1, network.num_features
    if network.bank is None or network.bank.shape[1:] != (width,) or len(network.bank) < least:
        raise ValueError(
            f"its contract compares with the features of at least {least} known images, {width} each, which "
            "lie beside the weights"
        )


def make_bank(features: Tensor) -> Tensor:
    """What `neighbours` compares with: features of known images (N, num_features), each of length 1.

    >>> make_bank(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6001, 0.7998]])
    """
    return _unit(features.float()).half().float()  # as it is kept


def _unit(features: Tensor) -> Tensor:
    """`features` (B, num_features), each of length 1."""
    return features * (features * features).sum(1, keepdim=True).clamp(min=_LEAST_SQUARE).rsqrt()
