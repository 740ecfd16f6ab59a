"""Recipes: one value, changed by dotted names, kept as TOML; and the other options of a run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnext.data.settings import DataSettings, usual_resize_px
from resnext.errors import UsageError
from resnext.recipe import (
    RECIPES,
    Recipe,
    RecipeError,
    TrainOptions,
    dotted_names,
    get_field,
    named_recipe,
    override,
    set_field,
)
from resnext.recipe.fields import set_fields
from resnext.recipe.options import CheckpointInterval
from resnext.training.settings import TrainingSettings

shares = st.floats(0, 1, exclude_max=True)
triples = st.none() | st.tuples(*[st.floats(0.01, 1)] * 3)
recipes = st.builds(
    Recipe,
    model=st.none() | st.text(),
    epochs=st.none() | st.integers(1, 999),
    batch=st.none() | st.integers(1, 999),
    precision=st.sampled_from([None, "float32", "bfloat16"]),
    seed=st.integers(0, 2**63 - 1),
    data=st.builds(
        DataSettings,
        size_px=st.none() | st.integers(1, 99),
        resize_px=st.none() | st.integers(99, 200),
        interpolation=st.sampled_from(["bilinear", "bicubic", "lanczos"]),
        mean=triples,
        std=triples,
        crop=st.sampled_from([None, "pad", "resized"]),
        flip=st.none() | shares,
    ),
    training=st.builds(
        TrainingSettings,
        lr=st.floats(1e-6, 10),
        warmup=shares,
        averaging=shares,
        decays=st.sampled_from(["all", "kernels"]),
        schedule=st.just("step"),
        milestones=st.lists(st.floats(0.01, 0.99), max_size=4).map(tuple),
    ),
)


@given(recipes)
def test_toml_loses_nothing(recipe: Recipe) -> None:
    assert Recipe.from_toml(recipe.to_toml()) == recipe


@pytest.mark.parametrize("name", RECIPES)
def test_toml_round_trip(name: str) -> None:
    rate = {} if name == "probe" else {"training__lr": 1}
    recipe = override(named_recipe(name), seed=7, data__mean=(0.1, 0.2, 0.3), **rate)
    assert Recipe.from_toml(recipe.to_toml()) == recipe


def test_what_toml_leaves_out_is_open_or_default() -> None:
    recipe = Recipe.from_toml('model = "resnet50"\n[training]\nlr = 1\n')
    assert recipe == override(Recipe(), model="resnet50", training__lr=1.0)
    assert recipe.epochs is None


def test_every_field_can_be_named() -> None:
    recipe = named_recipe("small")
    for name in dotted_names():
        assert set_field(recipe, name, get_field(recipe, name)) == recipe
    assert "training.lr" in dotted_names()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("epochs", 10**6, "epochs: must be at most 100,000"),
        ("batch", 10**7, "batch: must be at most 1,000,000"),
        ("training.accumulate", 10**7, "training.accumulate: must be at most 1,000,000"),
        ("training.patience", 10**6, "training.patience: must be at most 100,000"),
        ("data.pad_px", 5000, "data.pad_px: must be at most 4096"),
        ("data.mean", (0.5, 1e9, 0.5), "data.mean: must be finite, from -1e"),
        ("data.std", (0.5, 1e-9, 0.5), "data.std: must be positive and finite, from 1e-06"),
        ("training.lr", float("inf"), "training.lr: must be positive and at most"),
        ("training.weight_decay", float("inf"), "training.weight_decay: must be at least 0 and at most"),
        ("training.milestones", (0.5,) * 1001, "training.milestones"),
        ("training.learning_rate", 1.0, "training.lr"),
        ("epoch", 3, "epochs"),
        ("training", 3, "there is no field 'training'"),
        ("training.lr", "fast", "training.lr"),
        ("training.lr", 0.0, "training.lr: must be positive"),
        ("training.schedule", "linear", "one-cycle, cosine, step"),
        ("training.momentum", 1.0, "training.momentum"),
        ("training.milestones", (0.5, 1.5), "training.milestones"),
        ("epochs", 0, "epochs: must be at least 1"),
        ("epochs", 2.5, "epochs"),
        ("epochs", True, "epochs"),
        ("seed", -1, "seed"),
        ("data.flip", 1.5, "data.flip"),
        ("data.mean", (0.5, 0.5), "data.mean"),
        ("precision", "float16", "float32, bfloat16"),
        ("epochs", "3", "epochs"),
        ("seed", 2**63, "seed"),
        ("data.size_px", 100_000, "data.size_px: must be at most"),
        ("data.max_aspect", float("inf"), "data.max_aspect"),
        ("data.mean", (0.5, float("nan"), 0.5), "data.mean: must be finite"),
        ("batch", 0, "batch: must be at least 1"),
        ("data.size", 32, "data.size_px"),
        ("data.size_px", 0, "data.size_px: must be at least 1"),
        ("data.pad_px", -1, "data.pad_px: must be at least 0"),
        ("data.min_area", 0.0, "data.min_area"),
        ("data.max_aspect", 0.5, "data.max_aspect: must be from 1 to 100"),
        ("data.std", (0.1, 0.0, 0.1), "data.std: must be positive"),
        ("data.crop", "random", "pad, resized"),
        ("data.magnitude", 5, "set data.policy to rand"),
        ("data.magnitude", 31, "from 0 to 30"),
        ("data.erasing", 1.5, "data.erasing: must be from 0 to 1"),
        ("data.mixup", -1.0, "data.mixup: must be at least 0"),
        ("training.dropout", 1.0, "training.dropout: must be from 0 to less than 1"),
        ("training.layer_decay", 0.0, "training.layer_decay: must be above 0 and at most 1"),
        ("training.patience", -1, "training.patience"),
        ("training.lr", None, "training.lr"),
        ("training.lr", float("nan"), "training.lr"),
        ("lr", 1.0, "there is no field 'lr'. Nearest: training.lr (training__lr=... in Python)"),
        ("training.lr.peak", 1.0, "there is no field 'training.lr.peak'"),
        ("training.weight_decay", -1e-4, "training.weight_decay: must be at least 0"),
        ("training.warmup", 1.0, "training.warmup"),
        ("training.averaging", 1.5, "training.averaging"),
        ("training.label_smoothing", 1.0, "training.label_smoothing"),
        ("training.lr_batch", 0, "training.lr_batch"),
    ],
)
def test_bad_values_are_named(name: str, value: Any, says: str) -> None:
    with pytest.raises(RecipeError) as error:
        set_field(named_recipe("small"), name, value)
    assert says in str(error.value)


def test_other_errors() -> None:
    with pytest.raises(RecipeError, match="not TOML"):
        Recipe.from_toml("model = ")
    with pytest.raises(RecipeError, match="small"):
        named_recipe("smal")
    with pytest.raises(RecipeError, match="at least size_px"):
        override(Recipe(), data__size_px=64, data__resize_px=32)


#: What leaves a recipe as the paper and the authors' code have it: no other regularisation, and a free seed.
PLAIN = {
    "precision": None,
    "seed": 0,
    "data.grey": None,
    "data.decoder": None,
    "data.train_px": None,
    "data.policy": "none",
    "data.operations": 2,  # without effect, as the policy is none
    "data.magnitude": 9,
    "data.erasing": 0.0,
    "data.mixup": 0.0,
    "data.cutmix": 0.0,
    "data.balance": "none",
    "training.fits": "network",
    "training.optimiser": "sgd",  # with Nesterov momentum: train.lua
    "training.momentum": 0.9,  # sections 4 and appendix A
    "training.decays": "all",  # train.lua decays scales and shifts too
    "training.schedule": "step",
    "training.warmup": 0.0,
    "training.label_smoothing": 0.0,
    "training.averaging": 0.0,
    "training.zero_init": False,
    "training.drop_path": 0.0,
    "training.dropout": 0.0,
    "training.accumulate": 1,
    "training.clip_norm": 0.0,
    "training.patience": 0,
    "training.batch_norm": "own",
    "training.compile": "off",
    "training.frozen": 0,
    "training.layer_decay": 1.0,
}
#: Section 5.3 and appendix A; the flip and the margin of the mean colour: datasets/cifar10.lua.
CIFAR = PLAIN | {
    "model": "resnext29_8x64d",
    "epochs": 300,
    "batch": 128,
    "data.size_px": 32,
    "data.resize_px": 32,
    "data.interpolation": None,  # nothing is resized
    "data.mean": None,  # those of the training images, as in the code
    "data.std": None,
    "data.crop": "pad",
    "data.pad_px": 4,
    "data.min_area": 0.35,  # without effect, as the crop is pad
    "data.max_aspect": 4 / 3,
    "data.flip": 0.5,
    "data.jitter": 0.0,
    "data.lighting": 0.0,
    "training.lr": 0.1,
    "training.lr_batch": 128,
    "training.weight_decay": 5e-4,
    "training.milestones": (150 / 300, 225 / 300),
}
#: Section 4; what it leaves open: datasets/imagenet.lua, opts.lua and train.lua of the authors' code.
IMAGENET = PLAIN | {
    "model": "resnext50_32x4d",
    "epochs": 100,
    "batch": 256,
    "data.size_px": 224,
    "data.resize_px": 256,
    "data.interpolation": "bicubic",
    "data.mean": (0.485, 0.456, 0.406),
    "data.std": (0.229, 0.224, 0.225),
    "data.crop": "resized",
    "data.pad_px": None,  # without effect, as the crop is resized
    "data.min_area": 0.08,
    "data.max_aspect": 4 / 3,
    "data.flip": 0.5,
    "data.jitter": 0.4,
    "data.lighting": 0.1,
    "training.lr": 0.1,
    "training.lr_batch": 256,
    "training.weight_decay": 1e-4,
    "training.milestones": (30 / 100, 60 / 100, 90 / 100),
}


#: Torch's batch norms saw the share of each of 8 GPUs, 16 images, and float32 was all there was.
EXACT = CIFAR | {"precision": "float32", "training.accumulate": 8}


@pytest.mark.parametrize(
    ("name", "published"), [("cifar", CIFAR), ("cifar-exact", EXACT), ("imagenet", IMAGENET)]
)
def test_every_field_of_the_paper_s_recipes(name: str, published: dict[str, Any]) -> None:
    recipe = named_recipe(name)
    assert {field: get_field(recipe, field) for field in dotted_names()} == published


def test_colours_of_imagenet_are_those_of_torchvision() -> None:
    """The same constants stand in fb.resnet.torch and in torchvision's transforms."""
    modern = named_recipe("imagenet-modern").data
    assert (modern.mean, modern.std) == (IMAGENET["data.mean"], IMAGENET["data.std"])


def test_torchvision_s_newest_recipe() -> None:
    """The numbers of its training references for the second generation of weights."""
    recipe = named_recipe("imagenet-modern")
    assert (recipe.epochs, recipe.batch) == (600, 1024)
    training, data = recipe.training, recipe.data
    assert (training.lr * 1024 / training.lr_batch, training.weight_decay, training.decays) == (
        0.5,
        2e-5,
        "kernels",
    )
    assert (training.schedule, training.warmup * recipe.epochs) == ("cosine", pytest.approx(5))
    assert (training.label_smoothing, data.mixup, data.cutmix, data.erasing) == (0.1, 0.2, 1.0, 0.1)
    assert (data.train_px, data.size_px, data.resize_px, data.policy) == (176, 224, 232, "trivial")


def test_the_small_cifar_recipe_is_the_one_whose_result_is_kept() -> None:
    lines = (Path(__file__).parents[1] / "results" / "cifar10.jsonl").read_text().splitlines()
    best = min(map(json.loads, lines), key=lambda line: line["metrics"]["test"]["top1_error"])
    recipe, kept = named_recipe("cifar-small"), best["recipe"]
    for name in dotted_names():
        value = kept
        for part in name.split("."):
            value = value.get(part, get_field(recipe, name)) if isinstance(value, dict) else value
        said = get_field(recipe, name)
        assert said is None or (list(said) if isinstance(said, tuple) else said) == value, name
    assert best["metrics"]["test"]["top1_error"] == pytest.approx(100 - 87.35)
    assert best["seconds"] < 45 * 60
    assert not best["dirty"]


def test_overrides_touch_nothing_else() -> None:
    recipe = named_recipe("cifar")
    changed = override(recipe, epochs=3, training__lr=1, data__flip=None)
    assert (changed.epochs, changed.training.lr, changed.data.flip) == (3, 1.0, None)
    assert type(changed.training.lr) is float
    touched = {"epochs", "training.lr", "data.flip"}
    for name in set(dotted_names()) - touched:
        assert get_field(changed, name) == get_field(recipe, name)
    assert recipe == named_recipe("cifar")


def test_bad_toml_is_named_like_a_bad_override() -> None:
    for text, says in (
        ("[training]\nlearning_rate = 1.0", "Nearest: training.l"),
        ("[training.lr]\npeak = 1.0", "training.lr.peak"),
        ("epochs = 0", "epochs: must be at least 1"),
        ("[data]\nmean = [0.5]", "data.mean"),
        ("training = 3", "'training'"),
    ):
        with pytest.raises(RecipeError) as error:
            Recipe.from_toml(text)
        assert says in str(error.value)


def test_fields_that_depend_on_each_other_may_come_in_any_order() -> None:
    pairs = [("data__size_px", 224), ("data__resize_px", 256)]
    assert override(named_recipe("cifar"), **dict(pairs)) == override(
        named_recipe("cifar"), **dict(pairs[::-1])
    )


def test_an_unknown_table_of_toml_is_named() -> None:
    with pytest.raises(RecipeError, match="training"):
        Recipe.from_toml("[trainnig]\n")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"data__crop": "resized", "data__pad_px": 3}, "data.pad_px: has no effect with data.crop = resized"),
        ({"data__crop": "pad", "data__min_area": 0.1}, "set data.crop to resized"),
        ({"training__schedule": "cosine", "training__milestones": (0.1,)}, "set training.schedule to step"),
        ({"data__operations": 3}, "data.operations: has no effect with data.policy = none"),
        ({"batch": 8, "training__accumulate": 9}, "training.accumulate: must be at most the batch (8)"),
        ({"data__size_px": 64, "data__resize_px": 63}, "data.resize_px: must be at least size_px"),
    ],
)
def test_settings_that_do_not_fit_together(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(says)):
        override(Recipe(), **changes)


@pytest.mark.parametrize("size_px", [33, 40, 41, 48, 224])
def test_what_a_larger_size_needs_too_is_told_and_is_enough(size_px: int) -> None:
    """The config.toml of a run says every size; the options in the message make one size of them again."""
    old = override(Recipe(), data__size_px=32, data__resize_px=32, data__train_px=32, data__crop="pad")
    with pytest.raises(RecipeError, match=rf"must be at least size_px \({size_px}\), not 32; give") as error:
        override(old, data__size_px=size_px)
    told = re.findall(r"--(data\.\S+) (\d+)", str(error.value))
    values = {name.replace("-", "_"): int(value) for name, value in told}
    changed = set_fields(old, {"data.size_px": size_px} | values).data
    assert (changed.resize_px, changed.train_px) == (usual_resize_px(size_px), size_px)


def test_a_training_crop_fits_into_the_image_and_its_margin() -> None:
    fits = override(named_recipe("cifar"), data__train_px=40)
    assert fits.data.train_px == 40
    with pytest.raises(RecipeError, match=r"data.train_px: must be at most size_px \+ 2 pad_px \(40\)"):
        override(named_recipe("cifar"), data__train_px=41)


@pytest.mark.parametrize(
    ("text", "every"),
    [
        ("200", CheckpointInterval(steps=200)),
        ("90s", CheckpointInterval(seconds=90)),
        ("10min", CheckpointInterval(seconds=600)),
    ],
)
def test_how_often_to_save(text: str, every: CheckpointInterval) -> None:
    assert CheckpointInterval.parse(text) == every
    assert TrainOptions(checkpoint_every=text).checkpoint_interval == every


@pytest.mark.parametrize("text", ["0", "", "10m", "ten", "-5", "1.5min"])
def test_how_often_not_to_save(text: str) -> None:
    with pytest.raises(UsageError, match="--checkpoint-every"):
        TrainOptions(checkpoint_every=text)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"name": "a/b"}, "--name a/b: must be the short name of one folder; --runs says where it lies"),
        ({"name": "x" * 201}, "must be the short name"),
        ({"resume": "x"}, "--resume x: must be never, auto or must"),
        ({"on_bad": "raise"}, "--on-bad raise: must be fail, skip or quarantine"),
        ({"log": ("wandb", "paper")}, "--log paper: must be tensorboard, mlflow or wandb"),
        ({"resume": "must"}, "--resume needs the --name of the run"),
        ({"new_head": True}, "--new-head needs --weights"),
        ({"workers": -1}, "--workers -1: must be at least 0"),
        ({"on_bad": "skip", "bad_budget": "2/3"}, "--bad-budget 2/3: say a share as in 1%, or a number"),
        ({"on_bad": "skip", "bad_budget": "101%"}, "--bad-budget 101%: say a share"),
        ({"bad_budget": "1%"}, "--bad-budget: has no effect with --on-bad fail"),
    ],
)
def test_options_are_checked_by_the_names_that_are_typed(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=re.escape(says)):
        TrainOptions(**options)


def test_paths_may_be_texts() -> None:
    options = TrainOptions(runs="here", weights="there")  # type: ignore[arg-type]
    assert (options.runs, options.weights) == (Path("here"), Path("there"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("epochs = " + "9" * 30, "more than 63 bits"),
        ("epochs = " + "9" * 5000, "not TOML"),
        ("[training]\nlr = inf", "must be positive and at most"),
        ("[training]\nlr = nan", "must be positive"),
        ("data = " + "[" * 3000 + "]" * 3000, "nested more deeply"),
        ("x" * 100_000 + " = 1", "there is no field 'xxx"),
        ("data = []", "there is no field 'data'"),
        ("epochs = 2020-01-01", "epochs"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_a_config_may_not_say(text: str, says: str) -> None:
    with pytest.raises(RecipeError, match=says) as error:
        Recipe.from_toml(text)
    assert len(str(error.value)) < 500
