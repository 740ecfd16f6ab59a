"""Tables in docs/ are made from the result records, and the commands that docs show can be typed.

`python tests/test_docs.py` prints the tables.
"""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resnext.catalogue import catalogue
from resnext.cli import main
from resnext.cli.parser import parse
from resnext.experiments import write_results
from resnext.names import counted
from resnext.records import read_records
from resnext.statistics import Rate

ROOT = Path(__file__).parents[1]


def newest(path: str, by: str) -> dict[str, dict[str, Any]]:
    """The last record of each kind in a file of results/."""
    return {record[by]: record for record in read_records(ROOT / "results" / path)}


def processor(record: dict[str, Any]) -> str:
    """What tells processors of one name apart. Older records do not say it: theirs have AVX2 and no more."""
    *_, last = record["device"].split(", ")
    return "AVX2" if last.endswith("cores") else last


def reliability() -> str:
    """What was broken on purpose, what happened, and the command that repeats it."""
    faults = newest("faults.jsonl", "what")
    killed, saves = faults["kill -9 in training"], faults["kill -9 in a save"]
    full, cut, mutated = (
        faults[what] for what in ("disk full in a save", "cut short and one bit flipped", "random mutations")
    )
    parts, traces = faults["data cut or changed"], faults["traces of local data"]
    edits, images, odd = faults["meaningful edits"], faults["mutated images"], faults["odd images"]
    layouts, deep = faults["public layouts"], faults["sets of deep grey"]
    ways = faults["ways out of a run"]
    cost = newest("bench.jsonl", "experiment")["checkpoint_cost"]
    whole, stall = ({t["what"]: t["ratio"] for t in cost["timings"]}[w] for w in ("checkpoint", "stall"))
    embedded, memory = faults["kill -9 in embedding"], faults["memory of embedding"]
    predicted = faults["kill -9 in predicting"]
    kinds = ("checkpoint", "config", "contract")
    left = ", ".join(f"{mutated[k]['valid']} of {mutated['each']:,} {k}s" for k in kinds)
    command = "`RESNEXT_FAULTS=full pytest tests/faults/"
    rows = [
        (
            f"kill -9 at {killed['kills']} random moments of one training on real images with "
            f"{killed['workers'][0]} to {killed['workers'][-1]} workers in turn, and resumed",
            "weights, average, model and metrics bit-equal to the undisturbed run: "
            + (f"{killed['kills']} of {killed['kills']}" if killed["bit_equal"] else "NO")
            + f"; {killed['orphans']} workers outlived their main process",
            command + "test_killed_training.py`",
        ),
        (
            f"{ways['events']} signals and errors (full disks, a run folder that is removed, workers that "
            "are killed, memory that runs out, ...) while a run trains, judges, saves or reports, with "
            f"{', '.join(map(str, ways['workers'][:-1]))} and {ways['workers'][-1]} workers: "
            f"{ways['cases']} cases",
            f"{ways['ended']} ended within {ways['slowest_s']:.1f} s (promised: 10), {ways['right']} with "
            "the promised exit code, a true `status.json`, a free lock and no process left",
            command + "test_ways_out.py`",
        ),
        *(
            (
                f"kill -9 at {one['kills']} random moments while {one['rows']:,} images are {done}, with "
                "0 to 2 workers in turn, and resumed",
                "the bytes of the undisturbed file: no row lost, none twice" if one["bit_equal"] else "NO",
                command + "test_killed_embedding.py`",
            )
            for one, done in ((embedded, "embedded"), (predicted, "predicted"))
        ),
        (
            f"{memory['images'][0]:,} and {memory['images'][1]:,} image files embedded",
            f"at most {memory['most_mb'][0]:,} and {memory['most_mb'][1]:,} MB of memory",
            command + "test_killed_embedding.py`",
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
            f"data sets cut, mixed or changed at {parts['places']} places: tars, Arrow, Parquet and CSV "
            "files, shards, indexes, labels, and the images of a run that is resumed",
            f"{parts['refused']} refused, {parts['told']} told in the log",
            command + "test_partial_data.py`",
        ),
        (
            f"{edits['tried']} edits of one field each, by meaning, in {edits['files']} kinds of files: "
            "contract, config, hub folder, weights, index, and the JSON of a run folder",
            f"{edits['refused']} refused, naming the file; {edits['valid']} changed no answer or were valid; "
            f"at most {edits['longest_s']:.1f} s and {edits['most_mb']:,} MB",
            command + "test_edited_files.py`",
        ),
        (
            f"{images['tried']:,} images of {images['formats']} formats, mutated inside their structure",
            f"{images['refused']:,} refused, {images['decoded']:,} decoded; no crash, no other program; at "
            f"most {images['longest_s']:.2f} s and {images['most_mb']:,} MB",
            command + "test_mutated_images.py`",
        ),
        (
            f"{odd['tried']} odd image files, as cameras, scanners, microscopes and browsers make them, in 3 "
            "sizes: bits, alpha, tiles, inks, orientations, raw files, documents, ...",
            f"{odd['shown']} shown as a person would see them, {odd['refused']} refused with the cure, "
            f"{odd['wrong']} wrong",
            command + "test_odd_images.py`",
        ),
        (
            f"{deep['tried']} sets of deep grey images, in 3 sizes: 8 to 16 bits stored as 16, floats, "
            "signed, windows, beside 8 bits, ...",
            f"{deep['shown']} shown with one level for one value, {deep['refused']} refused with the setting "
            f"to type, {deep['wrong']} wrong",
            command + "test_odd_images.py`",
        ),
        (
            f"{layouts['tried']} layouts of public sets as distributed (folders, tables, shards, exports of "
            "tools), in small, with the truth in the pixels",
            f"{layouts['read']} read rightly: classes, splits, and the label of each image; "
            f"{layouts['refused']} refused with the cure, {layouts['wrong']} wrong",
            command + "test_public_layouts.py`",
        ),
        (
            f"training, evaluating and predicting on {len(traces['kinds']) - 1} kinds of local data; a run "
            "calibrated, exported and quantized by onnxruntime and by OpenVINO; with strace",
            f"{traces['connections']} calls to the network; {traces['files_elsewhere']} files written but "
            "those of the run, of the folder for temporary files, and matplotlib's list of fonts",
            command + "test_traces.py`",
        ),
        (
            "checkpoint of ResNeXt-50 with SGD state against writing and syncing the same bytes",
            f"{whole:.2f} times as long (promised: at most 1.5); training stands still for {stall:.2f} (0.5)",
            "`python benchmarks/checkpoint_cost.py`",
        ),
    ]
    return as_table(rows)


def mistakes() -> str:
    """Mistakes in typing by group, and how they are answered."""
    record = newest("faults.jsonl", "what")["mistakes"]
    rows = [("mistakes in", "tried", "answered with the cure", "exit codes"), ("---",) * 4]
    for group in record["groups"]:
        codes = sorted(group["codes"].items(), key=lambda item: (item[0] == "-1", item[0]))
        told = ", ".join(f"{'`TypeError`' if code == '-1' else code} ({count})" for code, count in codes)
        rows.append((group["group"], str(group["mistakes"]), str(group["cured"]), told))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def weights() -> str:
    """A row for each public weights in the catalogue."""
    rows = [
        f"| `{one.name}` | {'' if one.top1 is None else f'{one.top1:.2f}'} "
        f"| {one.resize_px} -> {one.size_px} | {one.interpolation} | {one.licence} |"
        for one in catalogue()
    ]
    head = ["| weights | top-1 (%) | resize -> crop (px) | filter | licence |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows])


def as_table(rows: list[tuple[str, str, str]]) -> str:
    cells = [("what was done", "what came of it", "again by"), ("---", "---", "---"), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


#: Why a published figure differs from ours by more than its last digit, by network and column.
EXPLAINED = {
    ("resnext101_32x4d", "gmacs"): "the paper gives one figure for both networks of 101 layers, ResNet's",
    ("resnext101_64x4d", "gmacs"): "twice 7.8 and not counted; the paper itself says about 15",
}


def published_counts() -> str:
    """Parameters and multiply-adds beside those that others publish."""
    (*_, record) = read_records(ROOT / "results" / "published.jsonl")
    versions = f"torchvision {record['torchvision'].split('+')[0]}", f"timm {record['timm']}, counted"
    head = ("network", "paper: M, G", "ours: M, G", *(f"{who}: M, G" for who in versions), "difference")
    rows = [head]
    for row in record["rows"]:
        paper, ours = row["paper"], row["ours"]
        counts = {"params_m": ours["params"] / 1e6, "gmacs": ours["macs"] / 1e9}
        theirs, counted = row["torchvision"], row["timm"]
        same = [counted is None or counted == ours]
        if theirs is not None:
            same.append((theirs["params"], theirs["gmacs"]) == (ours["params"], round(ours["macs"] / 1e9, 3)))
        why = [] if all(same) else ["DIFFERS FROM A PEER"]
        for column, count in counts.items():
            said = paper[column]
            if said is not None and round(count, 1) != said:
                is_cut = int(10 * count) / 10 == said
                why.append("cut, not rounded" if is_cut else EXPLAINED[row["network"], column])
        rows.append(
            (
                f"`{row['network']}`",
                ", ".join("?" if paper[c] is None else f"{paper[c]}" for c in counts) * bool(paper["where"]),
                ", ".join(f"{count:.3f}" for count in counts.values()),
                "" if theirs is None else f"{theirs['params'] / 1e6:.3f}, {theirs['gmacs']:.3f}",
                "" if counted is None else f"{counted['params'] / 1e6:.3f}, {counted['macs'] / 1e9:.3f}",
                "; ".join(why) or "none",
            )
        )
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])


def mutants() -> str:
    """Planted bugs: those with names, and the newest sample of each room."""
    lines = read_records(ROOT / "results" / "mutants.jsonl")
    named = next(line for line in reversed(lines) if line["what"] == "named" and line["room"] == "all")
    sampled = {line["room"]: line for line in lines if line["what"] == "sampled"}
    rows = [("by name", named), *sorted(sampled.items())]
    table = ["| mutants | tried | killed | change no result | survived |", "|---|---|---|---|---|"]
    for room, line in rows:
        left = line["tried"] - line["killed"] - line["the_same"]
        table.append(f"| {room} | {line['tried']} | {line['killed']} | {line['the_same']} | {left} |")
    return "\n".join(table)


def many_processes() -> str:
    """N processes against one, and what happens when one of them is lost."""
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
            f"{judged['pictures']:,} images evaluated on {sizes} processes",
            "identical probabilities, each image once" if judged["identical"] else "NO",
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
            f"{index['size_mb']:.0f} MB (promised: 600), opened in {index['opened_s']:.3f} s (1) before its "
            f"files are looked at, each of {len(index['workers_mb'])} workers adds "
            f"{max(index['workers_mb']):.0f} MB (50)",
            "`python benchmarks/many_images.py`",
        ),
        (
            "2 processes of one thread against 1 of two, on two cores",
            f"{pace['ratio']:.2f} times the images/s ({pace['spread'][0]:.2f} to {pace['spread'][1]:.2f} "
            f"in {pace['rounds']} rounds; promised: 0.9)",
            "`python benchmarks/two_processes.py`",
        ),
    ]
    return as_table(rows)


#: Headings of benches.
TIMED = {
    "step": "Training steps",
    "infer": "Inference",
    "data": "From stored images to training crops, one core",
    "plain_loop": "Training on small images",
}


def speed() -> str:
    """The newest record of every bench on every machine."""
    records = read_records(ROOT / "results" / "bench.jsonl")
    newest = {same_bench(one): one for one in records if one["experiment"] in (*TIMED, "grouped")}
    parts = [
        f"### {heading}\n\n" + "\n\n".join(map(timed, found))
        for name, heading in TIMED.items()
        if (found := [record for record in newest.values() if record["experiment"] == name])
    ]
    parts += [grouped(record) for record in newest.values() if record["experiment"] == "grouped"]
    return "\n\n".join(parts)


def grouped(record: dict[str, Any]) -> str:
    """Each grouped convolution over the bytes that it must move, and packed into wider groups."""
    medians = {row["what"]: row for row in record["timings"]}
    rows = [("3x3 of ResNeXt 32x4d", "ms", "times its bytes", "packed to 16", "to 32", "to 64"), ("---",) * 6]
    for what, row in medians.items():
        if "packed" not in what:
            packed = [medians.get(f"{what}, packed to {wide}") for wide in (16, 32, 64)]
            ratios = [f"{one['median_s'] / row['median_s']:.2f}" if one else "" for one in packed]
            rows.append((what, f"{1000 * row['median_s']:.2f}", f"{1 / row['limit_share']:.1f}", *ratios))
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    batch, torch = record["settings"]["batch"], record["versions"]["torch"]
    about = f"batch {batch}; {record['device']}, torch {torch}"
    return (
        "### Grouped convolutions, and packed into wider groups with zeros between paths\n\n"
        f"`python benchmarks/{record['command']}`: {about}. Packed: the time over that of the unpacked "
        f"groups.\n\n{table}"
    )


def packed() -> str:
    """Blocks with grouped convolutions in engines, and with them packed into wider groups."""
    wider = ("8", "16", "32", "64")
    rows: list[tuple[str, ...]] = [
        ("3x3 of ResNeXt 32x4d", "engine", "batch", "ms", *(f"to {one}" for one in wider), "dense", "without")
    ]
    for row in newest("bench.jsonl", "experiment")["packed"]["rows"]:
        ratios = {form: f"{ratio:.2f}" for form, ratio in row["ratios"].items()}
        what = f"{row['width']} wide, d = {row['d']}, {row['side_px']} px"
        others = [ratios.get(one, "") if int(one) > row["d"] else "" for one in wider]
        dense = ratios[str(row["width"])]
        rows.append(
            (what, row["engine"], f"{row['batch']}", f"{row['ms']:.1f}", *others, dense, ratios["without"])
        )
    return table(rows)


def grouped_alone() -> str:
    """Grouped 3x3 alone: each engine's fastest form, and its share of the rate of dense convolutions."""
    records = read_records(ROOT / "results" / "bench.jsonl")
    alone = newest("bench.jsonl", "experiment")["grouped"]
    batch = alone["settings"]["batch"]  # differences of shorter calls are noise
    engines = [one for one in records if one.get("experiment") == "engines" and "macs_per_s" in one]
    here = [one for one in engines if processor(one) == processor(alone)]
    rates = [one["macs_per_s"] for one in here if one["settings"]["batch"] == batch][-1]
    rows: list[tuple[str, ...]] = [("3x3 of ResNeXt 32x4d", "by", "ms", "multiply-adds/s", "share")]

    def add(d: int, side: int, by: str, ms: float) -> None:
        rate = 1000 * batch * side**2 * 32 * d * d * 9 / ms
        share = f"{100 * rate / rates[by.rpartition(' ')[2]]:.0f} %"
        rows.append((f"d = {d}, {side} px", by, f"{ms:.2f}", f"{rate / 1e9:.1f} G", share))

    torch_ms = {row["what"]: 1000 * row["median_s"] for row in alone["timings"]}
    for row in newest("bench.jsonl", "experiment")["packed"]["rows"]:
        d, side, ratios = row["d"], row["side_px"], row["ratios"]
        if row["batch"] != batch:
            continue
        if row["engine"] == "openvino, float32":
            what = f"{row['width']} wide, d = {d}, {side} px, float32 channels-last, forward"
            add(d, side, "torch, float32", torch_ms[what])
        best = min(ratio for form, ratio in ratios.items() if form != "without") - ratios["without"]
        add(d, side, row["engine"], best * row["ms"])
    return table(rows)


def same_bench(record: dict[str, Any]) -> str:
    """A key that benches of the same things on the same machine share."""
    settings = {name: value for name, value in record["settings"].items() if name != "rounds"}
    whats = [row["what"] for row in record["timings"]]
    return json.dumps([record["device"], record["experiment"], settings, whats])


def timed(record: dict[str, Any]) -> str:
    """One bench: where and how, its rows, and the most that the machine did."""
    rows = [("what", "images/s", "ms", "time / first", "of the limit", "limit / first"), ("---",) * 6]
    first = least(record["timings"][0])
    divisor = record["settings"]["pictures"] if record["experiment"] == "data" else 1  # for one image there
    for row in record["timings"]:
        low, high = (f"{1000 * s / divisor:,.2f}" for s in row["spread_s"])
        ratio = "1"
        if row["ratio"] is not None:
            ratio = f"{row['ratio']:.3f} ({row['ratio_spread'][0]:.3f} to {row['ratio_spread'][1]:.3f})"
        share = f"{100 * row['limit_share']:.0f} %" if least(row) else ""
        median = f"{1000 * row['median_s'] / divisor:,.2f} ({low} to {high})"
        floor = f"{least(row) / first:.2f}" if first and least(row) else ""
        rows.append((row["what"], f"{row['pictures_per_s']:,.2f}", median, ratio, share, floor))
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    failed = "".join(f"\n\nNot timed: {what} ({why})." for what, why in record["failed"].items())
    return f"{conditions(record)}.\n\n{table}{failed}"


def conditions(record: dict[str, Any]) -> str:
    """Command, settings, machine and limits of a bench."""
    words = {"pictures": "images"}  # older names in records
    settings = ", ".join(f"{words.get(n, n)} {v}" for n, v in record["settings"].items() if n != "data")
    command = record["command"]
    command = command if command.startswith("resnext") else f"python benchmarks/{command}"
    text = f"`{command}`: {settings}; {record['device']}, torch {record['versions']['torch']}"
    limits = {name: rate / 1e9 for name, rate in record["limits"].items()}
    if not limits:
        return text
    flops = {name.split("_")[0]: rate for name, rate in limits.items() if "flop" in name}
    rates = [f"{rate:,.0f} Gflop/s in {precision} products" for precision, rate in flops.items()]
    return f"{text}; at most {limits['bytes_per_s']:,.1f} GB/s and {' and '.join(rates)}"


def least(row: dict[str, Any]) -> float:
    """The least seconds that the machine could take; 0 where they are unknown, or the limit was exceeded."""
    share = row["limit_share"] or 0.0
    return float(share * row["median_s"]) if share < 1.1 else 0.0


def cardinality_in_engines() -> str:
    """ResNeXt-101 beside ResNet-101 in each engine, as exported and as optimised."""
    rows: list[tuple[str, ...]] = [
        (
            *("processor", "engine", "batch", "ResNet-101", "ResNeXt-101 32x4d"),
            *("optimised", "packed", "`optimize` took"),
        )
    ]
    newest_of = {}
    for one in read_records(ROOT / "results" / "bench.jsonl"):
        if one.get("experiment") == "optimized":
            settings = (one["settings"][name] for name in ("to", "precision", "batch"))
            newest_of[processor(one), *settings] = one
    for (on, engine, precision, batch), one in newest_of.items():
        first, plain, *packed = one["rows"]
        chosen = one["chosen"][plain["what"]]
        widths = Counter(chosen["packing"].values()).items()
        packing = ", ".join(f"{counted(count, 'layer')} {times} times" for times, count in widths)
        cells = [_relative(row) for row in (plain, *packed)]
        rows.append(
            (
                on,
                f"{engine}, {precision}",
                str(batch),
                f"{first['ms']:.0f} ms",
                cells[0],
                cells[1] if packed else "the same",
                packing or "none",
                f"{chosen['seconds']:.0f} s",
            )
        )
    return table(rows)


def rewritten() -> str:
    """Trained networks with every grouped convolution packed, on images of test."""
    rows: list[tuple[str, ...]] = [
        ("network", "file", "packed", "the same class", "as trained", "rewritten", "points")
    ]
    for arm, one in records("bench.jsonl", "rewritten").items():
        name, file = arm.split(", ", 1)
        if "refused" in one:
            rows.append((name, file, f"{one['packed']} layers", "", "", "refused", ""))
            continue
        (low, high), count = one["interval"], one["images"]
        before, after = (f"{100 * right / count:.2f} %" for right in one["correct"])
        points = f"{one['points']:+.2f} ({low:+.2f} to {high:+.2f})"
        same = f"{one['same']:,} of {count:,}"
        rows.append((name, file, f"{one['packed']} layers", same, before, after, points))
    return table(rows)


def equal_latency() -> str:
    """Networks that take as long in int8: which cardinality is worth most."""
    rows: list[tuple[str, ...]] = [
        ("as long as", "kind", "network", "ms", "top-1 error", "fewer errors than ResNet's, points")
    ]
    kinds = {"32x4d": "32x4d", "resnet": "ResNet", "groups": "2 to 32 paths"}
    found = [one for one in read_records(ROOT / "results" / "equal_latency.jsonl") if "rows" in one]
    for one in {record["budget"]: record for record in found}.values():
        for row in one["rows"]:
            errors, gain = row["top1_errors"], row.get("gain")
            interval = f"{gain['mean']:+.2f} ({gain['low']:+.2f} to {gain['high']:+.2f})" if gain else ""
            ms, error = f"{row['ms']:.3f}", f"{sum(errors) / len(errors):.2f} %"
            rows.append((one["budget"], kinds[row["arm"]], row["network"], ms, error, interval))
    return table(rows)


def _relative(row: dict[str, Any]) -> str:
    """A time relative to that of the first network of its run, with its interval."""
    low, high = row["spread"]
    return f"{row['ratio']:.2f} ({low:.2f} to {high:.2f})"


@pytest.mark.parametrize(
    "make", [speed, packed, grouped_alone, cardinality_in_engines, equal_latency, rewritten]
)
def test_speed(make: Callable[[], str]) -> None:
    assert make() in (ROOT / "docs" / "speed.md").read_text()


def test_results(tmp_path: Path) -> None:
    """The page and its plots, byte by byte."""
    page = write_results(ROOT / "results" / "experiments", tmp_path / "results.md")
    assert page.read_text() == (ROOT / "docs" / "results.md").read_text()
    made, kept = (
        {path.name: path.read_text() for path in folder.glob("*.svg")}
        for folder in (tmp_path / "results", ROOT / "docs" / "results")
    )
    assert made == kept


def test_published_counts() -> None:
    table = published_counts()
    assert table in (ROOT / "docs" / "networks.md").read_text()
    assert "DIFFERS" not in table


def test_reliability() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text()
    assert reliability() in text
    assert many_processes() in text
    assert mutants() in text


def test_the_catalogue_of_weights() -> None:
    assert weights() in (ROOT / "docs" / "weights.md").read_text(encoding="utf-8")


def test_mistakes() -> None:
    assert mistakes() in (ROOT / "docs" / "reliability.md").read_text()


def table(rows: list[tuple[str, ...]]) -> str:
    """`rows` as a table of Markdown; the first is its head."""
    lines = [rows[0], ("---",) * len(rows[0]), *rows[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def records(path: str, experiment: str) -> dict[str, dict[str, Any]]:
    """The last record of each arm of an experiment."""
    found = read_records(ROOT / "results" / path)
    return {one["arm"]: one for one in found if one.get("experiment") == experiment and "arm" in one}


def engine_speed() -> str:
    """Each engine beside torchvision's eager network, on each kind of processor."""
    heads = ("processor", "network", "batch", "engine", "ms", "as fast as torchvision's")
    rows: list[tuple[str, ...]] = [heads]
    newest_of = {}
    for one in read_records(ROOT / "results" / "bench.jsonl"):
        if one.get("experiment") == "engines":
            newest_of[processor(one), one["rows"][0]["what"], one["settings"]["batch"]] = one
    for (on, first, batch), one in newest_of.items():
        for row in one["rows"]:
            network, _, engine = row["what"].partition(", ")
            low, high = row["spread"]
            speed = "1" if row["what"] == first else f"{row['speed']:.2f} ({low:.2f} to {high:.2f})"
            rows.append((on, network, str(batch), engine, f"{row['ms']:.0f}", speed))
    return table(rows)


def serving() -> str:
    """`resnext serve` under load, beside `predict` and other servers."""
    bench = "bench.jsonl"
    rows: list[tuple[str, ...]] = [("load", "what came of it")]
    rates = records(bench, "serve_rates")
    for name, one in rates.items():
        if name == "predict":
            rows.append(("`predict` of files, alone", f"{one['per_s']:.1f} images/s"))
            continue
        low, high = min(one["ratios"]), max(one["ratios"])
        rows.append(
            (
                f"{one['clients']} clients, one image each, {name}",
                f"{one['per_s']:.1f} images/s, {100 * one['of_predict']:.0f} % of `predict` "
                f"({100 * low:.0f} to {100 * high:.0f}); median {one['p50_s']:.2f} s, p99 "
                f"{one['p99_s']:.2f} s; the clients took {100 * one['client_cpu_share']:.0f} % of a core",
            )
        )
    if one := records(bench, "serve_calm").get("resnext"):
        rows.append(
            (
                f"requests at random times, {one['asked_per_s']:.1f} a second (80 %)",
                f"median {one['p50_s']:.2f} s, p99 {one['p99_s']:.2f} s: {one['p99_in_batches']:.2f} times "
                f"a full batch of {one['settings']['batch']}",
            )
        )
    if one := records(bench, "serve_soak").get("resnext"):
        statuses = ", ".join(f"{status} {count:,} times" for status, count in sorted(one["statuses"].items()))
        rows.append(
            (
                f"{one['clients']} clients for {one['seconds']:.0f} s, 5 % bad images, 2 % leave",
                f"{statuses}; {len(one['lost'])} without an answer; memory {one['mb_before']:.0f} MB before, "
                f"{one['mb_after']:.0f} MB after ({100 * one['growth']:+.1f} %)",
            )
        )
    if one := records(bench, "serve_stop").get("resnext"):
        rows.append(
            (
                f"SIGTERM with {one['clients']} clients",
                f"exit code {one['exit_code']} after {one['stop_s']:.1f} s; {one['sent_before_and_lost']} of "
                "the requests sent before without an answer",
            )
        )
    return table(rows)


def export_parity() -> str:
    """What came of each format beside its original."""
    rows: list[tuple[str, ...]] = [
        ("network", "file", "top-1 the same", "largest difference of a probability", "accuracy", "maps apart")
    ]
    for name, one in records("bench.jsonl", "exports").items():
        count, size = one["settings"]["images"], one["settings"]["size_px"]
        for row in one["rows"]:
            same = f"{row['same']:,} of {count:,}" if "same" in row else ""
            apart = f"{row['largest']:.1e}" if "largest" in row else ""
            maps = f"{row['maps_apart']:.1e}" if "maps_apart" in row else ""
            right = f"{100 * row['correct'] / count:.2f} %"
            rows.append((f"{name}, {size} px", row["what"], same, apart, right, maps))
    return table(rows)


def predict_rates() -> str:
    """The rate of `predict` beside that of its engine."""
    rows: list[tuple[str, ...]] = [("network", "side", "engine alone", "`predict`", "share")]
    for name, one in records("bench.jsonl", "predict_rate").items():
        low, high = one["spread"]
        rows.append(
            (
                name,
                f"{one['settings']['size_px']} px",
                f"{one['engine_per_s']:,.0f} images/s",
                f"{one['predict_per_s']:,.0f} images/s",
                f"{100 * one['ratio']:.0f} % ({100 * low:.0f} to {100 * high:.0f})",
            )
        )
    return table(rows)


def honesty() -> str:
    """The calibration error before and after."""
    heads = ("network", "images", "temperature", "ECE before", "ECE after", "by chance alone")
    rows: list[tuple[str, ...]] = [heads]
    for name, one in records("confidence.jsonl", "honesty").items():
        cells = []
        for when in ("before", "after"):
            low, high = one[f"ece_{when}_interval"]
            cells.append(f"{100 * one[f'ece_{when}']:.1f} % ({100 * low:.1f} to {100 * high:.1f})")
        chance = f"{100 * one['ece_after_by_chance']:.1f} %"
        rows.append((name, f"{one['images']:,}", f"{one['temperature']:.2f}", *cells, chance))
    return table(rows)


def set_sizes() -> str:
    """Coverage and size of sets promised for 90 %."""
    rows: list[tuple[str, ...]] = [
        (
            *("network", "top-1", "coverage", "classes in a set"),
            *("APS", "RAPS", "the k likeliest that cover as much"),
        )
    ]
    for name, one in records("confidence.jsonl", "sets").items():
        low, high = one["coverage_spread"]
        covered = f"{100 * one['coverage']:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
        sizes = (f"{value:.2f}" for value in (one["size"], one["aps"]["size"], one["raps"]["size"]))
        rows.append((name, f"{100 * one['top1']:.1f} %", covered, *sizes, f"k = {one['k']:.2f}"))
    return table(rows)


def int8_accuracy() -> str:
    """What int8 costs trained networks."""
    rows: list[tuple[str, ...]] = [
        ("processor", "network", "file", "made for", "float32", "int8", "points", "back in float32")
    ]
    found = [one for one in read_records(ROOT / "results" / "bench.jsonl") if one.get("experiment") == "int8"]
    for (on, arm), one in {(processor(one), one["arm"]): one for one in found}.items():
        name, to, target = arm.split(", ")
        where = {"any": "any processor", "vnni": "VNNI"}[target]
        if "refused" in one:
            rows.append((on, name, to, where, "", "refused", "", ""))
            continue
        (low, high), blocks = one["interval"], len(one["put_back"])
        before, after = (f"{100 * count / one['images']:.2f} %" for count in one["correct"])
        points = f"{one['points']:+.2f} ({low:+.2f} to {high:+.2f})"
        back = f"{blocks} block{'s' * (blocks != 1)}" if blocks else ""
        rows.append((on, name, to, where, before, after, points, back))
    return table(rows)


def outlier_scores() -> str:
    """The area of each score on each kind of outliers; the one that is taken is bold."""
    found = records("confidence.jsonl", "outliers")
    scores = list(next(iter(found.values()))["scores"]) if found else []
    rows: list[tuple[str, ...]] = [("outliers", "images", *scores)]
    for kind, one in found.items():
        cells = []
        for score in scores:
            low, high = one["scores"][score]["interval"]
            text = f"{100 * one['scores'][score]['auroc']:.1f} ({100 * low:.1f} to {100 * high:.1f})"
            cells.append(f"**{text}**" if score == one["taken"] else text)
        rows.append((kind, f"{one['outliers']:,}", *cells))
    return table(rows)


@pytest.mark.parametrize("make", [engine_speed, export_parity, predict_rates, int8_accuracy])
def test_ship(make: Callable[[], str]) -> None:
    assert make() in (ROOT / "docs" / "ship.md").read_text()


@pytest.mark.parametrize("make", [honesty, set_sizes, outlier_scores])
def test_confidence(make: Callable[[], str]) -> None:
    assert make() in (ROOT / "docs" / "confidence.md").read_text()


def doctor() -> str:
    """What the doctor finds of what is known to be wrong, and at what pace."""
    found = newest("doctor.jsonl", "experiment")

    def of(pair: list[int]) -> str:
        rate = Rate(*pair)
        return f"{rate.successes:,} of {rate.n:,} ({rate.interval_text})"

    rows = [("what was done", "what came of it", "again by"), ("---",) * 3]

    def add(part: str, done: str, came: str) -> None:
        rows.append((done, came, f"`python benchmarks/doctor.py {part}`"))

    if one := found.get("near"):
        right = of([one["right"], one["looked_at"]])
        add(
            "near",
            "CIFAR-10: train (and the part of it that takes the place of val) against test",
            f"{one['test_images']} test images with a near duplicate; of {one['looked_at']} pairs that a "
            f"person looked at, right are {right}",
        )
    if one := found.get("planted"):
        recall = "; ".join(f"{kind}: {of(pair)}" for kind, pair in one["recall"].items())
        done = f"{one['altered']:,} of {one['images']:,} images of Tiny ImageNet, altered, in another split"
        add("planted", done, f"found by {recall}. Of the reported pairs, right are {of(one['precision'])}")
    if one := found.get("broken"):
        add(
            "broken",
            f"{one['broken']} of {one['images']:,} images, broken or odd in 12 ways",
            f"{one['named']} named; {sum(one['on_others'].values())} of the others named so",
        )
    if one := found.get("labels"):
        add(
            "labels",
            f"{one['wrong']:,} of {one['images']:,} labels of CIFAR-10 wrong, half at random, half to the "
            f"class that looks most alike; heads with a top-1 of {100 * one['head_top1']:.1f} %",
            f"estimated {one['estimated']:,}; suspected {one['suspected']:,}, "
            f"precision {one['precision']:.2f}, recall {one['recall']:.2f} ({one['recall_random']:.2f} at "
            f"random, {one['recall_alike']:.2f} alike); precision at the estimated number "
            f"{one['precision_at_estimate']:.2f}; "
            + ("the same images as by cleanlab itself" if one["equal_to_cleanlab"] else "NOT as cleanlab"),
        )
    for row in found.get("pace", {}).get("rows", ()):
        peer = row["cleanvision_per_s"]
        times = "" if peer is None else f", {row['per_s'] / peer:.2f} times as many as cleanvision in turn"
        add(
            "pace",
            f"{row['images']:,} JPEG files of {row['size_px']} px on two cores",
            f"{row['per_s']:,.0f} images/s{times}",
        )
    for row in found.get("memory", {}).get("rows", ()):
        done = f"{row['images']:,} images of 32 px, each with noise of its own, in an Arrow file"
        add("memory", done, f"at most {row['peak_mb']:,.0f} MB")
    trainings = [
        one for one in read_records(ROOT / "results" / "doctor.jsonl") if one["experiment"] == "pays"
    ]
    for one in {one["elsewhere"]: one for one in trainings}.values():
        gain, leak = one["gain"], one["flattered"]
        judge = (
            f"a network of {one['elsewhere']:,} others" if one["elsewhere"] else "the first of both networks"
        )
        add(
            "pays",
            f"{one['settings']['images']:,} images of CIFAR-10 with 10 % wrong labels, a fifth of test in "
            f"train; labels judged by {judge}; {one['seeds']} pairs of trainings, judged on images that did "
            "not leak",
            f"{gain['mean']:+.2f} points with the manifest ({gain['low']:+.2f} to {gain['high']:+.2f}); the "
            f"leak had flattered the score by {leak['mean']:.2f}",
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def test_serve() -> None:
    assert serving() in (ROOT / "docs" / "serve.md").read_text()


def test_doctor() -> None:
    assert doctor() in (ROOT / "docs" / "doctor.md").read_text()


def commands() -> list[str]:
    """Every complete command of ours in the code blocks of README.md and docs/."""
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
        assert parse(words) is not None, command


def test_the_table_of_the_design_rule(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "networks.md").read_text()
    command = "design --like resnet50 --cardinality 1 2 4 8 32"
    assert main(command.split()) == 0
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    shown = text.split(f"$ resnext {command}\n")[1].split("```")[0].splitlines()
    assert [line.split() for line in shown] == printed


if __name__ == "__main__":
    print(reliability(), mutants(), published_counts(), mistakes(), many_processes(), speed(), sep="\n\n")
    print(
        cardinality_in_engines(),
        grouped_alone(),
        engine_speed(),
        export_parity(),
        predict_rates(),
        serving(),
        sep="\n\n",
    )
    print(honesty(), set_sizes(), outlier_scores(), doctor(), sep="\n\n")
