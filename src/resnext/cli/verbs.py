"""The verbs and their options, as dataclasses: this is all that `--help` needs, so it imports little."""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import FlagCreatePairsOff, Positional, arg

from resnext.recipe import RECIPES, Recipe

OnBad = Literal["fail", "skip"]
Views = Literal["one", "flip", "ten"]


@dataclass(frozen=True)
class Train:
    """Train a network on DATA and leave a run folder with the model in it."""

    data: Annotated[Positional[str], arg(name="source", metavar="DATA")]
    """A folder of class folders (or of train/, val/, test/), a folder of {split}.parquet, .csv, .arrow or
    .tar, one such file, an .index, hf:owner/name, stream: before that or before .tar, .arrow or .parquet
    files, or `digits`."""
    settings: Annotated[Recipe, arg(name="")]
    recipe: Annotated[str, arg(metavar="|".join(RECIPES))] = "small"
    """What the settings below start from."""
    config: Path | None = None
    """A config.toml of an earlier run; it replaces the recipe."""
    name: str | None = None
    """Name of the run; chosen from data and network if left out."""
    runs: Path = Path("runs")
    """Folder that run folders lie in."""
    resume: Literal["never", "auto", "must"] = "never"
    """`auto` starts run --name or goes on with it; `must` only goes on."""
    checkpoint_every: str = "10min"
    """Save after so many steps (200) or so much time (90s, 10min); the end of an epoch is saved anyway."""
    weights: Path | None = None
    """Start from these weights, in their network unless --model says another: a run folder, a hub folder or a
    .safetensors file."""
    new_head: Annotated[bool, FlagCreatePairsOff] = False
    """With --weights: a fresh head, for other classes."""
    log: tuple[Literal["tensorboard", "mlflow", "wandb"], ...] = ()
    """Where the metrics go besides metrics.jsonl; TensorBoard, if it is installed, if left out."""
    device: str | None = None
    """cpu, cuda, cuda:1, mps; the best there is if left out."""
    workers: int | None = None
    """Processes that decode pictures. Results do not depend on it."""
    on_bad: OnBad = "fail"
    """What to do about pictures that cannot be read: stop before training, or list them and go on."""


@dataclass(frozen=True)
class Evaluate:
    """Score MODEL on DATA: top-1, top-5, loss, and each class."""

    model: Annotated[Positional[str], arg(metavar="MODEL")]
    """A run folder, a hub folder, or a weights file with its contract."""
    data: Annotated[Positional[str], arg(metavar="DATA")]
    """As for train. Classes are matched by name."""
    split: Literal["train", "val", "test"] | None = None
    """Which split; test, else val, else train or all there is, if left out."""
    json: Path | None = None
    """Write the scores here as JSON (- for the screen)."""
    device: str | None = None
    """cpu, cuda, cuda:1, mps; the best there is if left out."""
    workers: int | None = None
    """Processes that decode pictures."""
    views: Views = "one"
    """Average over more views of each picture: mirrored too, or five crops and their mirror images."""
    on_bad: OnBad = "fail"
    """What to do about pictures that cannot be read."""


@dataclass(frozen=True)
class Predict:
    """Name the class of pictures."""

    model: Annotated[Positional[str], arg(metavar="MODEL")]
    """A run folder, a hub folder, or a weights file with its contract."""
    pictures: Annotated[Positional[tuple[str, ...]], arg(metavar="PICTURES")]
    """Files, folders (searched to any depth) and globs."""
    out: Path | None = None
    """Write a table here: .csv, .jsonl or .parquet, with all probabilities."""
    top: int = 3
    """Classes to show for each picture."""
    device: str | None = None
    """cpu, cuda, cuda:1, mps; the best there is if left out."""
    workers: int | None = None
    """Processes that decode pictures."""
    views: Views = "one"
    """Average over more views of each picture: mirrored too, or five crops and their mirror images."""
    on_bad: OnBad = "fail"
    """What to do about pictures that cannot be read."""


@dataclass(frozen=True)
class Report:
    """Write one page about a finished run, or about several side by side. It needs no network."""

    folders: Annotated[Positional[tuple[str, ...]], arg(name="runs", metavar="RUN")]
    """Run folders."""
    out: Path | None = None
    """The page; report.html in the run's folder, or comparison.html beside the first, if left out."""


@dataclass(frozen=True)
class Index:
    """List the files of DATA and look at all of them once, so that runs on millions of them start at once."""

    data: Annotated[Positional[str], arg(metavar="DATA")]
    """A folder or table of picture files, as for train."""
    out: Annotated[Positional[Path], arg(metavar="OUT.index")]
    """The index, to be given as DATA; the pictures stay where they are."""


@dataclass(frozen=True)
class Recipes:
    """List the recipes that `train --recipe` takes, each with its source, cost and expected score."""

    like: Annotated[Positional[str], arg(metavar="NAME")] = ""
    """One recipe, in full, as a config.toml for `train --config`."""


@dataclass(frozen=True)
class Models:
    """List networks with their parameters and multiply-adds."""

    like: Annotated[Positional[str], arg(metavar="NAME")] = ""
    """Only names that contain this, or one full name such as resnext50_32x4d+shortcut=none."""
    json: Annotated[bool, FlagCreatePairsOff] = False
    """As JSON."""


@dataclass(frozen=True)
class Describe:
    """Show a network as the paper's table 1 does, with the cost of each stage."""

    model: Annotated[Positional[str], arg(name="network", metavar="NAME")]
    """Its name, such as resnext50_32x4d."""
    classes: int = 1000
    """How many it tells apart."""
    size_px: int | None = None
    """Side of the pictures; 224, or 32 with the CIFAR stem, if left out."""
    figure: Path | None = None
    """Draw the block, in each of its equal forms, into this .svg file."""
    json: Annotated[bool, FlagCreatePairsOff] = False
    """As JSON."""


@dataclass(frozen=True)
class Design:
    """Find networks for a budget: --like NAME, or --params, --macs, --activations, --latency-ms."""

    like: str | None = None
    """Keep the parameters of this network's stage-1 block, with the nearest width for each cardinality."""
    base: str | None = None
    """What does not vary is that of this network; resnext50_32x4d, or that of --like, if left out."""
    vary: tuple[Literal["cardinality", "width", "depth"], ...] = ("cardinality", "width")
    """What may vary: cardinality (1 to 64), width of a path (to 128, with --like to 2048), depth (to 200)."""
    cardinality: tuple[int, ...] = ()
    """Only these cardinalities."""
    params: str | None = None
    """Parameters to aim at, such as 25M."""
    macs: str | None = None
    """Multiply-adds of a picture to aim at, such as 4.2G."""
    activations: str | None = None
    """Outputs of convolutions for a picture to aim at, such as 14M."""
    latency_ms: float | None = None
    """Time on this machine to aim at, in milliseconds."""
    tolerance: float = 0.03
    """Largest share that a target may be missed by; a time by 6 % at most."""
    batch: int = 1
    """Pictures that are timed together."""
    classes: int = 1000
    """How many the networks tell apart."""
    size_px: int | None = None
    """Side of the pictures; 224, or 32 with the CIFAR stem, if left out."""
    limit: int = 10
    """Most rows to show; with --like all."""
    sample: int | None = None
    """Instead of the nearest, draw so many random networks that cost no more."""
    seed: int = 0
    """Of --sample."""
    time: Annotated[bool, FlagCreatePairsOff] = False
    """Measure the time of each network shown."""
    plot: Path | None = None
    """Draw time against cost, coloured by cardinality, into this .svg file."""
    json: Annotated[bool, FlagCreatePairsOff] = False
    """As JSON."""


@dataclass(frozen=True)
class Convert:
    """Write a network in another of the paper's three equal forms; not a value changes."""

    model: Annotated[Positional[str], arg(metavar="MODEL")]
    """A run folder, a hub folder, or a weights file with its contract."""
    to: str
    """Name of the same network in another form, such as resnext50_32x4d+transform=branches."""
    out: Path | None = None
    """Folder to write; called as the network if left out."""


@dataclass(frozen=True)
class Bench:
    """Time training steps, answers or the data path on this machine, side by side.

    `bench step` and `bench infer` take names of networks, `bench data` takes DATA.
    """

    what: Annotated[Positional[Literal["step", "infer", "data"]], arg(metavar="step|infer|data")]
    """What is timed."""
    of: Annotated[Positional[tuple[str, ...]], arg(metavar="NAMES|DATA")] = ()
    """Networks (resnet50 and resnext50_32x4d if left out), or DATA as for train. Ratios are to the first."""
    mode: tuple[str, ...] = ()
    """Any of eager, compiled, float32, bfloat16, float16, channels-last, contiguous: all ways that these
    allow are timed. Eager, float32 and channels-last, if left out."""
    batch: int = 8
    """Pictures of a step."""
    size_px: int | None = None
    """Side of the pictures, or of the crops; 224, or 32 with the other stems, if left out."""
    rounds: int = 10
    """How often each is timed, in turns."""
    device: str | None = None
    """cpu, cuda, cuda:1, mps; the best there is if left out."""
    out: Path | None = None
    """Append the result line to this file."""
    json: Annotated[bool, FlagCreatePairsOff] = False
    """Print the result line instead of a table."""


@dataclass(frozen=True)
class Experiments:
    """The claims of the paper and its review: list them, run what is missing, or write what came out.

    Finished runs are found in the result lines by their recipe, and interrupted ones go on. The same command
    started twice, as with --device cuda:0 and --device cuda:1, shares the work.
    """

    what: Annotated[Positional[Literal["list", "run", "report"]], arg(metavar="list|run|report")] = "list"
    """List the experiments; run those named; write docs of all that was run."""
    names: Annotated[Positional[tuple[str, ...]], arg(metavar="NAME")] = ()
    """Experiments; all if left out."""
    scale: Literal["paper", "gpu", "laptop", "miniature"] = "laptop"
    """`paper` is the published recipe, `gpu` one GPU, `laptop` two CPU cores and minutes a run, `miniature`
    shows in seconds that everything runs."""
    seeds: int | None = None
    """Runs of each arm, instead of what is planned: more widen all intervals, since one has looked."""
    after: str = ""
    """What the experiment was planned anew after, in words for the page, such as "3 pairs by another recipe":
    it counts as a look, and widens all intervals."""
    dry_run: Annotated[bool, FlagCreatePairsOff] = False
    """Say what would be run and what it would cost."""
    data: Path = Path("data")
    """Folder that holds the sets by name, such as data/cifar10."""
    runs: Path = Path("runs/experiments")
    """Folder that run folders lie in."""
    results: Path = Path("results/experiments")
    """Folder of the result lines."""
    out: Path = Path("docs/results.md")
    """What `report` writes; its plots go to a folder of the same name beside it."""
    device: str | None = None
    """cpu, cuda, cuda:1, mps; the best there is if left out."""
    workers: int | None = None
    """Processes that decode pictures. Results do not depend on it."""


@dataclass(frozen=True)
class Compare:
    """Compare two runs on the same pictures, or two recipes by several runs each, paired by their seeds."""

    folders: Annotated[Positional[tuple[str, ...]], arg(name="runs", metavar="RUN")]
    """Run folders, which fall into two groups by their recipes; the first one's group is what is compared
    to."""
    json: Annotated[bool, FlagCreatePairsOff] = False
    """As JSON."""


@dataclass(frozen=True)
class Select:
    """Make a set of some classes of DATA, such as ImageNet-5K of ImageNet-22K. No picture is copied where
    they are files."""

    data: Annotated[Positional[str], arg(metavar="DATA")]
    """The large set, as for train."""
    out: Annotated[Positional[Path], arg(metavar="OUT")]
    """Folder of the new set, to be given as DATA."""
    like: str
    """A set whose classes are kept, such as ImageNet-1K; its test pictures, else those of val, are judged."""
    others: int = 0
    """So many other classes, those with most pictures, are trained on too."""
    judged: Literal["val", "test"] = "test"
    """What the judged pictures become: `val` chooses the epoch too, as published; with `test` a tenth of
    train does."""


@dataclass(frozen=True)
class Demo:
    """Train on scanned digits, with nothing to download; then evaluate and predict."""

    seed: int = 0
    """Seed of the run."""
    runs: Path = Path("runs")
    """Folder that the run folder lies in."""


#: In the order of the help; the verb is the class's name in small letters.
VERBS: tuple[type, ...] = (
    *(Train, Evaluate, Predict, Report, Index, Recipes, Models, Describe, Design, Convert, Bench),
    *(Experiments, Compare, Select, Demo),
)


def parse(words: list[str], start: Recipe) -> Any:
    """The options in `words`, of one of `VERBS`; `start` is what train's settings begin with. Exits 2 on bad
    words."""
    train = tyro.conf.subcommand("train", default=Train(data=tyro.MISSING, settings=start))
    verbs: list[Any] = [Annotated[Train, train]]
    verbs += [Annotated[verb, tyro.conf.subcommand(verb.__name__.lower())] for verb in VERBS[1:]]
    return tyro.cli(
        functools.reduce(operator.or_, verbs),
        prog="resnext",
        description="Aggregated residual networks: train, judge and use an image classifier.",
        args=words,
    )
