"""Augmentation, mixing and stochastic depth act as torchvision's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from scipy.stats import ks_2samp

from resnext.data.augment import ColourJitter, Erasing, ResizedCrop, sample_generator
from resnext.data.autoaugment import MAX_MAGNITUDE, OPERATIONS, SIGNED, RandAugment, TrivialAugment
from resnext.data.mixup import cutmix, mixup
from resnext.models.stochastic_depth import StochasticDepth

FILL = (12, 130, 250)
THEIR_NAMES = {
    "identity": "Identity",
    "shear_x": "ShearX",
    "shear_y": "ShearY",
    "translate_x": "TranslateX",
    "translate_y": "TranslateY",
    "rotate": "Rotate",
    "brightness": "Brightness",
    "colour": "Color",
    "contrast": "Contrast",
    "sharpness": "Sharpness",
    "posterise": "Posterize",
    "solarise": "Solarize",
    "autocontrast": "AutoContrast",
    "equalise": "Equalize",
}


def make_image(width: int = 60, height: int = 45) -> Image.Image:
    """Smooth with some noise, so that neither resampling nor equalising is trivial."""
    y, x = np.mgrid[:height, :width]
    waves = np.stack([np.sin(x / 9 + c) + np.cos(y / 7 * (c + 1)) for c in range(3)], 2)
    noise = np.random.default_rng(0).normal(0, 0.2, waves.shape)
    return Image.fromarray(np.clip(128 + 50 * (waves + noise), 0, 255).astype(np.uint8))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_the_pixels_of_a_resized_crop(interpolation: str, torchvision: Any) -> None:
    from torchvision.transforms import InterpolationMode, functional

    values = np.random.default_rng(0).integers(0, 256, (75, 100, 3), dtype=np.uint8)
    image, crop = Image.fromarray(values), ResizedCrop(32, 0.08, 4 / 3, interpolation)
    for number in range(20):
        left, top, width, height = crop.box(100, 75, sample_generator(0, 0, number))
        mode = InterpolationMode(interpolation)
        theirs = functional.resized_crop(image, top, left, height, width, [32, 32], mode, antialias=True)
        assert np.array_equal(np.asarray(crop(image, sample_generator(0, 0, number))), np.asarray(theirs))


def test_resized_crops_come_from_the_same_distribution(torchvision: Any) -> None:
    from torchvision.transforms import RandomResizedCrop

    crop = ResizedCrop(32, min_area=0.2, max_aspect=4 / 3, interpolation="bilinear")
    ours = np.array([crop.box(200, 150, sample_generator(0, 0, i)) for i in range(3000)])
    torch.manual_seed(0)
    image = torch.zeros(3, 150, 200)
    drawn = [RandomResizedCrop.get_params(image, [0.2, 1.0], [3 / 4, 4 / 3]) for _ in range(3000)]
    theirs = np.array([(left, top, width, height) for top, left, height, width in drawn])
    for measure in (
        lambda b: b[:, 2] * b[:, 3],
        lambda b: np.log(b[:, 2] / b[:, 3]),
        lambda b: b[:, 0],
        lambda b: b[:, 1],
    ):
        assert ks_2samp(measure(ours), measure(theirs)).pvalue > 1e-3


@pytest.mark.parametrize("size", [(500, 10), (10, 500), (97, 3)])
def test_crops_where_nothing_fits(size: tuple[int, int], torchvision: Any) -> None:
    from torchvision.transforms import RandomResizedCrop

    width, height = size
    crop = ResizedCrop(32, min_area=0.9, max_aspect=4 / 3, interpolation="bilinear")
    ours = {crop.box(width, height, sample_generator(0, 0, i)) for i in range(20)}
    image = torch.zeros(3, height, width)
    top, left, rows, columns = RandomResizedCrop.get_params(image, [0.9, 1.0], [3 / 4, 4 / 3])
    assert ours == {(left, top, columns, rows)}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_of_the_policies(name: str, torchvision: Any) -> None:
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.autoaugment import _apply_op

    image = make_image()
    for magnitude in range(0, MAX_MAGNITUDE + 1, 3):
        for sign in (1, -1) if name in SIGNED else (1,):
            strength = sign * TrivialAugment.strength(name, magnitude)
            theirs = _apply_op(image, THEIR_NAMES[name], strength, InterpolationMode.BILINEAR, [*FILL])
            ours = OPERATIONS[name](image, strength, FILL)
            differs = (np.asarray(ours) != np.asarray(theirs)).any(2).mean()
            # Their shear goes through an angle: pixels at the very edge of the image may fall out.
            assert differs <= (0.002 if "shear" in name else 0), (magnitude, sign)


def test_strengths_of_the_policies(torchvision: Any) -> None:
    from torchvision.transforms import autoaugment

    assert autoaugment.TrivialAugmentWide().num_magnitude_bins == MAX_MAGNITUDE + 1
    wide = autoaugment.TrivialAugmentWide()._augmentation_space(MAX_MAGNITUDE + 1)
    rand = autoaugment.RandAugment()._augmentation_space(MAX_MAGNITUDE + 1, (45, 60))
    assert set(THEIR_NAMES.values()) == wide.keys() == rand.keys()
    for ours, theirs in THEIR_NAMES.items():
        for magnitude in range(MAX_MAGNITUDE + 1):
            for space, strength in (
                (wide, TrivialAugment.strength(ours, magnitude)),
                (rand, RandAugment.strength(ours, magnitude, (60, 45))),
            ):
                values, signed = space[theirs]
                expected = float(values[magnitude]) if values.ndim else float(values)
                assert strength == pytest.approx(expected, abs=1e-4), (ours, magnitude)
                assert signed == (ours in SIGNED)


@pytest.mark.parametrize("policy", [RandAugment(2, 9, FILL), TrivialAugment(FILL)])
def test_policies_draw_all_operations_alike(policy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, int] = dict.fromkeys(OPERATIONS, 0)

    def count(name: str) -> Any:
        def operation(image: Image.Image, *_: Any) -> Image.Image:
            drawn[name] += 1
            return image

        return operation

    for name in OPERATIONS:
        monkeypatch.setitem(OPERATIONS, name, count(name))
    for index in range(2800 // getattr(policy, "count", 1)):
        policy(make_image(), sample_generator(0, 0, index))
    assert sum(drawn.values()) == 2800
    assert all(150 < n < 250 for n in drawn.values())  # 200 +- 3.6 standard deviations


def test_colour_jitter(torchvision: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.transforms import functional as F

    adjust = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation)
    for index in range(20):
        random = sample_generator(0, 0, index)
        theirs = make_image()
        for number in random.permutation(3):
            theirs = adjust[number](theirs, random.uniform(0.6, 1.4))
        ours = ColourJitter(0.4)(make_image(), sample_generator(0, 0, index))
        assert np.array_equal(np.asarray(ours), np.asarray(theirs))
    factors = []
    monkeypatch.setattr(ImageEnhance.Color, "enhance", lambda self, f: (factors.append(f), self.image)[1])
    for index in range(2000):
        ColourJitter(0.4)(make_image(4, 4), sample_generator(1, 0, index))
    torch.manual_seed(0)
    around = (0.6, 1.4)
    draw = torchvision.transforms.ColorJitter.get_params
    reference = [draw(around, around, around, None)[3] for _ in factors]
    assert ks_2samp(factors, reference).pvalue > 1e-3


def test_erasing(torchvision: Any) -> None:
    """The boxes are drawn from the same distribution; what is inside is the colour, outside is untouched."""
    size, ours, theirs = (60, 45), [], []
    image = Image.new("RGB", size)
    torch.manual_seed(0)
    for index in range(2000):
        inside = np.asarray(Erasing(1.0, FILL)(image, sample_generator(0, 0, index)))
        erased = (inside == FILL).all(2)
        assert (inside[~erased] == 0).all()
        rows, columns = erased.any(1).nonzero()[0], erased.any(0).nonzero()[0]
        assert erased[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        ours.append((columns[0], rows[0], len(columns), len(rows)))
        top, left, h, w, _ = torchvision.transforms.RandomErasing.get_params(
            torch.zeros(3, size[1], size[0]), (0.02, 0.33), (0.3, 3.3), [0.0]
        )
        theirs.append((left, top, w, h))
    for mine, reference in zip(zip(*ours, strict=True), zip(*theirs, strict=True), strict=True):
        assert ks_2samp(mine, reference).pvalue > 1e-3
    untouched = [Erasing(0.25, FILL)(image, sample_generator(1, 0, i)) is image for i in range(2000)]
    assert 0.7 < np.mean(untouched) < 0.8


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.77, 1.0])
def test_mixup_and_cutmix(kept: float, torchvision: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.transforms import v2

    images, labels = torch.rand(6, 3, 20, 30), torch.tensor([0, 3, 1, 1, 2, 0])
    reference = v2.MixUp(num_classes=4)
    monkeypatch.setattr(reference._dist, "sample", lambda *a: torch.tensor(kept))
    torch.testing.assert_close(mixup(images, labels, 4, kept), reference(images, labels))

    reference = v2.CutMix(num_classes=4)
    monkeypatch.setattr(reference._dist, "sample", lambda *a: torch.tensor(kept))
    for x, y in ((0, 0), (15, 10), (29, 19), (7, 18)):
        with monkeypatch.context() as patch:
            centre = iter([torch.tensor([x]), torch.tensor([y])])
            patch.setattr(torch, "randint", lambda *a, centre=centre, **k: next(centre))
            theirs = reference(images, labels)
        torch.testing.assert_close(cutmix(images, labels, 4, kept, x, y), theirs)


def test_stochastic_depth(torchvision: Any) -> None:
    from torchvision.ops import StochasticDepth as Theirs

    x = torch.randn(64, 3, 4, 4)
    torch.manual_seed(3)
    expected = Theirs(0.4, "row")(x)
    torch.manual_seed(3)
    torch.testing.assert_close(StochasticDepth(0.4)(x), expected)
    assert StochasticDepth(0.4).eval()(x) is x
