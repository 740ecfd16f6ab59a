"""Fixtures of exports: a network whose answers depend on every detail of its images, and such images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from resnext.arch import Architecture
from resnext.contract import Calibration, Contract, Input, Provenance, Resize
from resnext.data.stored_images import UnlabelledImages
from resnext.export import Judges, Source
from resnext.models import Network, create

#: A network of each kind.
NETWORKS = (
    "resnext11_4x4d+template=16",
    "resnet18+template=16",
    "resnext11_1x16d+transform=separable",
    "resnext11_4x4d+template=16+transform=multi_resolution",
    "resnext11_4x4d+template=16+attention=se",
    "resnext26_4x4d+template=16+stem=deep_imagenet+shortcut=average_projection",
    "resnext11_4x4d+template=16+transform=branches",
    "resnext11_4x4d+template=16+transform=concatenated+shortcut=none",
    "resnext11_4x4d+template=16+transform=inception+shortcut=zero_pad",
)

MakeNetwork = Callable[..., Network]
MakeContract = Callable[..., Contract]


@pytest.fixture(scope="session")
def make_network() -> MakeNetwork:
    """`make_network("resnet18", classes=4)`: statistics and scales as after training, and sharp answers."""

    def make(name: str, classes: int = 4, seed: int = 0) -> Network:
        network = create(Architecture.from_name(name, classes), seed)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for module in network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.momentum = None  # statistics over all batches
                    module.weight.uniform_(0.5, 1.5, generator=generator)
                    module.bias.normal_(0, 0.2, generator=generator)
            pixels = torch.randn(32, 3, 32, 32, generator=generator) * 2
            network.train()(pixels)
            network.eval()
            network.fc.weight *= 3 / network(pixels).std(0).mean()
            network.fc.bias.copy_(network.fc.bias - network(pixels).mean(0))
        return network

    return make


@pytest.fixture(scope="session")
def make_contract() -> MakeContract:
    """`make_contract(network, temperature=2.0)`: a contract that resizes, crops and normalises."""

    def make(network: Network, temperature: float = 1.5) -> Contract:
        return Contract(
            classes=tuple(f"class {i}" for i in range(network.arch.classes)),
            input=Input(3, 32, 32),
            resize=Resize(36, 32),
            mean=(0.5, 0.4, 0.3),
            std=(0.2, 0.25, 0.3),
            provenance=Provenance(network.arch.name),
            calibration=Calibration(temperature),
        )

    return make


@pytest.fixture(scope="session")
def source(make_network: MakeNetwork, make_contract: MakeContract) -> Source:
    network = make_network("resnext11_4x4d+template=16")
    return Source("small", network, make_contract(network), "0" * 64, ("probabilities", "cam"))


@pytest.fixture(
    scope="session",
    params=[*NETWORKS[:3], *(pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS[3:])],
)
def any_source(
    request: pytest.FixtureRequest, make_network: MakeNetwork, make_contract: MakeContract
) -> Source:
    """Networks of all kinds, with all outputs."""
    network = make_network(request.param)
    return Source("any", network, make_contract(network), "0" * 64, ("probabilities", "cam"))


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Paths of images of several sizes and formats, with coarse and fine detail and strong colours."""
    folder: Path = tmp_path_factory.mktemp("photographs")
    paths = []
    for i in range(24):
        random = np.random.default_rng(i)
        coarse = Image.fromarray(random.integers(0, 256, (4, 5, 3), np.uint8))
        size = (int(random.integers(40, 90)), int(random.integers(40, 90)))
        fine = random.normal(0, 25, (size[1], size[0], 3))
        pixels = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC)) + fine
        image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
        path = folder / f"{i}.{('png', 'jpg', 'webp')[i % 3]}"
        image.save(path)
        paths.append(str(path))
    return paths


@pytest.fixture(scope="session")
def judges(photographs: list[str]) -> Judges:
    return Judges(UnlabelledImages(photographs), "photographs", has_labels=False)
