"""The graph that is exported: how familiar an image looks is the same in torch and in every file."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from resnext.contract import Calibration, Contract, Rejection
from resnext.engine import FoldedEngine, ModelError, TorchEngine, open_model
from resnext.export import FORMATS, Source
from resnext.models import Network, make_bank
from resnext.weights import WeightsError, convert_network, load_network, replace_contract, write_hub_folder

SCORES = [
    Rejection("probability", 0.3),
    Rejection("energy", 1.0),
    Rejection("clipped", 1.0, clip=0.2),
    Rejection("neighbours", 0.9, neighbour=3),
]


@pytest.fixture
def network(source: Source) -> Network:
    random = torch.Generator().manual_seed(0)
    source.network.bank = make_bank(torch.rand(20, source.network.num_features, generator=random))
    return source.network


def with_rejection(contract: Contract, rejection: Rejection) -> Contract:
    return replace(contract, calibration=Calibration(1.5, rejection))


@pytest.mark.parametrize("rejection", SCORES, ids=lambda one: one.score)
def test_all_engines_agree(network: Network, source: Source, rejection: Rejection, tmp_path: Path) -> None:
    contract = with_rejection(source.contract, rejection)
    pixels = torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    probabilities, familiarity = TorchEngine(network, contract).answer(pixels)
    assert familiarity.shape == (5,)
    assert len(set(familiarity.tolist())) == 5
    engines = [FoldedEngine(network, contract)]
    for name, format in FORMATS.items():
        path = tmp_path / f"{name}{format.suffix}"
        format.write(replace(source, network=network, contract=contract, outputs=("probabilities",)), path)
        engines.append(open_model(path).engine)  # type: ignore[arg-type]
    for engine in engines:
        for made, expected in zip(engine.answer(pixels), (probabilities, familiarity), strict=True):
            torch.testing.assert_close(made, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("rejection", SCORES, ids=lambda one: one.score)
def test_what_they_are(network: Network, source: Source, rejection: Rejection) -> None:
    """By numpy."""
    contract = with_rejection(source.contract, rejection)
    pixels = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        pooled = network.forward_head(network.forward_features(pixels), pre_logits=True).numpy()
    weight, bias = (network.state_dict()[f"fc.{name}"].numpy() for name in ("weight", "bias"))

    def energy(features: np.ndarray) -> np.ndarray:
        return np.log(np.exp(features @ weight.T + bias).sum(1))

    scaled = np.exp((pooled @ weight.T + bias) / 1.5)
    assert network.bank is not None
    cosines = np.sort(pooled / np.linalg.norm(pooled, axis=1, keepdims=True) @ network.bank.numpy().T)
    expected = {
        "probability": scaled.max(1) / scaled.sum(1),
        "energy": energy(pooled),
        "clipped": energy(pooled.clip(max=0.2)),
        "neighbours": cosines[:, -3],
    }[rejection.score]
    _, made = TorchEngine(network, contract).answer(pixels)
    np.testing.assert_allclose(made.numpy(), expected, atol=1e-4, rtol=1e-4)


@pytest.fixture
def folder(network: Network, source: Source, tmp_path: Path) -> Path:
    contract = with_rejection(source.contract, SCORES[-1])
    write_hub_folder(tmp_path / "model", network, contract, "# card\n")
    return tmp_path / "model"


def test_a_hub_folder_keeps_the_known_images(folder: Path, network: Network) -> None:
    read, contract = load_network(folder)
    assert network.bank is not None
    assert read.bank is not None
    assert torch.equal(read.bank, network.bank)
    assert "bank" not in load_file(folder / "model.safetensors")  # other programs know no such tensor
    replace_contract(folder, with_rejection(contract, SCORES[0]))
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert load_network(folder)[0].bank is None


def test_the_paths_of_a_network_have_them_too(network: Network) -> None:
    made = convert_network(network, f"{network.arch.name}+transform=branches")
    assert made.bank is network.bank


def test_weights_without_them_are_refused(folder: Path, source: Source, tmp_path: Path) -> None:
    shutil.copy(folder / "model.safetensors", tmp_path / "alone.safetensors")
    with pytest.raises(WeightsError, match=r"bank\.safetensors: there is no such file"):
        load_network(tmp_path / "alone.safetensors")
    source.network.bank = None
    with pytest.raises(ModelError, match="the features of at least 3 known images"):
        TorchEngine(source.network, with_rejection(source.contract, SCORES[-1]))
    with pytest.raises(WeightsError, match="the features of at least 3 known images"):
        write_hub_folder(tmp_path / "x", source.network, with_rejection(source.contract, SCORES[-1]), "")


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ({"other": torch.zeros(20, 5)}, "holds no table of features called bank"),
        ({"bank": torch.zeros(20)}, "holds no table of features called bank"),
        ({"bank": torch.full((20, 5), torch.nan)}, "holds no table of features called bank"),
        ({"bank": torch.zeros(20, 5)}, "the features of at least 3 known images"),
        ({"bank": torch.zeros(2, 5)}, "the features of at least 3 known images"),
    ],
)
def test_a_file_of_them_that_is_none(folder: Path, tensors: dict[str, torch.Tensor], says: str) -> None:
    save_file(tensors, folder / "bank.safetensors")
    with pytest.raises(WeightsError, match=says):
        load_network(folder)
