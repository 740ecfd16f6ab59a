"""How familiar an image looks by the features of a network, written out in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import logsumexp, softmax

from resnext.arch import Architecture
from resnext.contract import Rejection
from resnext.models import check_bank, create, familiarity
from resnext.models.familiarity_scores import make_bank

NETWORK = create(Architecture.from_name("resnet11+template=8", 3)).eval()
WIDTH = NETWORK.num_features


def some_features(rows: int, seed: int) -> torch.Tensor:
    return torch.rand(rows, WIDTH, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_scores_are_their_formulas(scale: float) -> None:
    pooled, known = some_features(5, 0), some_features(40, 1)
    pooled[1:3] *= scale  # a length says nothing of what an image looks like
    logits = NETWORK.fc(pooled)
    weight, bias = NETWORK.fc.weight.numpy(), NETWORK.fc.bias.numpy()
    NETWORK.bank = make_bank(known)
    similarity = np.array([
        [np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b) for b in known.numpy()] for a in pooled.numpy()
    ])  # fmt: skip
    clipped = np.minimum(pooled.numpy(), 0.4) @ weight.T + bias
    expected = {
        Rejection("probability", 0.0): softmax(logits.numpy(), axis=1).max(axis=1),
        Rejection("energy", 0.0): logsumexp(logits.numpy(), axis=1),
        Rejection("clipped", 0.0, clip=0.4): logsumexp(clipped, axis=1),
        Rejection("neighbours", 0.0): similarity.max(axis=1),
        Rejection("neighbours", 0.0, neighbour=3): np.sort(similarity, axis=1)[:, -3],
    }
    for rejection, scores in expected.items():
        ours = familiarity(NETWORK, rejection, pooled, logits)
        np.testing.assert_allclose(
            ours.numpy(), scores, atol=1e-3 if rejection.score == "neighbours" else 1e-5
        )
    assert "bank" not in NETWORK.state_dict()  # it lies beside the weights
    nothing = familiarity(NETWORK, Rejection("neighbours", 0.0), torch.zeros(1, WIDTH), logits[:1])
    assert nothing.tolist() == [0.0]


def test_a_bank_has_as_many_features_as_are_compared_with() -> None:
    for rows, width, neighbour, fits in (
        (3, WIDTH, 3, True),
        (2, WIDTH, 3, False),
        (1, WIDTH, None, True),
        (0, WIDTH, None, False),
        (3, WIDTH + 1, 3, False),
    ):
        NETWORK.bank = torch.zeros(rows, width)
        rejection = Rejection("neighbours", 0.0, neighbour=neighbour)
        if fits:
            check_bank(NETWORK, rejection)
        else:
            with pytest.raises(ValueError, match=f"at least {neighbour or 1} known images, {WIDTH} each"):
                check_bank(NETWORK, rejection)
    NETWORK.bank = None
    check_bank(NETWORK, Rejection("energy", 0.0))
    with pytest.raises(ValueError, match="which lie beside the weights"):
        check_bank(NETWORK, Rejection("neighbours", 0.0, neighbour=3))
