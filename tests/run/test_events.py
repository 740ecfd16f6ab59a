"""What the first screen of a training says about the classes."""

from __future__ import annotations

from pathlib import Path

from resnext.cost import Cost
from resnext.data.sampling import SamplingPlan
from resnext.recipe import named_recipe
from resnext.run.events import ClassCount, RunStarted


def lines(*classes: ClassCount) -> list[str]:
    plan, cost = SamplingPlan(images=8, batch=8, epochs=1, seed=0), Cost(1, 1, 1, 1)
    recipe, count = named_recipe("small"), len(classes)
    started = RunStarted(
        Path("x"), recipe, (), ("a note",), (), {"train": 1}, count, cost, "CPU", plan, 0, classes
    )
    text = started.text().splitlines()
    return text[1 : text.index("           a note")]


def test_few_classes_are_shown_one_by_one_with_all_their_splits() -> None:
    said = lines(ClassCount("cat", {"train": 1200, "val": 3}), ClassCount("a dog", {"train": 80, "val": 12}))
    assert said == ["classes    cat    1,200 train   3 val", "           a dog     80 train  12 val"]


def test_of_many_classes_the_first_the_last_and_the_extremes() -> None:
    said = lines(*(ClassCount(f"n{i:03}", {"train": 10 + (i * 7) % 50}) for i in range(50)))
    assert [line.split()[0] for line in said] == ["classes", "n001", "n002", "...", "n049"]
    assert said[3].strip() == "... 46 more, with 10 (n000) to 59 (n007) training images each"
    equal = lines(*(ClassCount(f"n{i:03}", {"train": 10, "val": i}) for i in range(50)))
    assert equal[3].strip() == "... 46 more, with 10 training images each"


def test_long_names_stay_apart_and_act_on_no_terminal() -> None:
    said = lines(*(ClassCount(f"{'x' * 60}{c}{'y' * 60}", {"train": 1}) for c in "ab\x1b"))
    assert len({line[11:] for line in said}) == 3
    assert not any("\x1b" in line for line in said)
    assert all(len(line) < 80 for line in said)
