"""Tables in docs/ are those that the result lines give, and commands can be given as they stand.

`python tests/test_docs.py` prints the tables.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from resnext import api
from resnext.cli import main
from resnext.cli.verbs import parse
from resnext.recipe import named_recipe

ROOT = Path(__file__).parents[1]


def newest(path: str, by: str) -> dict[str, dict[str, Any]]:
    """The last line of each kind in a file of results/."""
    lines = [json.loads(line) for line in (ROOT / "results" / path).read_text().splitlines()]
    return {line[by]: line for line in lines}


def reliability() -> str:
    """What was broken on purpose, what came of it, and the command that does it again."""
    faults = newest("faults.jsonl", "what")
    killed, saves = faults["kill -9 in training"], faults["kill -9 in a save"]
    full, cut, mutated = (
        faults[what] for what in ("disk full in a save", "cut short and one bit flipped", "random mutations")
    )
    cost = newest("bench.jsonl", "experiment")["checkpoint_cost"]
    whole, stall = ({t["what"]: t["ratio"] for t in cost["timings"]}[w] for w in ("checkpoint", "stall"))
    kinds = ("checkpoint", "config", "contract")
    left = ", ".join(f"{mutated[k]['valid']} of {mutated['each']:,} {k}s" for k in kinds)
    command = "`RESNEXT_FAULTS=full pytest tests/faults/"
    rows = [
        (
            f"kill -9 at {killed['kills']} random moments of one training on real pictures, and resumed",
            "weights, average, model and metrics bit-equal to the undisturbed run: "
            + (f"{killed['kills']} of {killed['kills']}" if killed["bit_equal"] else "NO"),
            command + "test_killed_training.py`",
        ),
        (
            f"kill -9 after each of the {saves['calls']} calls that write, sync, link or rename in saves",
            f"a loadable checkpoint {saves['loadable']} times",
            command + "test_killed_save.py`",
        ),
        (
            f"disk full at {full['places']} places of a save",
            f"{full['refused']} clear errors, the checkpoint before whole {full['intact']} times",
            command + "test_killed_save.py`",
        ),
        (
            f"checkpoint cut short, and one bit flipped, at {cut['places']} places each",
            f"{cut['refused']} refused; {cut['harmless']} changed no value and loaded rightly",
            command + "test_damage.py`",
        ),
        (
            f"{mutated['each']:,} random mutations of checkpoint, config and contract each",
            f"our error, but for {left}, which were still valid; no crash, no hang",
            command + "test_damage.py`",
        ),
        (
            "checkpoint of ResNeXt-50 with SGD state against writing and syncing the same bytes",
            f"{whole:.2f} times as long (promised: at most 1.5); training stands still for {stall:.2f} (0.5)",
            "`python benchmarks/checkpoint_cost.py`",
        ),
    ]
    return as_table(rows)


def as_table(rows: list[tuple[str, str, str]]) -> str:
    cells = [("what was done", "what came of it", "again by"), ("---", "---", "---"), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def many_processes() -> str:
    """N processes against one, and what happens when one is lost."""
    faults = newest("faults.jsonl", "what")
    losses, judged, killed, cut = (
        faults[what]
        for what in (
            "processes against one",
            "evaluation on processes",
            "worker killed",
            "host cut off",
        )
    )
    bench = newest("bench.jsonl", "experiment")
    index, pace = bench["many_pictures"], bench["two_processes"]
    command = "`RESNEXT_FAULTS=full pytest tests/faults/"
    sizes = ", ".join(map(str, judged["processes"][:-1])) + f" and {judged['processes'][-1]}"
    rows = [
        (
            f"{' and '.join(losses['worst'])} processes against 1, the same batch, {losses['steps']} steps, "
            "float32, frozen batch norms, mixing, erasing, class weights, accumulation and clipping on",
            f"losses within {max(losses['worst'].values()):.1g} (promised: 1e-5)",
            command + "test_processes.py`",
        ),
        (
            f"{judged['pictures']:,} pictures evaluated on {sizes} processes",
            "identical probabilities, each picture once" if judged["identical"] else "NO",
            command + "test_processes.py`",
        ),
        (
            f"one of {killed['processes']} workers killed (-9) {killed['kills']} times, `--max-restarts` 3",
            "the training ends by itself; losses and final metrics equal to the undisturbed run"
            if killed["equal"]
            else "NO",
            command + "test_processes.py`",
        ),
        (
            "two hosts with addresses of their own, one cut off and back",
            f"named on both after {max(cut['named_s'].values()):.0f} s (promised: 60); resumed",
            command + "test_two_hosts.py` (root)",
        ),
        (
            f"index of {index['pictures']:,} made-up file names",
            f"{index['size_mb']:.0f} MB (promised: 600), opened in {index['opened_s']:.3f} s (1), each of "
            f"{len(index['workers_mb'])} workers adds {max(index['workers_mb']):.0f} MB (50)",
            "`python benchmarks/many_pictures.py`",
        ),
        (
            "2 processes of one thread against 1 of two, on two cores",
            f"{pace['ratio']:.2f} times the pictures/s ({pace['spread'][0]:.2f} to {pace['spread'][1]:.2f} "
            f"in {pace['rounds']} rounds; promised: 0.9)",
            "`python benchmarks/two_processes.py`",
        ),
    ]
    return as_table(rows)


TIMED = {
    "step": "A training step",
    "infer": "Answers",
    "data": "From stored pictures to training crops, one core",
    "plain_loop": "Training on small pictures",
}


def speed() -> str:
    """Every kind of bench on every machine: the newest line of each."""
    lines = [json.loads(line) for line in (ROOT / "results" / "bench.jsonl").read_text().splitlines()]
    newest = {alike(line): line for line in lines if line["experiment"] in (*TIMED, "grouped")}
    parts = [
        f"### {heading}\n\n" + "\n\n".join(timed(line) for line in found)
        for experiment, heading in TIMED.items()
        if (found := [line for line in newest.values() if line["experiment"] == experiment])
    ]
    parts += [grouped(line) for line in newest.values() if line["experiment"] == "grouped"]
    return "\n\n".join(parts)


def grouped(line: dict[str, Any]) -> str:
    """Each grouped convolution over the bytes that it has to move, and packed into wider groups."""
    medians = {row["what"]: row for row in line["timings"]}
    rows = [("3x3 of ResNeXt 32x4d", "ms", "times its bytes", "packed to 16", "to 32", "to 64"), ("---",) * 6]
    for what, row in medians.items():
        if "packed" not in what:
            packed = [medians.get(f"{what}, packed to {wide}") for wide in (16, 32, 64)]
            ratios = [f"{one['median_s'] / row['median_s']:.2f}" if one else "" for one in packed]
            rows.append((what, f"{1000 * row['median_s']:.2f}", f"{1 / row['limit_share']:.1f}", *ratios))
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    about = f"batch {line['settings']['batch']}; {line['device']}, torch {line['versions']['torch']}"
    return (
        "### Grouped convolutions, and with zeros between paths packed into wider groups\n\n"
        f"`python benchmarks/{line['command']}`: {about}. Packed: the time over that of the groups as they "
        f"are.\n\n{table}"
    )


def alike(line: dict[str, Any]) -> str:
    """The same for benches of the same things on the same machine."""
    settings = {name: value for name, value in line["settings"].items() if name != "rounds"}
    return json.dumps(
        [line["device"], line["experiment"], settings, [row["what"] for row in line["timings"]]]
    )


def timed(line: dict[str, Any]) -> str:
    """One bench: where and how, its rows, and what the machine did at most."""
    settings = ", ".join(f"{name} {value}" for name, value in line["settings"].items() if name != "data")
    versions = f"torch {line['versions']['torch']}"
    command = (
        line["command"] if line["command"].startswith("resnext") else f"python benchmarks/{line['command']}"
    )
    about = f"`{command}`: {settings}; {line['device']}, {versions}"
    limits = {name: rate / 1e9 for name, rate in line["limits"].items()}
    if limits:
        rates = [
            f"{rate:,.0f} Gflop/s in {n.split('_')[0]} products" for n, rate in limits.items() if "flop" in n
        ]
        about += f"; at most {limits['bytes_per_s']:,.1f} GB/s and {' and '.join(rates)}"
    rows = [("what", "pictures/s", "ms", "time / first", "of the limit", "limit / first"), ("---",) * 6]
    first = least(line["timings"][0])
    for row in line["timings"]:
        low, high = (f"{1000 * s / scale(line):,.2f}" for s in row["spread_s"])
        ratio = "1"
        if row["ratio"] is not None:
            ratio = f"{row['ratio']:.3f} ({row['ratio_spread'][0]:.3f} to {row['ratio_spread'][1]:.3f})"
        share = f"{100 * row['limit_share']:.0f} %" if least(row) else ""
        median = f"{1000 * row['median_s'] / scale(line):,.2f} ({low} to {high})"
        floor = f"{least(row) / first:.2f}" if first and least(row) else ""
        rows.append((row["what"], f"{row['pictures_per_s']:,.2f}", median, ratio, share, floor))
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    failed = "".join(f"\n\nNot timed: {what} ({why})." for what, why in line["failed"].items())
    return f"{about}.\n\n{table}{failed}"


def least(row: dict[str, Any]) -> float:
    """The least seconds that the machine could take; 0 where nothing is known, or the limit was none."""
    share = row["limit_share"] or 0.0
    return float(share * row["median_s"]) if share < 1.1 else 0.0


def scale(line: dict[str, Any]) -> int:
    """What the times are divided by: those of the data path are told for one picture."""
    return line["settings"]["pictures"] if line["experiment"] == "data" else 1


def test_speed() -> None:
    assert speed() in (ROOT / "docs" / "speed.md").read_text()


def test_results(tmp_path: Path) -> None:
    """The page and its plots, byte for byte."""
    page = api.write_results(ROOT / "results" / "experiments", tmp_path / "results.md")
    assert page.read_text() == (ROOT / "docs" / "results.md").read_text()
    made, kept = (
        {path.name: path.read_text() for path in folder.glob("*.svg")}
        for folder in (tmp_path / "results", ROOT / "docs" / "results")
    )
    assert made == kept


def test_reliability() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text()
    assert reliability() in text
    assert many_processes() in text


def commands() -> list[str]:
    """Every whole command of ours in the blocks of README.md and of docs/."""
    found = []
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for block in page.read_text().split("```")[1::2]:
            for line in block.splitlines():
                text = line.removeprefix("$ ").split("  #")[0].strip()
                if text.startswith("resnext ") and not {"...", "|"} & set(text.split()):
                    found.append(text)
    return sorted(set(found))


def test_the_commands_that_are_shown_can_be_given() -> None:
    assert len(commands()) > 25
    for command in commands():
        words = shlex.split(command)[1:]
        assert parse(words, named_recipe("small")) is not None, command


def test_the_table_of_the_design_rule(capsys: pytest.CaptureFixture[str]) -> None:
    readme = (ROOT / "README.md").read_text()
    command = "design --like resnet50 --cardinality 1 2 4 8 32"
    assert main(command.split()) == 0
    told = [line.split() for line in capsys.readouterr().out.splitlines()]
    shown = readme.split(f"$ resnext {command}\n")[1].split("```")[0].splitlines()
    assert [line.split() for line in shown] == told


if __name__ == "__main__":
    print(reliability(), many_processes(), speed(), sep="\n\n")
