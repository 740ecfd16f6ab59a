"""What a recipe says is built."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from resnext.contract import Resize
from resnext.data.augment import ColourJitter, Erasing, Flip, Lighting, PadCrop, ResizedCrop
from resnext.data.autoaugment import RandAugment, TrivialAugment
from resnext.data.mixup import Mixing
from resnext.data.splits import Splits
from resnext.data.stored_images import ImageArrays
from resnext.recipe import named_recipe, override
from resnext.run.builders import build_augmentation, build_contract, build_mixing, class_weights


def test_what_a_recipe_says_is_built() -> None:
    recipe = override(
        named_recipe("small"),
        seed=7,
        data__policy="rand",
        data__operations=3,
        data__magnitude=5,
        data__jitter=0.4,
        data__lighting=0.1,
        data__erasing=0.5,
        data__mixup=0.2,
        data__cutmix=1.0,
        data__size_px=32,
        data__train_px=28,
        data__crop="pad",
        data__pad_px=4,
        data__flip=0.5,
        data__mean=(0.5, 0.4, 0.3),
        data__std=(0.2, 0.2, 0.2),
    )
    images = ImageArrays(np.zeros((12, 1, 1), np.uint8), np.array([0] * 9 + [1] * 3), ("a", "b"))
    contract = build_contract(recipe, Splits("some", images, images), "0", None)
    grey = (128, 102, 76)  # the mean colour
    assert build_augmentation(recipe, contract).steps == (
        PadCrop(Resize(32, 32), 28, 4, grey),
        Flip(0.5),
        RandAugment(3, 5, grey),
        ColourJitter(0.4),
        Lighting(0.1),
        Erasing(0.5, grey),
    )
    no_colour = build_augmentation(recipe, replace(contract, mean=(-1.0, 0.4, 7.0)))
    assert no_colour.steps[0] == PadCrop(Resize(32, 32), 28, 4, (0, 102, 255))
    more = {"data__operations": 2, "data__magnitude": 9, "data__pad_px": None}  # which have no effect then
    resized = override(recipe, data__crop="resized", data__policy="trivial", **more)
    first, _, policy, *_ = build_augmentation(resized, contract).steps
    assert (first, policy) == (ResizedCrop(28, 0.35, 4 / 3, "bilinear"), TrivialAugment(grey))
    assert build_mixing(recipe, 2) == Mixing(0.2, 1.0, 2, 7)
    assert class_weights(recipe, images) is None
    weights = class_weights(override(recipe, data__balance="weights"), images)
    theirs = compute_class_weight("balanced", classes=np.arange(2), y=images.labels)
    np.testing.assert_allclose(weights, theirs)
