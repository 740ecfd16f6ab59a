"""`resnext demo`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import resnext
from resnext.cli.command import Command
from resnext.cli.screen import say
from resnext.recipe import TrainOptions, named_recipe, override

#: Test images whose predictions are printed.
EXAMPLES = (0, 1, 2)


@dataclass(frozen=True)
class DemoCommand(Command):
    """Train on scanned digits, with nothing to download; then evaluate and predict."""

    name: ClassVar[str] = "demo"

    seed: int = 0
    """Seed of the run."""
    runs: Path = Path("runs")
    """Folder that the run folder lies in."""

    def run(self) -> None:
        from resnext.cli.commands.train import train_and_show

        recipe = override(named_recipe("small"), seed=self.seed)
        folder = train_and_show("digits", recipe, TrainOptions(runs=self.runs))
        classifier = resnext.load(folder)
        scores = resnext.evaluate(classifier, "digits").scores
        say(
            "",
            f"{100 - scores.top1_error:.2f} % of {scores.count} test images are right; "
            f"the run lies in {folder}",
        )
        print_examples(classifier)


def print_examples(classifier: resnext.Classifier) -> None:
    """Print what `classifier` takes the first test images for, and what they show in truth."""
    from resnext.data.sources import read_split

    _, images = read_split("digits", classifier.contract.classes, "test")
    say("three predictions:")
    answers = classifier.predict([images.open(i) for i in EXAMPLES])
    for index, answer in zip(EXAMPLES, answers, strict=True):
        say(
            f"  test image {images.keys[index]:>4}: {answer.label} ({100 * answer.probability:.1f} %), "
            f"in truth {images.classes[images.labels[index]]}"
        )
