"""The rooms of the numeric core, the bugs that are planted by name, and survivors that change no result."""

from __future__ import annotations

from dataclasses import dataclass

from mutations import Mutant, Mutation


@dataclass(frozen=True)
class Room:
    """Modules that mutants are sampled from, patterns under src/resnext, and the tests that should notice."""

    sources: tuple[str, ...]
    tests: tuple[str, ...]


#: The numeric core.
ROOMS = {
    "arch": Room(("arch/*.py",), ("tests/test_arch.py", "tests/models/test_network.py")),
    "models": Room(
        ("models/*.py",),
        (
            "tests/models/test_network.py",
            "tests/models/test_folding.py",
            "tests/models/test_pyramid.py",
            "tests/models/test_forms.py",
            "tests/models/test_multi_resolution.py",
            "tests/models/test_familiarity_scores.py",
            "tests/engine/test_classifier.py",
            "tests/confidence/test_outliers.py",
        ),
    ),
    "cost": Room(("cost.py",), ("tests/test_cost.py",)),
    "design": Room(("design/*.py",), ("tests/design", "tests/cli/commands/test_design.py")),
    "data": Room(
        ("data/augment.py", "data/autoaugment.py", "data/mixup.py", "data/preprocess.py"),
        (
            "tests/data/test_preprocess.py",
            "tests/data/test_augment.py",
            "tests/data/test_mixup.py",
            "tests/oracles/test_preprocess.py",
            "tests/oracles/test_augment.py",
        ),
    ),
    "training": Room(
        ("training/loop.py", "training/optimisers.py", "training/schedules.py", "training/head.py"),
        (
            "tests/training/test_schedules.py",
            "tests/training/test_loop.py",
            "tests/training/test_optimisers.py",
            "tests/training/test_head.py",
        ),
    ),
    "statistics": Room(("statistics.py",), ("tests/test_statistics.py",)),
    "contract": Room(("contract.py",), ("tests/test_contract.py",)),
    "engine": Room(
        ("engine/classifier.py", "engine/engine.py", "engine/torch_engines.py", "engine/tables.py"),
        (
            "tests/engine/test_classifier.py",
            "tests/engine/test_torch_engines.py",
            "tests/engine/test_embedding.py",
        ),
    ),
}

_COUNTED = "COUNTED = ((1, 1), (1, 2), (2, 1), (2, 2), (1, 3))"
_TWO_BLOCKS = "arch = replace(self.base, blocks=(2,) * stages, cardinality=cardinality, base_width=width)"
_KEPT = "CHUNK_ROWS, KEPT_BYTES = 4096, 2**31"
_OPTIONS = 'options={"maxiter": MAX_ITERATIONS, "gtol": GRADIENT, "ftol": 64 * np.finfo(float).eps},'
_THREE_LAYERS = "if transform.layers == 3 and 35 <= depth <= 200 and (depth - 2) % 3 == 0:"
_201 = "no network has 201 layers: three or two for each block, and two more"

#: Sampled mutants that change no result, as (line of code, old text, new text), with the reason.
SURVIVORS: dict[tuple[str, str, str], str] = {
    (_COUNTED, "2", "(3)"): "any five such networks determine the costs of all",
    (_COUNTED, "3", "(4)"): "any five such networks determine the costs of all",
    (_COUNTED, "1", "(2)"): "any five such networks determine the costs of all",
    (_TWO_BLOCKS, "2", "(3)"): "the first and the second block of a stage are read, whatever follows",
    ("for depth in range(201):", "201", "(202)"): _201,
    (_THREE_LAYERS, "200", "(201)"): _201,
    ("LARGEST_CACHE = 1024", "1024", "(1025)"): "how many counts are kept changes none",
    (_KEPT, "4096", "(4097)"): "rows are summed up in other chunks",
    (_KEPT, "2**31", "(2 * 31)"): "what is kept changes how long a fit takes",
    (_KEPT, "2", "(3)"): "what is kept changes how long a fit takes",
    (_KEPT, "31", "(32)"): "what is kept changes how long a fit takes",
    ("MAX_ITERATIONS, GRADIENT = 500, 1e-6", "500", "(501)"): "fits converge before",
    (_OPTIONS, "64", "(65)"): "the gradient ends a fit before the loss does",
    ("return mean, torch.where(std < LEAST_STD, 1.0, std)", "1.0", "(2.0)"): (
        "a constant feature is 0 after its mean is taken away, whatever divides it"
    ),
}


def _mutant(
    name: str, room: str, file: str, old: str, new: str, *tests: str, is_quick: bool = True
) -> Mutant:
    return Mutant(name, room, Mutation(f"src/resnext/{file}", old, new), tests, is_quick)


_RECIPE, _PRESETS = "tests/test_recipe.py", "recipe/presets.py"
_NETWORK, _LOOP = "tests/models/test_network.py", "tests/training/test_loop.py"
_SEARCH = "design/latency_search.py"

NAMED = [
    _mutant(
        "the best epoch is chosen by test",
        "training",
        "run/epoch_loop.py",
        "        is_balanced = self.spec",
        "        if self.splits.test is not None:\n"
        '            judged = self.evaluator.evaluate(self.state, "test", self.splits.test).scores\n'
        "            val = type(val)(**vars(val) | dict(top1_error=judged.top1_error, loss=judged.loss))\n"
        "        is_balanced = self.spec",
        "tests/run/test_epoch_loop.py",
        is_quick=False,
    ),
    _mutant(
        "the last epoch is shipped, not the best",
        "training",
        "run/evaluator.py",
        "checkpoints.load_checkpoint(state, self.folder.best)",
        "checkpoints.load_checkpoint(state, self.folder.last)",
        "tests/run/test_epoch_loop.py",
        is_quick=False,
    ),
    _mutant(
        "of equal errors the first epoch is the best",
        "training",
        "run/checkpointing.py",
        "(error, loss) <= (self.best_error, self.best_loss)",
        "error < self.best_error",
        "tests/run/test_checkpointing.py",
    ),
    _mutant(
        "label smoothing is left out where classes have weights",
        "training",
        "training/loop.py",
        "return losses if class_weights is None else losses * _weights_of(targets, class_weights)",
        'return losses if class_weights is None else F.cross_entropy(logits, targets, reduction="none")'
        " * _weights_of(targets, class_weights)",
        _LOOP,
    ),
    _mutant(
        "the loss is divided by the images, not by their weights",
        "training",
        "training/loop.py",
        "part = losses.sum() / total_weight",
        "part = losses.sum() / total",
        _LOOP,
    ),
    _mutant(
        "no Nesterov momentum",
        "training",
        "training/optimisers.py",
        "nesterov=momentum > 0",
        "nesterov=False",
        _LOOP,
    ),
    _mutant(
        "the rate does not grow with the batch",
        "training",
        "training/optimisers.py",
        "return settings.lr * batch / settings.lr_batch",
        "return settings.lr",
        _LOOP,
    ),
    _mutant(
        "recipe cifar: one cycle instead of steps",
        "training",
        _PRESETS,
        'training=TrainingSettings(lr=0.1, lr_batch=128, weight_decay=5e-4, schedule="step")',
        "training=TrainingSettings(lr=0.1, lr_batch=128, weight_decay=5e-4)",
        _RECIPE,
    ),
    _mutant(
        "recipe imagenet: bilinear",
        "data",
        _PRESETS,
        'interpolation="bicubic"',
        'interpolation="bilinear"',
        _RECIPE,
    ),
    _mutant("ImageNet: another std", "data", _PRESETS, "0.229, 0.224", "0.229, 0.229", _RECIPE),
    _mutant(
        "ImageNet: std in another order of channels",
        "data",
        _PRESETS,
        '"std": (0.229, 0.224, 0.225)',
        '"std": (0.225, 0.224, 0.229)',
        _RECIPE,
    ),
    _mutant(
        "ImageNet: mean in another order of channels",
        "data",
        _PRESETS,
        '"mean": (0.485, 0.456, 0.406)',
        '"mean": (0.406, 0.456, 0.485)',
        _RECIPE,
    ),
    _mutant(
        "a ReLU between the halves of a separable 3x3",
        "models",
        "models/blocks.py",
        "groups=inner, bias=False),\n",
        "groups=inner, bias=False),\n            nn.ReLU(),\n",
        _NETWORK,
    ),
    _mutant(
        "multi_resolution: a block that opens a stage at its width adds shares",
        "models",
        "models/multi_resolution.py",
        " or isinstance(shortcut, nn.Sequential)",
        "",
        "tests/oracles/test_networks.py",
        is_quick=False,
    ),
    _mutant(
        "the stride is in the first 1x1",
        "models",
        "models/blocks.py",
        "self.conv1 = nn.Conv2d(in_channels, inner, 1, bias=False)",
        "self.conv1 = nn.Conv2d(in_channels, inner, 1, stride, bias=False); stride = 1",
        _NETWORK,
    ),
    _mutant(
        "the fan-out is that of one group",
        "models",
        "models/initialisation.py",
        "fan_out = module.out_channels *",
        "fan_out = module.out_channels // module.groups *",
        _NETWORK,
    ),
    _mutant(
        "shortcut A repeats no pixel but shifts them",
        "models",
        "models/shortcuts.py",
        "x[:, :, :: self.stride, :: self.stride]",
        "x[:, :, self.stride - 1 :: self.stride, :: self.stride]",
        _NETWORK,
    ),
    _mutant(
        "the width does not double",
        "arch",
        "arch/architecture.py",
        "base_width * 2**s",
        "base_width",
        "tests/test_arch.py",
    ),
    _mutant(
        "multiply-adds count all groups",
        "cost",
        "cost.py",
        "module.weight.numel() // len(module.weight)",
        'module.weight.numel() * getattr(module, "groups", 1) // len(module.weight)',
        "tests/test_cost.py",
    ),
    _mutant(
        "the second of two times, not their mean",
        "design",
        _SEARCH,
        "(self.measured[number] + ms) / 2",
        "ms",
        "tests/design/test_search.py",
    ),
    _mutant(
        "the first of two times, not their mean",
        "design",
        _SEARCH,
        "(self.measured[number] + ms) / 2",
        "self.measured[number]",
        "tests/design/test_search.py",
    ),
    _mutant(
        "more_classes: images of all classes are judged",
        "data",
        "data/class_selection.py",
        "_write(evaluated, judged, None,",
        "_write(evaluated, kept, None,",
        "tests/data/test_class_selection.py",
        "tests/experiments/test_datasets.py",
    ),
    _mutant(
        "the error among the tested classes counts all classes",
        "statistics",
        "experiments/tasks.py",
        "shown[probabilities[:, shown].argmax(axis=1)]",
        "probabilities.argmax(axis=1)",
        "tests/experiments/test_tasks.py",
    ),
    _mutant(
        "flips in training are upside down",
        "data",
        "data/augment.py",
        "FLIP_LEFT_RIGHT",
        "FLIP_TOP_BOTTOM",
        "tests/data/test_augment.py",
        "tests/oracles/test_augment.py",
    ),
    _mutant(
        "the centre crop is rounded down",
        "data",
        "data/preprocess.py",
        "left, top = round((width - crop) / 2), round((height - crop) / 2)",
        "left, top = (width - crop) // 2, (height - crop) // 2",
        "tests/oracles/test_preprocess.py",
    ),
    _mutant(
        "the deviation is that of a population",
        "statistics",
        "statistics.py",
        "np.std(values, ddof=1)",
        "np.std(values)",
        "tests/test_statistics.py",
    ),
    _mutant(
        "the interval is Student's with one degree of freedom more",
        "statistics",
        "statistics.py",
        "stdtrit(n - 1, (1 + confidence) / 2)) * deviation",
        "stdtrit(n, (1 + confidence) / 2)) * deviation",
        "tests/test_statistics.py",
    ),
]
