"""Files that were edited by somebody who knows what is in them: our error, or the answer that is right.

Each edit changes one field of one file by one of `EDITS`. The commands that read the file then run in a
process that may take 1 GB and 10 s for each. This file is also the program of that process.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

#: What may be taken by the commands of one edit.
LIMIT_BYTES, LIMIT_S = 2**30, 10
#: Stands for text that no program would write, until the file is written.
RAW = "@raw@"
#: Files by the folder that they lie in.
FILES = {
    "run": ("contract.json", "config.toml", "data.json", "result.json", "metrics.jsonl", "environment.json"),
    "hub": ("config.json", "model.safetensors"),
    "set.index": ("index.json",),
}
ALL_FILES = [(folder, file) for folder, files in FILES.items() for file in files]
MODEL = "--model resnet11+template=8 --epochs 1 --batch 8 --data.size-px 16 --data.resize-px 16"
NUMBERS = (
    *(-1, 0, 1, 2, 1.5, 17, 30_000, 10**11, 2**63 - 1, 1e-300, 1e300, -0.0, True),
    *(RAW + text for text in ("NaN", "-Infinity", "1e999", "9" * 30, "9" * 5000)),
)
TEXTS = (
    *("", "x", "x" * 1_000_000, "\0", "\x1b[2J", "\u202e", "$\\frac$", "../../etc/passwd", "=1+1", "1"),
    *(RAW + '"\\ud800"', RAW + '"\\udc80"', RAW + '"' + "\\u0000" * 9 + '"', "resnext50_32x999999d"),
)
OTHER_KINDS: tuple[Any, ...] = (None, False, 3, 2.5, "text", [], {}, [[]], [1, "a"], {"a": {"b": 1}})

Tree = Any
Edit = Callable[[random.Random, Any], Any]


def peak_mb() -> int:
    """The most memory that this process has had; `ru_maxrss` would count that of the one that started it."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) // 1024  # type: ignore[index]


def number(draw: random.Random, _: Any) -> Any:
    return draw.choice(NUMBERS)


def text(draw: random.Random, _: Any) -> Any:
    return draw.choice(TEXTS)


def other_kind(draw: random.Random, _: Any) -> Any:
    return draw.choice(OTHER_KINDS)


def nested(draw: random.Random, _: Any) -> Any:
    depth = draw.choice((40, 5_000, 200_000))
    return RAW + "[" * depth + "]" * depth


def scaled(draw: random.Random, value: Any) -> Any:
    """A number a little or much larger; of a list, another order or length; of a text, another case."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return draw.choice((value + 1, value - 1, value * 2, -value, value * 10**6))
    if isinstance(value, str):
        return draw.choice((value.upper(), value[::-1], value + "x", value[:-1]))
    if isinstance(value, list):
        return draw.choice((value[::-1], value + value, value[1:], value[:1], value * 10_000, [value]))
    if isinstance(value, dict):
        return draw.choice((list(value), {**value, "unknown": 1}, dict(list(value.items())[1:])))
    return 1


EDITS: tuple[Edit, ...] = (number, text, other_kind, scaled, scaled, nested)


def places(tree: Tree, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the fields and items of `tree` are, itself first; of long lists only the first items."""
    yield path
    items = tree.items() if isinstance(tree, dict) else enumerate(tree[:3]) if isinstance(tree, list) else ()
    for key, value in items:
        yield from places(value, (*path, key))


def edited(tree: Tree, draw: random.Random) -> tuple[Tree, str]:
    """`tree` with one change, and its description."""
    path = draw.choice(list(places(tree)))
    parent = tree
    for key in path[:-1]:
        parent = parent[key]
    where = ".".join(map(str, path))
    if path and isinstance(parent, dict) and draw.random() < 0.15:
        value = parent.pop(path[-1])
        if draw.random() < 0.5:
            return tree, f"{where} removed"
        name = json.dumps(path[-1])
        parent[RAW] = f"{name}: {json.dumps(value)}, {name}: {json.dumps(draw.choice((value, 1)))}"
        return tree, f"{where} twice"
    edit = draw.choice(EDITS)
    old = parent[path[-1]] if path else tree
    new = edit(draw, old)
    if path:
        parent[path[-1]] = new
    return (tree if path else new), f"{where}: {edit.__name__}, {str(new)[:40]!r}"


def dumps(tree: Tree) -> str:
    """`tree` as JSON, with the raw texts in it as they are."""
    written = json.dumps(tree)
    start = 0
    while (start := written.find(f'"{RAW}', start)) >= 0:
        whole, end = json.JSONDecoder().raw_decode(written[start:])
        if whole == RAW:  # a key: the value is the text of a whole field
            whole, more = json.JSONDecoder().raw_decode(written[start + end + 2 :])
            end, whole = end + 2 + more, RAW + whole
        written = written[:start] + whole.removeprefix(RAW) + written[start + end :]
        start += len(whole) - len(RAW)
    return written


def edit_file(path: Path, draw: random.Random) -> str:
    """Edit the file at `path` in one place; what was done."""
    import tomllib

    import tomli_w
    from safetensors import safe_open
    from safetensors.torch import save_file

    match path.suffix:
        case ".toml":
            tree, done = edited(tomllib.loads(path.read_text()), draw)
            try:
                path.write_text(tomli_w.dumps(tree) if isinstance(tree, dict) else f"x = {dumps(tree)}")
            except (TypeError, UnicodeEncodeError):
                path.write_text(f"training = {dumps(tree)}")
            path.write_text(path.read_text().replace(f'"{RAW}NaN"', "nan").replace(f'"{RAW}', '"'))
        case ".jsonl":
            lines = path.read_text().splitlines()
            chosen = draw.choice([i for i, line in enumerate(lines) if "val_loss" in line])
            tree, done = edited(json.loads(lines[chosen]), draw)
            lines[chosen] = dumps(tree)
            path.write_text("\n".join(lines) + "\n")
        case ".safetensors":
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                about = json.loads(file.metadata()["resnext"])
            tree, done = edited(about, draw)
            save_file(tensors, path, {"format": "pt", "resnext": dumps(tree)})
        case _:
            tree, done = edited(json.loads(path.read_text()), draw)
            path.write_text(dumps(tree))
    return done


def commands(file: str, folder: Path, base: Path, draw: random.Random) -> list[str]:
    """What reads `file` in the copy `folder` of what lies in `base`."""
    data, image = base / "data", base / "data" / "val" / "a" / "0.png"
    resumed = f"train {data} --runs {folder.parent} --name {folder.name} --resume must {MODEL} --epochs 3"
    report = f"report {folder} --out {folder.parent}/page.html"
    compare = f"compare {base}/run {folder}"
    match file:
        case "config.toml":
            new = f"train {data} --config {folder}/config.toml --runs {folder.parent}/new {MODEL}"
            return [compare, f"{new} --data.train-px 16 --training.compile off"]
        case "contract.json" | "data.json":
            return [compare, draw.choice((report, resumed))]
        case "metrics.jsonl":
            return [compare, draw.choice((report, resumed))]
        case "result.json" | "environment.json":
            return [compare, report]
        case "index.json":
            return [f"evaluate {base}/hub {folder} --split val --json -"]
        case _:
            weights = f"train {data} --runs {folder.parent}/new --weights {folder} {MODEL}"
            return [f"predict {folder} {image}", *([weights] if draw.random() < 0.2 else [])]


#: Files of which a change must be refused unless the answer stays the same, since another file says what is
#: right; and fields of them that do not act on the answer.
CERTAIN = {"config.json": (), "model.safetensors": (), "index.json": ("name", "notes", "mirrors")}


def run_commands(words: list[str]) -> tuple[list[int], str, str]:
    """Exit codes of commands, what the first one prints, and all errors. The first that fails is the last."""
    from resnext.cli import main

    outs, err, codes = [], io.StringIO(), []
    for line in words:
        outs.append(io.StringIO())
        with contextlib.redirect_stdout(outs[-1]), contextlib.redirect_stderr(err):
            codes.append(main(line.split()))
        if codes[-1]:
            break
    return codes, outs[0].getvalue(), err.getvalue()


def judge(folder: str, file: str, place: str, codes: list[int], out: str, err: str, right: str) -> str:
    """What is wrong about the outcome of an edit; empty if nothing is."""
    if codes[-1] == 0:
        certain = file in CERTAIN and not place.startswith(CERTAIN[file] or ("\0",))
        return f"another answer: {out[:300]}" if certain and out != right else ""
    if codes[-1] not in (2, 3, 4):
        return f"exit code {codes[-1]}: {err[:500]}"
    last = f"\n{err}".rpartition("\nresnext: ")[2]
    is_named = file in last or f"/{folder}" in last
    return "" if is_named else f"the error does not name the file: {err[:500]}"


def right_answers(base: Path) -> dict[str, str]:
    """What the first command that reads each of `CERTAIN` prints, undisturbed."""
    places = {file: base / folder for folder, file in ALL_FILES if file in CERTAIN}
    return {
        file: run_commands(commands(file, place, base, random.Random(0))[:1])[1]
        for file, place in places.items()
    }


def try_edit(case: int, base: Path, right: dict[str, str]) -> dict[str, Any]:
    """Edit a copy of a file, run what reads it, and tell what came of it."""
    draw = random.Random(case)
    folder, file = ALL_FILES[case % len(ALL_FILES)]
    place = base / "edited" / f"{case}" / folder
    shutil.copytree(base / folder, place)
    done = edit_file(place / file, draw)
    started = time.monotonic()
    signal.alarm(LIMIT_S)
    try:
        codes, out, err = run_commands(commands(file, place, base, draw))
        wrong = judge(folder, file, done, codes, out, err, right.get(file, ""))
    except BaseException as error:
        codes, wrong = [1], f"{type(error).__name__}: {error}"[:500]
    finally:
        signal.alarm(0)
    seconds, peak = time.monotonic() - started, peak_mb()
    shutil.rmtree(place.parent)
    outcome = {"case": case, "file": file, "edit": done, "code": codes[-1], "wrong": wrong}
    return outcome | {"seconds": seconds, "mb": peak}


def child(base: Path, first: int, last: int) -> None:
    """The process: try the edits by number, and print a line about each."""
    right = right_answers(base)
    for number, (folder, file) in enumerate(ALL_FILES):  # undisturbed; libraries also reserve their memory
        place = base / "edited" / f"whole-{first}-{number}" / folder
        shutil.copytree(base / folder, place)
        codes, _, err = run_commands(commands(file, place, base, random.Random(number)))
        assert set(codes) == {0}, err
    virtual = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (virtual + LIMIT_BYTES,) * 2)
    signal.signal(signal.SIGALRM, end_late)
    for case in range(first, last):
        print(json.dumps(try_edit(case, base, right)), flush=True)


def end_late(*_: object) -> None:
    raise TimeoutError(f"{LIMIT_S} s are over")


def try_apart(base: Path, count: int, size: int) -> Iterator[dict[str, Any]]:
    """Try `count` edits in processes of `size` each."""
    for first in range(0, count, size):
        words = [sys.executable, __file__, str(base), str(first), str(first + size)]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
        done = subprocess.run(words, capture_output=True, text=True, env=environment)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"case"')]
        assert len(lines) == size, f"ended in case {first + len(lines)}: {done.stderr[-2000:]}"
        yield from lines


def try_here(base: Path, count: int) -> Iterator[dict[str, Any]]:
    """Try `count` edits in this process, which saves the time of another one's start."""
    right = right_answers(base)
    before = signal.signal(signal.SIGALRM, end_late)
    try:
        for case in range(count):
            yield try_edit(case, base, right)
    finally:
        signal.signal(signal.SIGALRM, before)


def prepare(base: Path, make_folder: Callable[..., Path]) -> None:
    """A data set, a run on it, its model alone, and an index of the set."""
    make_folder(base / "data" / "train", {"a": 8, "b": 8, "c": 8}, (16, 16))
    make_folder(base / "data" / "val", {"a": 3, "b": 3, "c": 3}, (16, 16))
    assert run_commands([f"train {base}/data --runs {base} --name run {MODEL}"])[0] == [0]
    assert run_commands([f"index {base}/data {base}/set.index"])[0] == [0]
    shutil.copytree(base / "run" / "model", base / "hub")


@pytest.mark.usefixtures("no_reports")  # but in the processes of the whole version
def test_meaningful_edits(
    full: bool, record: Callable[..., None], tmp_path: Path, make_folder: Callable[..., Path]
) -> None:
    prepare(tmp_path, make_folder)
    count = 450 if full else 36
    outcomes = list(try_apart(tmp_path, count, 90) if full else try_here(tmp_path, count))
    assert [one for one in outcomes if one["wrong"]] == []
    refused = sum(one["code"] != 0 for one in outcomes)
    assert count / 2 < refused < count
    record(
        "meaningful edits",
        tried=count,
        files=len({one["file"] for one in outcomes}),
        refused=refused,
        valid=count - refused,
        longest_s=round(max(one["seconds"] for one in outcomes), 1),
        most_mb=max(one["mb"] for one in outcomes),
    )


if __name__ == "__main__":
    child(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
