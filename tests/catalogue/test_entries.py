"""The catalogue: its names, and what each name means."""

from __future__ import annotations

from collections import Counter

import pytest

from resnext.arch import TIMM_NAMES, Architecture
from resnext.catalogue import UnknownWeights, catalogue, find_entry, imagenet_classes, locate


def test_every_entry_is_a_network_with_a_contract() -> None:
    names = [entry.name for entry in catalogue()]
    assert len(names) == len(set(names)) > 130
    for entry in catalogue():
        assert Architecture.from_name(entry.network).name == entry.network
        assert entry.hub.partition("/")[0] == "timm"
        assert entry.contract.provenance.weights_licence == entry.licence
        assert len(entry.contract.classes) == len(entry.contract.descriptions) == 1000
        assert find_entry(entry.name) is entry


def test_the_classes_of_imagenet() -> None:
    """Against what everybody knows about them; the test of the peers compares all."""
    synsets = [synset for synset, _ in imagenet_classes()]
    assert synsets == sorted(set(synsets))
    words = dict(imagenet_classes())
    assert words["n01440764"].startswith("tench")
    assert words["n02123045"].startswith("tabby")
    assert synsets[999] == "n15075141"
    assert synsets.index("n02123045") == 281
    repeated = [text for text, count in Counter(words.values()).items() if count > 1]
    assert repeated == ["crane"]  # a bird and a machine: why synsets are the names


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("resnext50_32x4d", "resnext50_32x4d.a1h_in1k"),
        ("resnext101_32x4d", "resnext101_32x4d.gluon_in1k"),  # not the better ones that are non-commercial
        ("resnext101_32x8d", "resnext101_32x8d.tv2_in1k"),
        ("seresnext50_32x4d", "seresnext50_32x4d.racm_in1k"),
        ("resnext50_32x4d+attention=se", "seresnext50_32x4d.racm_in1k"),
        ("resnext50_32x4d.a1h_in1k", "resnext50_32x4d.a1h_in1k"),
        ("ResNeXt50_32X4D_Weights.IMAGENET1K_V1", "ResNeXt50_32X4D_Weights.IMAGENET1K_V1"),
        ("ResNeXt50_32X4D_Weights.DEFAULT", "ResNeXt50_32X4D_Weights.IMAGENET1K_V2"),
        ("ResNet18_Weights.DEFAULT", "ResNet18_Weights.IMAGENET1K_V1"),
    ],
)
def test_what_a_name_means(name: str, means: str) -> None:
    entry = find_entry(name)
    assert entry is not None
    assert entry.name == means


def test_a_network_whose_weights_all_forbid_something_has_no_default() -> None:
    assert find_entry("resnext101_32x32d") is None
    assert find_entry("resnext101_32x32d.fb_wsl_ig1b_ft_in1k") is not None
    with pytest.raises(
        UnknownWeights, match=r"known to allow commercial use.* resnext101_32x32d\.fb_wsl_ig1b_ft_in1k"
    ):
        locate("resnext101_32x32d")


def test_aliases_that_would_load_another_network_are_not_known() -> None:
    """timm maps the names of the 32x16d, 32x32d and 32x48d networks of WSL to the weights of 32x8d."""
    for width in (16, 32, 48):
        assert find_entry(f"ig_resnext101_32x{width}d") is None
    assert "resnext101_32x48d" not in TIMM_NAMES.values()


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("resnext50_32x4d.a1h", "resnext50_32x4d.a1h_in1k"),
        ("resnext50_32x4", "resnext50_32x4d"),
        ("ResNext50_32x4d_Weights.IMAGENET1K_V2", "ResNeXt50_32X4D_Weights.IMAGENET1K_V2"),
        ("resnet50.tv3_in1k", "resnet50.tv"),
    ],
)
def test_an_unknown_name_gets_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(UnknownWeights) as error:
        locate(name)
    suggested = str(error.value).partition("Nearest: ")[2].partition(";")[0].split(", ")
    assert len(suggested) == 3
    assert any(one.startswith(nearest) for one in suggested)
