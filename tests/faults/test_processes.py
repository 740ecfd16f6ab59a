"""N processes are one: the same losses, the same evaluation, the same end after a worker was killed."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from resnext.cli import main
from resnext.experiments import EXPERIMENTS, Ledger, Workspace
from resnext.experiments.runner import missing_tasks
from resnext.records import read_records
from resnext.run.locks import lock_file

pytestmark = pytest.mark.slow

#: One thread each, and what would make them a part of something larger taken away.
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE", "MASTER_PORT")
} | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
#: A network and images of seconds.
SMALL = [
    "--model",
    "resnext11_2x4d+template=8",
    "--data.size-px",
    "8",
    "--data.resize-px",
    "8",
    "--batch",
    "96",
]

Process = subprocess.Popen[str]


def launch(processes: int, words: Sequence[str], restarts: int = 0) -> Process:
    """`torchrun` with so many processes of `python WORDS`."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launcher += ["--nproc-per-node", str(processes), "--max-restarts", str(restarts)]
    return subprocess.Popen(
        [*launcher, *words], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def alone(words: Sequence[str]) -> Process:
    """`python WORDS`."""
    return subprocess.Popen(
        [sys.executable, *words],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def by_hand(ranks: Sequence[int], size: int, words: Callable[[int], Sequence[str]]) -> dict[int, Process]:
    """Processes `python WORDS(rank)` of a group of `size`, as a scheduler starts them, without `torchrun`."""
    port = str(_free_port())
    group = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return {
        rank: subprocess.Popen(
            [sys.executable, *words(rank)],
            env=ENVIRONMENT | group | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in ranks
    }


def _free_port() -> int:
    """One that nobody else is given meanwhile: systems give away those from 32768 on."""
    for port in random.Random(os.getpid() + time.monotonic_ns()).sample(range(20_000, 32_000), 50):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no port is free")


def ends(process: Process, code: int, within_s: float = 240) -> str:
    """What `process` says until it ends, which must be with `code`."""
    said, _ = process.communicate(timeout=within_s)
    assert process.returncode == code, said
    return said


def train(runs: Path, name: str, *more: str) -> list[str]:
    """The words after `python` that train on digits."""
    return ["-m", "resnext", "train", "digits", "--runs", str(runs), "--name", name, *SMALL, *more]


def losses(run: Path) -> list[float]:
    """The loss of each step."""
    records: list[dict[str, Any]] = [
        json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()
    ]
    return [record["loss"] for record in records if "loss" in record]


def wait_for_steps(run: Path, steps: float, process: Process) -> None:
    """Return when `run` has so many; `process` trains it."""
    end = time.monotonic() + 240
    while not (run / "metrics.jsonl").exists() or len(losses(run)) < steps:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def patched(tmp_path: Path) -> Callable[..., list[str]]:
    """`patched(words, BEAT_S=...)`: the words after `python` for the command line with other patience."""

    def make(words: Sequence[str], **constants: float) -> list[str]:
        assert words[:2] == ["-m", "resnext"]
        script = tmp_path / f"patched-{len(list(tmp_path.glob('patched-*')))}.py"
        lines = [f"heartbeat.{name} = {value}" for name, value in constants.items()]
        script.write_text(
            "\n".join(
                [
                    "from resnext.training import heartbeat",
                    *lines,
                    "from resnext.cli import main",
                    "raise SystemExit(main())",
                ]
            )
        )
        return [str(script), *words[2:]]

    return make


#: Mixing, erasing and shifts on; what a batch norm sees would depend on the part. The parts are not equal.
ALIKE = (
    "--precision float32 --batch 97 --data.mixup 0.4 --data.cutmix 1 --data.erasing 0.5 "
    "--training.batch-norm frozen --training.lr 0.05 --data.balance weights "
    "--training.accumulate 2 --training.clip-norm 0.5 --epochs"
)


@pytest.fixture(scope="module")
def alike(full: bool) -> list[str]:
    """Options of the runs that are compared."""
    return [*ALIKE.split(), "5" if full else "1"]


@pytest.fixture(scope="module")
def runs(alike: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the runs `1` and `2`, of as many processes."""
    folder = tmp_path_factory.mktemp("alike")
    assert main(train(folder, "1", *alike)[2:]) == 0
    for process in by_hand((0, 1), 2, lambda _: train(folder, "2", *alike)).values():
        ends(process, 0)
    return folder


def test_losses_do_not_depend_on_the_number_of_processes(
    full: bool, record: Callable[..., None], alike: list[str], runs: Path
) -> None:
    steps = 50 if full else 11
    expected, worst = losses(runs / "1")[:steps], {}
    assert len(expected) == steps
    for processes in (2, 4) if full else (2,):
        if processes > 2:
            ends(launch(processes, train(runs, str(processes), *alike)), 0)
        found = losses(runs / str(processes))[:steps]
        worst[processes] = max(abs(a / b - 1) for a, b in zip(found, expected, strict=True))
        assert worst[processes] < 1e-5
    record("processes against one", steps=steps, worst={str(k): v for k, v in worst.items()})


JUDGE = """
import os, sys
import numpy as np
import resnext
one = resnext.evaluate(sys.argv[1], sys.argv[2])
rank = os.environ.get("RANK", "0")
np.savez(f"{sys.argv[3]}-{rank}", keys=one.keys, rows=one.probabilities, labels=one.labels)
"""


def test_evaluation_counts_every_picture_once(
    full: bool, record: Callable[..., None], runs: Path, tmp_path: Path
) -> None:
    count = 10_007 if full else 1_007
    draw = np.random.default_rng(0)
    images = [_png(draw.integers(0, 256, (8, 8), dtype=np.uint8)) for _ in range(count)]
    labels = [str(label) for label in draw.integers(0, 10, count)]
    pq.write_table(pa.table({"image": images, "label": labels}), tmp_path / "test.parquet")
    (tmp_path / "judge.py").write_text(JUDGE)

    def words(name: str) -> list[str]:
        return [
            str(tmp_path / "judge.py"),
            str(runs / "1"),
            *(str(tmp_path / w) for w in ("test.parquet", name)),
        ]

    ends(alone(words("1")), 0)
    whole = np.load(tmp_path / "1-0.npz")
    assert len(set(whole["keys"])) == count
    sizes = (2, 3) if full else (2,)
    for processes in sizes:
        ends(launch(processes, words(str(processes))), 0)
        for rank in range(processes):
            part = np.load(tmp_path / f"{processes}-{rank}.npz")
            for name in ("keys", "labels", "rows"):
                np.testing.assert_array_equal(part[name], whole[name])
    # `pictures` is the key in the records.
    record("evaluation on processes", pictures=count, processes=[1, *sizes], identical=True)


def _png(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()


def _worker(name: str, rank: int) -> int | None:
    """The process of this rank that trains the run `name`."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if name.encode() in words and f"RANK={rank}".encode() in environment:
            return int(folder.name)
    return None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for the workers in /proc")
def test_a_killed_worker_changes_nothing(
    full: bool, record: Callable[..., None], alike: list[str], runs: Path
) -> None:
    """In full with batch norms of their own too: what the killed one knew of statistics must not count."""
    kills, whole, options = (1,), "2", alike
    if full:
        kills, whole, options = (1, 0, 1), "whole", ["--epochs", "12"]
        ends(launch(2, train(runs, whole, *options)), 0)
    steps = len(losses(runs / whole))
    words = [*options, "--resume", "auto", "--checkpoint-every", "2"]
    cut = launch(2, train(runs, "cut", *words), restarts=len(kills))
    for number, rank in enumerate(kills, start=1):
        wait_for_steps(runs / "cut", number * steps / (2 * len(kills) + 2), cut)
        worker = _worker("cut", rank)
        assert worker is not None
        os.kill(worker, signal.SIGKILL)
        time.sleep(0.5)  # the metrics of what was not saved are still there
    ends(cut, 0)
    assert (runs / "cut" / "log.txt").read_text().count("resuming") == len(kills)
    results = [json.loads((runs / run / "result.json").read_text()) for run in (whole, "cut")]
    assert results[0]["metrics"] == results[1]["metrics"]
    assert losses(runs / whole) == losses(runs / "cut")
    record("worker killed", kills=len(kills), processes=2, equal=True)


AFTER = """
import sys
from pathlib import Path
import resnext
from resnext.training.loop import Diverged
options = {"model": "resnext11_2x4d+template=8", "epochs": 1, "batch": 96, "runs": Path(sys.argv[1])}
try:
    resnext.train("digits", name="wild", training__lr=1e9, **options)
except Diverged:
    resnext.train("digits", name="tame", **options)
"""


def test_after_a_network_diverged_its_processes_train_another_together(tmp_path: Path) -> None:
    (tmp_path / "after.py").write_text(AFTER)
    for process in by_hand(
        (0, 1), 2, lambda _: [str(tmp_path / "after.py"), str(tmp_path / "runs")]
    ).values():
        ends(process, 0)
    states = [json.loads((tmp_path / "runs" / name / "status.json").read_text()) for name in ("wild", "tame")]
    assert [state["state"] for state in states] == ["failed", "finished"]
    line = json.loads((tmp_path / "runs" / "tame" / "result.json").read_text())
    assert line["device"].endswith(", 2 processes")


def test_a_group_leaves_to_others_what_they_run(tmp_path: Path) -> None:
    """Of two arms the group trains the one that no process outside it has."""
    place = Workspace(runs=tmp_path / "runs", results=tmp_path / "results")
    held, free = missing_tasks([EXPERIMENTS["cardinality"]], "miniature", 1, Ledger([]), place)
    words = ["-m", "resnext", "experiments", "run", "cardinality", "--scale", "miniature", "--seeds", "1"]
    words += ["--runs", str(place.runs), "--results", str(place.results), "--device", "cpu"]
    (place.runs / "locks").mkdir(parents=True)
    with lock_file(place.runs / "locks" / held.name):
        said = [ends(process, 0) for process in by_hand((0, 1), 2, lambda _: words).values()]
    assert "1 left: another process runs them" in said[0]
    lines = read_records(place.results / "miniature.jsonl")
    assert [line["arm"] for line in lines if line["kind"] == "train"] == [free.text.split(", ")[1]]
    assert [path.name for path in place.runs.iterdir() if path.name not in ("locks", "sets")] == [free.name]


def test_processes_that_were_not_started_alike_are_named(tmp_path: Path) -> None:
    started = by_hand((0, 1), 2, lambda rank: train(tmp_path, "x", "--epochs", str(1 + rank)))
    for process in started.values():
        said = ends(process, 2)
        assert "not started alike" in said
        assert "epochs = 2" in said
        assert "rank 1" in said
    assert not (tmp_path / "x").exists()


def test_a_process_that_never_comes_is_named(patched: Callable[..., list[str]], tmp_path: Path) -> None:
    words = patched(train(tmp_path, "x", "--epochs", "1"), CONNECT_S=3)
    (first,), (second,) = (by_hand((rank,), 2, lambda _: words).values() for rank in (0, 1))
    assert re.search(r"rank 1 has not answered for \d+ s", ends(first, 75))
    assert "rank 0 at 127.0.0.1" in (said := ends(second, 75))
    assert "cannot be reached" in said


def test_a_process_that_falls_silent_is_named_and_the_run_is_resumable(
    patched: Callable[..., list[str]], tmp_path: Path
) -> None:
    options = ("--epochs", "500", "--checkpoint-every", "2", "--resume", "auto")
    # On a busy machine a beat may be seconds late.
    words = patched(train(tmp_path, "x", *options), SILENT_S=12)
    started = by_hand((0, 1), 2, lambda rank: words)
    run = tmp_path / "x"
    wait_for_steps(run, 12, started[0])
    started[1].send_signal(signal.SIGSTOP)
    try:
        said = ends(started[0], 75, within_s=120)
        assert "rank 1" in said
        assert "has not answered for" in said
        status = json.loads((run / "status.json").read_text())
        assert status["state"] == "resumable"
        assert "rank 1" in status["why"]
    finally:
        started[1].kill()
        started[1].communicate()


def test_a_request_to_one_process_stops_all_and_one_alone_goes_on(tmp_path: Path) -> None:
    words = train(tmp_path, "x", "--epochs", "6", "--checkpoint-every", "2")
    started = by_hand((0, 1), 2, lambda _: words)
    wait_for_steps(tmp_path / "x", 3, started[0])
    started[1].send_signal(signal.SIGTERM)
    for process in started.values():
        ends(process, 75, within_s=60)
    assert json.loads((tmp_path / "x" / "status.json").read_text())["state"] == "resumable"
    assert main([*words[2:], "--resume", "must"]) == 0
    assert len(losses(tmp_path / "x")) == 6 * 11


FAILING = """
import os, time
from resnext.training import loop, heartbeat
heartbeat.NOTICE_S = 3
def out_of_memory(*_, **__):
    raise MemoryError
def wait(*_, **__):  # as for a GPU, whose operations do not raise
    time.sleep(300)
if os.environ["RANK"] == "{failing}":
    loop.F.cross_entropy = out_of_memory
elif {waits}:
    loop.F.cross_entropy = wait
from resnext.cli import main
raise SystemExit(main())
"""


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("failing", [0, 1])
def test_a_process_that_fails_is_named_and_the_run_does_not_go_on_for_ever(
    tmp_path: Path, failing: int, waits: bool
) -> None:
    (tmp_path / "failing.py").write_text(FAILING.format(failing=failing, waits=waits))
    words = [str(tmp_path / "failing.py"), *train(tmp_path, "x", "--epochs", "3")[2:]]
    started = by_hand((0, 1), 2, lambda _: words)
    assert "out of memory" in ends(started[failing], 5)
    assert f"rank {failing} has failed: MemoryError" in ends(started[1 - failing], 4, within_s=60)
    status = json.loads((tmp_path / "x" / "status.json").read_text())
    assert status["state"] == "failed"
    assert "MemoryError" in status["why"]


#: A process that fails before the roll call, when the others have come.
EARLY = """
import sys, os, time
import resnext.run
from resnext.data.decode import DataError
from resnext.training import heartbeat
heartbeat.SILENT_S = 4
def nothing_there(*_):
    time.sleep(6)
    raise DataError("nowhere")
if os.environ["RANK"] == "{failing}":
    sys.modules["resnext.run.train"].read_splits = nothing_there
from resnext.cli import main
raise SystemExit(main())
"""


@pytest.mark.parametrize("failing", [0, 1])
def test_why_a_process_ended_before_all_were_compared_is_told(tmp_path: Path, failing: int) -> None:
    (tmp_path / "early.py").write_text(EARLY.format(failing=failing))
    words = [str(tmp_path / "early.py"), *train(tmp_path, "x")[2:]]
    started = by_hand((0, 1), 2, lambda _: words)
    assert "nowhere" in ends(started[failing], 3)
    assert f"rank {failing} has ended: DataError: nowhere" in ends(started[1 - failing], 4, within_s=60)


def test_a_launcher_that_does_not_say_enough_is_told_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert main(train(tmp_path, "x")[2:]) == 2
    told = capsys.readouterr().err
    assert (
        "8 processes, but RANK and MASTER_ADDR and MASTER_PORT are not set. Start them with torchrun" in told
    )
    assert not (tmp_path / "x").exists()


def test_other_verbs_run_as_one_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"RANK": "1", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    assert main(["models"]) == 2
    assert "resnext (rank 1): models runs as one process" in capsys.readouterr().err
