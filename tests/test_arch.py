"""Names of networks and the values behind them."""

from __future__ import annotations

import itertools
import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnext.arch import (
    ATTENTIONS,
    FORMS,
    KNOWN_NAMES,
    SHORTCUTS,
    STEMS,
    TIMM_NAMES,
    TRANSFORMS,
    Architecture,
    ArchitectureError,
    StageTemplate,
    squeezed_channels,
)
from resnext.arch.errors import nearest


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    transform = draw(st.sampled_from(["grouped", "basic"]))
    return Architecture(
        blocks=tuple(draw(st.lists(st.integers(1, 40), min_size=1, max_size=5))),
        cardinality=draw(st.integers(1, 64)) if transform == "grouped" else 1,
        base_width=draw(st.integers(1, 128)),
        template_width=draw(st.sampled_from([8, 16, 32, 64, 100])),
        transform=transform,
        attention=draw(st.sampled_from(list(ATTENTIONS))),
        shortcut=draw(st.sampled_from(SHORTCUTS)),
        stem=draw(st.sampled_from(list(STEMS))),
        in_channels=draw(st.integers(1, 4)),
        classes=draw(st.integers(1, 5000)),
    )


@given(architectures())
def test_a_name_says_everything_but_classes_and_channels(arch: Architecture) -> None:
    assert Architecture.from_name(arch.name, arch.classes, arch.in_channels) == arch
    assert Architecture.from_json(arch.to_json()) == arch


@pytest.mark.parametrize("name", KNOWN_NAMES)
def test_known_names_are_printed_as_they_are_read(name: str) -> None:
    assert Architecture.from_name(name).name == name


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("resnext50_1x64d", "resnet50"),
        ("resnext29_1x16d+template=16", "resnet29+template=16"),
        ("resnext50_32x4d+stem=imagenet+blocks=3-4-6-3", "resnext50_32x4d"),
        ("resnext29_8x4d+stem=cifar+shortcut=none", "resnext29_8x4d+shortcut=none"),
        ("resnet50+stem=deep+attention=se+blocks=3-4-6-3", "resnet50+blocks=3-4-6-3+attention=se+stem=deep"),
        ("resnext50_32x4d+attention=none", "resnext50_32x4d"),
    ],
)
def test_every_network_has_one_name(name: str, printed: str) -> None:
    assert Architecture.from_name(name).name == printed


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("resnet18", (2, 2, 2, 2)),
        ("resnet34", (3, 4, 6, 3)),
        ("resnet26", (2, 2, 2, 2)),
        ("resnet50", (3, 4, 6, 3)),
        ("resnet101", (3, 4, 23, 3)),
        ("resnet152", (3, 8, 36, 3)),
        ("resnet200", (3, 24, 36, 3)),
        ("resnet35", (3, 4, 1, 3)),
        ("resnext197_2x40d", (3, 4, 55, 3)),
        ("resnet29", (3, 3, 3)),
        ("resnet47+stem=imagenet", (3, 4, 5, 3)),
        ("resnet110+stem=cifar", (12, 12, 12)),
        ("resnet8+transform=basic+stem=deep", (1, 1, 1)),
        ("resnet20+transform=basic", (3, 3, 3)),
        ("resnext50_32x4d+stem=deep_imagenet", (3, 4, 6, 3)),
        ("resnet18+stem=deep_imagenet", (2, 2, 2, 2)),
        ("resnet29+stem=imagenet+blocks=2-2-3-2", (2, 2, 3, 2)),
    ],
)
def test_blocks_that_a_depth_implies(name: str, blocks: tuple[int, ...]) -> None:
    arch = Architecture.from_name(name)
    assert arch.blocks == blocks
    assert len(arch.stages) == len(blocks)


def test_the_template_rules() -> None:
    """Table 1 of the paper: C stays, d doubles as the map is halved."""
    stages = Architecture.from_name("resnext50_32x4d").stages
    assert [s.path_width for s in stages] == [4, 8, 16, 32]
    assert [s.inner_channels for s in stages] == [128, 256, 512, 1024]
    assert [s.out_channels for s in stages] == [256, 512, 1024, 2048]
    assert [s.stride for s in stages] == [1, 2, 2, 2]
    assert {s.cardinality for s in stages} == {32}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("resnxt50_32x4d", "resnext50_32x4d"),
        ("resnext50-32x4d", "resnext50_32x4d"),
        ("ResNeXt50_32X4D", "resnext50_32x4d"),
        ("resnext50", "resnext50_"),
        ("resnet51", "resnet50"),
        ("resnext18_32x4d", "resnext26_32x4d"),
        ("resnet29+stem=imagenet", "give them"),
        ("resnet50+blocks=3-4-6-4", "make depth 53"),
        ("resnet50+block=3-4-6-3", "+blocks="),
        ("resnet50+shortcut=non", "none"),
        ("resnet50+transform=groupd", "grouped"),
        ("resnet50+blocks=3-4--3", "whole numbers"),
        ("resnet50+stem=cifar", "three equal stages"),
        ("resnet50+stem=imagnet", "Nearest: imagenet, wide_imagenet, deep_imagenet"),
        ("resnet50+attention=see", "Nearest: se"),
        ("resnet50+atention=se", "+attention="),
        ("resnet50+stem=cifar+stem=deep", "given twice"),
        ("seresnext50_32x4d", "Nearest: resnext50_32x4d+attention=se"),
        ("resnext50_32x4d+transform=separable", "Nearest: resnext50_1x128d+transform=separable"),
        ("resnext50_0x4d", "no network has such a name"),
        ("", "no network has such a name"),
        ("resnet5\u0660", "no network has such a name"),
        ("resnet50_32x4d", "called resnext50_32x4d"),
    ],
)
def test_a_bad_name_gets_what_would_be_good(name: str, says: str) -> None:
    with pytest.raises(ArchitectureError) as error:
        Architecture.from_name(name)
    assert says in str(error.value)


@given(architectures(), st.randoms())
def test_spelt_out_and_in_any_order_it_is_the_same_network(arch: Architecture, random: Random) -> None:
    options = [
        "+blocks=" + "-".join(map(str, arch.blocks)),
        f"+template={arch.template_width}",
        f"+transform={arch.transform}",
        f"+attention={arch.attention}",
        f"+shortcut={arch.shortcut}",
        f"+stem={arch.stem}",
    ]
    random.shuffle(options)
    spelt = f"resnext{arch.depth}_{arch.cardinality}x{arch.base_width}d" + "".join(options)
    read = Architecture.from_name(spelt, arch.classes, arch.in_channels)
    assert read == arch
    assert read.name == arch.name
    assert len(read.name) <= len(spelt)


@given(architectures())
def test_a_name_is_as_good_after_json(arch: Architecture) -> None:
    assert Architecture.from_json(json.loads(json.dumps(arch.to_json()))) == arch


@given(architectures())
def test_width_doubles_as_the_map_halves(arch: Architecture) -> None:
    first, *_ = stages = arch.stages
    assert first.stride == 1
    assert first.path_width == arch.base_width
    assert first.out_channels == arch.template_width * (4 if arch.transform == "grouped" else 1)
    for before, after in itertools.pairwise(stages):
        assert after.stride == 2
        assert after.cardinality == before.cardinality
        assert after.path_width == 2 * before.path_width
        assert after.inner_channels == 2 * before.inner_channels
        assert after.out_channels == 2 * before.out_channels
    assert arch.features == stages[-1].out_channels
    assert [stage.blocks for stage in stages] == list(arch.blocks)


@pytest.mark.parametrize("depth", range(3, 212))
def test_depths_that_a_plain_name_may_have(depth: int) -> None:
    """18 and 34 are basic; 11, 20, ..., 47 have three stages; others need 3n + 2 layers from 35 to 200."""
    three_stages = depth in (11, 20, 29, 38, 47)
    if depth in (18, 34, 26) or three_stages or (35 <= depth <= 200 and depth % 3 == 2):
        arch = Architecture.from_name(f"resnet{depth}")
        assert arch.depth == depth
        assert arch.transform == ("basic" if depth in (18, 34) else "grouped")
        assert (arch.stem, len(arch.blocks)) == (("cifar", 3) if three_stages else ("imagenet", 4))
    else:
        with pytest.raises(ArchitectureError):
            Architecture.from_name(f"resnet{depth}")


@given(architectures(), st.integers(1, 30))
def test_blocks_must_make_the_depth(arch: Architecture, off: int) -> None:
    blocks = "-".join(map(str, arch.blocks))
    with pytest.raises(ArchitectureError, match=f"not {arch.depth + off}"):
        Architecture.from_name(f"resnet{arch.depth + off}+blocks={blocks}+transform={arch.transform}")


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("resnxt50_32x4d", "resnext50_32x4d"),
        ("resnext50-32x4d", "resnext50_32x4d"),
        ("ResNeXt50_32X4D", "resnext50_32x4d"),
        ("resnet50_32x4d", "resnext50_32x4d"),
        ("resnext101_32x4", "resnext101_32x4d"),
        ("resnext50_32x04d", "resnext50_32x4d"),
        ("se_resnext50_32x4d", "resnext50_32x4d"),
        ("resnext29_8x64", "resnext29_8x64d"),
        ("RESNET50", "resnet50"),
        ("resnet-50", "resnet50"),
        ("resnet051", "resnet50"),
        ("resnet50 ", "resnet50"),
    ],
)
def test_the_nearest_name_is_named_first(name: str, good: str) -> None:
    with pytest.raises(ArchitectureError) as error:
        Architecture.from_name(name)
    near = str(error.value).rpartition("Nearest: ")[2].split(", ")
    assert near[0] == good
    assert all(Architecture.from_name(n).name == n for n in near)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"blocks": ()}, "blocks"),
        ({"blocks": (3, 0, 3)}, "blocks"),
        ({"cardinality": 0}, "cardinality"),
        ({"base_width": 0}, "base_width"),
        ({"template_width": -1}, "template_width"),
        ({"in_channels": 0}, "in_channels"),
        ({"classes": 0}, "classes"),
        ({"stem": "cifar10"}, "cifar"),
        ({"attention": "se_"}, "attention=se_ is not known. Nearest: se"),
        ({"transform": "basic", "cardinality": 2}, "resnext26_2x64d"),
    ],
)
def test_values_that_describe_no_network(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ArchitectureError, match=says):
        Architecture(**({"blocks": (2, 2, 2, 2)} | values))


def test_only_one_hint_is_given() -> None:
    with pytest.raises(ArchitectureError) as error:
        Architecture.from_name("resnet50+shortcut=zeropad")
    assert str(error.value).count("Nearest: ") == 1
    assert str(error.value).endswith("Nearest: zero_pad")


def test_blocks_may_be_a_list() -> None:
    made = Architecture(blocks=[3, 4, 6, 3])  # type: ignore[arg-type]
    assert made == Architecture.from_name("resnet50")
    assert hash(made) == hash(Architecture.from_name("resnet50"))


#: The values of a row's name in a network with enough stages for every stem.
def with_row(field: str, name: str) -> Architecture:
    return Architecture((1, 2, 2, 1), base_width=8, template_width=16, **{field: name})


ROWS = [
    *(("transform", name) for name in TRANSFORMS),
    *(("attention", name) for name in ATTENTIONS),
    *(("shortcut", name) for name in SHORTCUTS),
    *(("stem", name) for name in STEMS),
]


@pytest.mark.parametrize(("field", "name"), ROWS)
def test_every_row_can_be_named(field: str, name: str) -> None:
    arch = with_row(field, name)
    assert Architecture.from_name(arch.name) == arch
    table = {"transform": TRANSFORMS, "attention": ATTENTIONS, "stem": STEMS}.get(field)
    assert table is None or table[name].name == name


def test_paths_are_named_where_there_are_several() -> None:
    """In the words of the paper's table 1."""
    one, four = (TRANSFORMS["grouped"].text(StageTemplate(1, c, 8, 256, 1)) for c in (1, 4))
    assert (one, four) == (("1x1, 8", "3x3, 8", "1x1, 256"), ("1x1, 32", "3x3, 32, C=4", "1x1, 256"))


def test_the_text_of_the_transformations() -> None:
    stage = StageTemplate(blocks=1, cardinality=4, path_width=8, out_channels=256, stride=1)
    assert {name: row.text(stage) for name, row in TRANSFORMS.items()} == {
        "grouped": ("1x1, 32", "3x3, 32, C=4", "1x1, 256"),
        "concatenated": ("4 x (1x1, 8; 3x3, 8)", "concatenated: 1x1, 256"),
        "branches": ("4 x (1x1, 8; 3x3, 8; 1x1, 256)", "summed"),
        "multi_resolution": ("1x1, 128", "4 shares of 32: 0 to 3 x (3x3, 32, C=4)", "1x1, 256"),
        "separable": ("1x1, 32", "3x3, 32, depthwise", "1x1, 32", "1x1, 256"),
        "inception": ("1x1, 32", "3x3, 32, C=4", "1x1, 256, C=4"),
        "basic": ("3x3, 32", "3x3, 256"),
    }


@pytest.mark.parametrize(
    ("largest", "more", "says"),
    [
        ({"classes": 1_000_000}, {"classes": 1_000_001}, "1,000,001 classes; the most are 1,000,000"),
        ({"in_channels": 1024}, {"in_channels": 1025}, "1,025 input channels; the most are 1,024"),
        ({"blocks": (500, 500)}, {"blocks": (500, 501)}, "1,001 blocks; the most are 1,000"),
        (
            {"blocks": (25, 25), "cardinality": 1000},
            {"blocks": (25, 25), "cardinality": 1001},
            "50,050 paths; the most are 50,000",
        ),
    ],
)
def test_the_largest_networks(largest: dict[str, Any], more: dict[str, Any], says: str) -> None:
    small = {"blocks": (1, 1), "base_width": 1, "template_width": 1}
    assert Architecture(**small | largest)
    with pytest.raises(ArchitectureError, match=says) as caught:
        Architecture(**small | more)
    assert caught.value.exit_code == 2


def test_the_longest_name() -> None:
    for length, says in ((200, "no network has such a name"), (201, "at most 200 characters")):
        with pytest.raises(ArchitectureError, match=says):
            Architecture.from_name("x" * length)


def test_up_to_three_words_are_near_or_the_first_four_are_named() -> None:
    assert nearest("imagnet", STEMS) == ". Nearest: imagenet, wide_imagenet, deep_imagenet"
    assert nearest("zz", ["a1", "b2", "c3", "d4", "e5"]) == ". Nearest: a1, b2, c3, d4"
    assert nearest("abcxyz", ["abcdef", "q"]) == ". Nearest: abcdef"  # half of it is the same


def test_the_last_of_as_many_stages_as_there_may_be_is_looked_at() -> None:
    """It is the widest: twice the width with each stage."""
    fits = Architecture((1,) * 16, base_width=8, template_width=8)
    assert fits.stages[-1].out_channels == 2**20
    with pytest.raises(ArchitectureError, match=r"2,097,152 channels; the most are 1,048,576"):
        Architecture((1,) * 16, base_width=8, template_width=16)
    with pytest.raises(ArchitectureError, match=r"17 stages; the most are 16"):
        Architecture((1,) * 17, base_width=8, template_width=8)


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=lambda row: row.name)
def test_every_transform_is_complete(transform: Any) -> None:
    assert transform.layers >= 1
    assert transform.expansion >= 1
    text = transform.text(StageTemplate(1, 1, 64, 256, 1))
    assert text
    assert all("64" in line or "256" in line or line == "summed" for line in text)
    assert transform.cardinality.allows(1, 256)  # one path is always possible


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=lambda row: row.name)
def test_a_refused_cardinality_has_a_reason(transform: Any) -> None:
    for cardinality in (1, 2, 3, 7):
        values = {"blocks": (1, 1), "cardinality": cardinality, "transform": transform.name}
        if transform.cardinality.allows(cardinality, 64 * transform.expansion):
            assert Architecture(**values).cardinality == cardinality
        else:
            with pytest.raises(ArchitectureError, match=transform.name) as error:
                Architecture(**values)
            assert "{" not in str(error.value)


@pytest.mark.parametrize("stem", STEMS.values(), ids=lambda row: row.name)
def test_every_stem_is_complete(stem: Any) -> None:
    arch = with_row("stem", stem.name)
    assert arch.size_px == stem.size_px >= 32
    assert stem.classes >= 2
    assert stem.channels >= 1
    layers = (*stem.convolutions, stem.early_pooling, stem.pooling)
    assert len(stem.text) == sum(layer is not None for layer in layers)
    implied = [stem.blocks(depth, TRANSFORMS["grouped"]) for depth in (38, 47)]
    assert {len(blocks) for blocks in implied} <= {3, 4}


def test_the_text_of_the_stems() -> None:
    text = {
        "imagenet": ("7x7, 64, stride 2", "3x3 max pool, stride 2"),
        "cifar": ("3x3, 64",),
        "deep": ("3x3, 24", "3x3, 64", "2x2 max pool, stride 2"),
        "deep_imagenet": ("3x3, 32, stride 2", "3x3, 32", "3x3, 64", "3x3 max pool, stride 2"),
        "tiered_imagenet": ("3x3, 24, stride 2", "3x3, 32", "3x3, 64", "3x3 max pool, stride 2"),
        "wide_imagenet": ("3x3, 64, stride 2", "3x3, 64", "3x3, 128", "3x3 max pool, stride 2"),
    }
    assert {name: stem.text for name, stem in STEMS.items()} == text


def test_the_images_that_the_stems_were_made_for() -> None:
    """Of ImageNet's 1000 classes, or of CIFAR-10."""
    for name, stem in STEMS.items():
        assert (stem.size_px, stem.classes) == ((224, 1000) if "imagenet" in name else (32, 10))


def test_layers_and_expansion_of_the_transformations() -> None:
    """The bottleneck has three layers and gives four times its width; the basic block is ResNet-34's."""
    for name, row in TRANSFORMS.items():
        assert (row.layers, row.expansion) == ((2, 1) if name == "basic" else (3, 4))


def test_the_paper_s_three_forms() -> None:
    assert FORMS == ("grouped", "concatenated", "branches")
    assert [TRANSFORMS[form].letter for form in FORMS] == ["(c)", "(b)", "(a)"]


@pytest.mark.parametrize("name", TIMM_NAMES)
def test_names_that_timm_has_others_for(name: str) -> None:
    assert Architecture.from_name(name).name == name


def test_the_width_between_the_layers_of_squeeze_and_excitation() -> None:
    """timm's make_divisible(channels / 16, 8, round_limit=0)."""
    for channels in range(1, 5000):
        rounded = max(8, int(channels / 16 + 4) // 8 * 8)
        assert squeezed_channels(channels) == rounded
