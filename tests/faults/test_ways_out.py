"""Nothing hangs: whatever happens to a training, it ends within 10 s with the promised exit code, the lock is
free, status.json is true, and no process is left.

As a program this file trains: it reads ways out as JSON lines, forks a process for each (all is imported by
then), and answers with what was left.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import json
import multiprocessing
import os
import pkgutil
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import get_worker_info

from resnext.arch import Architecture
from resnext.cli import main
from resnext.models import create
from resnext.training.heartbeat import PeerLost
from resnext.training.loop import TrainState
from resnext.training.settings import TrainingSettings

pytestmark = pytest.mark.slow

#: Where something happens: before this call of this function.
PHASES = {
    "training": ("resnext.run.meters:EpochMeter.update", 5),
    "judging": ("resnext.engine.classifier:Classifier._answer", 1),
    "saving": ("resnext.training.checkpoints:write_snapshot", 1),
    "reporting": ("resnext.api.training:write_report", 1),
}
#: The smallest network, and images that are too large to be kept in memory, so that workers read them.
SETTINGS = (
    "--model resnet11+template=8 --data.size-px 66 --data.resize-px 66 --batch 4 --device cpu "
    "--precision float32 --checkpoint-every 4 --name run"
).split()
#: Seconds until the event, and for the way out after it.
START_S, END_S = 120.0, 10.0


@dataclass(frozen=True)
class Way:
    """What happens, when, and how many workers decode images meanwhile."""

    event: str
    phase: str
    workers: int


@dataclass(frozen=True)
class Left:
    """What a process left: whether the event came, its exit code (None if it had to be killed), the state in
    status.json, whether the lock is free, and the number of processes."""

    happened: bool
    code: int | None
    state: str
    is_free: bool
    processes: int
    seconds: float
    output: str

    def is_right(self, way: Way) -> bool:
        """Whether this is what is promised."""
        return self.happened and self.ended and self.is_free and (self.code, self.state) == promised(way)

    @property
    def ended(self) -> bool:
        """Whether all processes ended in time."""
        return self.code is not None and self.processes == 0 and self.seconds <= END_S


@dataclass(frozen=True)
class Place:
    """Where a training lies; `root` may be on a small file system, what it prints is not."""

    root: Path
    output: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def run(self) -> Path:
        """The run folder, wherever it is by now."""
        moved = self.root / "runs" / "moved"
        return moved if moved.exists() else self.root / "runs" / "run"

    @property
    def moment(self) -> Path:
        """The file that says when it happened."""
        return self.root / "moment"

    @property
    def no_memory(self) -> Path:
        """The file that lets workers run out of memory."""
        return self.root / "no memory"


# What happens


def kill(number: int) -> Callable[[Place], None]:
    return lambda place: os.kill(os.getpid(), number)


def kill_group(number: int) -> Callable[[Place], None]:
    """As terminals and launchers do it."""
    return lambda place: os.killpg(0, number)


def kill_worker(number: int) -> Callable[[Place], None]:
    return lambda place: os.kill(multiprocessing.active_children()[0].pid or 0, number)


def fail(error: BaseException) -> Callable[[Place], None]:
    def event(place: Place) -> None:
        raise error

    return event


def fill(folder: Path) -> None:
    """Leave no room on the file system of `folder`."""
    with open(folder / "ballast", "wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)):
                    pass


def close_output(place: Place) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, 1)


def fill_output(place: Place) -> None:
    """The output goes to a disk that is full."""
    full = os.open("/dev/full", os.O_WRONLY)
    for handle in (1, 2):
        os.dup2(full, handle)


def damage_images(place: Place) -> None:
    for path in place.data.glob("*/*/*"):
        path.write_bytes(b"damaged")


def diverge(place: Place) -> None:
    for state in [one for one in gc.get_objects() if isinstance(one, TrainState)]:
        for param in (*state.network.parameters(), *state.evaluated.parameters()):
            param.data.fill_(torch.nan)


def limit_files(place: Place) -> None:
    """As a quota does, but for the small files."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))


EVENTS: dict[str, Callable[[Place], Any]] = {
    "SIGTERM": kill(signal.SIGTERM),
    "SIGINT": kill(signal.SIGINT),
    "SIGHUP": kill(signal.SIGHUP),
    "SIGUSR1": kill(signal.SIGUSR1),
    "SIGTERM to the group": kill_group(signal.SIGTERM),
    "SIGINT to the group": kill_group(signal.SIGINT),
    "SIGHUP to the group": kill_group(signal.SIGHUP),
    "SIGKILL": kill(signal.SIGKILL),
    "output closed": close_output,
    "KeyboardInterrupt": fail(KeyboardInterrupt()),
    "another process lost": fail(PeerLost("rank 1 has not answered for 31 s")),
    "output on a full disk": fill_output,
    "checkpoints removed": lambda place: shutil.rmtree(place.run / "checkpoints"),
    "run folder moved": lambda place: place.run.rename(place.root / "runs" / "moved"),
    "disk full": lambda place: fill(place.root),
    "file size limit": limit_files,
    "out of memory in torch": lambda place: torch.empty(1 << 56, dtype=torch.uint8),
    "out of memory in numpy": lambda place: np.empty(1 << 56, np.uint8),
    "internal error": fail(RuntimeError("a bug")),
    "images damaged": damage_images,
    "diverged": diverge,
    "worker killed": kill_worker(signal.SIGKILL),
    "worker: bus error": kill_worker(signal.SIGBUS),
    "worker: out of memory": lambda place: place.no_memory.touch(),
    "shared memory full": lambda place: fill(Path("/dev/shm")),
}
OF_WORKERS = {"worker killed", "worker: bus error", "worker: out of memory", "shared memory full"}
#: They fill a whole file system, which must be a small one of their own.
MOUNTED = {"disk full", "shared memory full"}
#: Exit code and state, where they are not those of a stop, or of what the machine lacks.
PROMISED = {
    "SIGKILL": (-signal.SIGKILL, "running"),
    "KeyboardInterrupt": (130, "resumable"),
    "output on a full disk": (5, "resumable"),
    "internal error": (1, "failed"),
    "images damaged": (3, "failed"),
    "diverged": (4, "failed"),
}
#: What the report does not need any more.
HARMLESS_AT_THE_END = {"checkpoints removed", "images damaged", "diverged"}


def promised(way: Way) -> tuple[int, str]:
    """Exit code and state in status.json."""
    is_stop = way.event in tuple(EVENTS)[: tuple(EVENTS).index("checkpoints removed")]
    code, state = PROMISED.get(way.event, (75, "resumable") if is_stop else (5, "failed"))
    if way.phase != "reporting":
        return code, state
    is_signal = way.event.startswith("SIG") and way.event != "SIGKILL"
    return 0 if is_signal or way.event in HARMLESS_AT_THE_END else code, "finished"


# The program


def serve(root: Path, output: Path) -> None:
    """Answer each way out on stdin with what it left on stdout."""
    answers = os.fdopen(os.dup(1), "w")
    import_all()
    for line in sys.stdin:
        way = Way(**json.loads(line))
        place = Place(root / "place", output)
        make_place(place)
        child = os.fork()
        if child == 0:
            raise SystemExit(train(way, place))
        print(json.dumps(asdict(watch(child, place))), file=answers, flush=True)
        shutil.rmtree(place.root)
        Path("/dev/shm/ballast").unlink(missing_ok=True)


def import_all() -> None:
    """Import what a training imports on the way, once and not in every process."""
    for module in ("torch.utils.tensorboard", "matplotlib.pyplot", "resnext.api"):
        importlib.import_module(module)
    TrainState(create(Architecture.from_name("resnet11+template=8")), TrainingSettings())


def make_place(place: Place) -> None:
    for split, count in (("train", 16), ("val", 40)):
        for label in ("a", "b"):
            folder = place.data / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                values = np.random.default_rng((number, ord(label))).integers(0, 256, (80, 90, 3), np.uint8)
                Image.fromarray(values).save(folder / f"{number}.{'jpg' if number % 2 else 'png'}")


def train(way: Way, place: Place) -> int:
    """Train until something happens, and to wherever that leads: the exit code."""
    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # it is ignored under nohup
    output = os.open(place.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    for handle in (1, 2):
        os.dup2(output, handle)
    let_happen(way, place)
    words = ["train", str(place.data), "--runs", str(place.root / "runs"), "--workers", str(way.workers)]
    epochs = "1" if way.phase == "reporting" else "2"
    return main([*words, *SETTINGS, "--epochs", epochs])


def let_happen(way: Way, place: Place) -> None:
    """Let the event of `way` happen in this process, once its phase has come."""
    name, at = PHASES[way.phase]
    calls = iter(range(1, 1 << 30))

    def happen() -> None:
        if next(calls) == at:
            place.moment.write_text(str(time.monotonic()))
            EVENTS[way.event](place)

    def exhaust() -> None:
        if get_worker_info() is not None and place.no_memory.exists():
            np.empty(1 << 56, np.uint8)

    call_before(name, happen)
    call_before("resnext.data.loaders:_Collate.__call__", exhaust)


def call_before(name: str, before: Callable[[], None]) -> None:
    """Call `before` before each call of the function `name`."""
    module, _, path = name.partition(":")
    *owners, attribute = path.split(".")
    owner = pkgutil.resolve_name(f"{module}:{'.'.join(owners)}" if owners else module)
    function = getattr(owner, attribute)

    def hooked(*args: Any, **options: Any) -> Any:
        before()
        return function(*args, **options)

    setattr(owner, attribute, hooked)


def watch(child: int, place: Place) -> Left:
    """What `child` leaves. What hangs is killed, after it was counted."""
    code, started, seconds = None, time.monotonic(), 0.0
    while code is None or processes_of(child):
        if code is None:
            ended, status = os.waitpid(child, os.WNOHANG)
            code = os.waitstatus_to_exitcode(status) if ended else None
        seconds = (
            time.monotonic() - float(place.moment.read_text() or "inf") if place.moment.exists() else 0.0
        )
        if seconds > END_S or time.monotonic() - started > START_S:
            break
        time.sleep(0.02)
    alive = processes_of(child)
    state, is_free = read_state(place), is_lock_free_soon(place)
    for process in alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    if code is None:
        os.waitpid(child, 0)
    return Left(
        place.moment.exists(), code, state, is_free, len(alive), seconds, place.output.read_text()[-4000:]
    )


def processes_of(session: int) -> list[int]:
    """The processes of `session` that are alive."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if os.getsid(int(entry.name)) == session and "\nState:\tZ" not in (entry / "status").read_text():
                found.append(int(entry.name))
    return found


def read_state(place: Place) -> str:
    try:
        return str(json.loads((place.run / "status.json").read_text())["state"])
    except (OSError, ValueError) as error:
        return repr(error)


def is_lock_free_soon(place: Place) -> bool:
    """Whether the lock is free, once the last threads of killed processes have ended as well."""
    until = time.monotonic() + 1
    while not (is_free := is_lock_free(place)) and time.monotonic() < until:
        time.sleep(0.02)
    return is_free


def is_lock_free(place: Place) -> bool:
    with open(place.run / "lock", "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


# The tests


def can_mount() -> bool:
    return os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], check=False).returncode == 0


@contextlib.contextmanager
def server(root: Path, output: Path) -> Iterator[Callable[[Way], Left]]:
    """A function that lets a training go a way out. Where that is allowed, it lies on a small file system."""
    root.mkdir()
    command = [sys.executable, __file__, str(root), str(output)]
    if can_mount():
        mounts = f"mount -t tmpfs -o size=48m none {root} && mount -t tmpfs -o size=64m none /dev/shm"
        command = ["unshare", "-m", "sh", "-c", f'{mounts} && exec "$@"', "sh", *command]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def go(way: Way) -> Left:
            print(json.dumps(asdict(way)), file=process.stdin, flush=True)
            return Left(**json.loads(process.stdout.readline()))

        yield go
        process.stdin.close()


def all_ways() -> list[Way]:
    ways = [Way(event, phase, workers) for event in EVENTS for phase in PHASES for workers in (0, 1, 4)]
    return [
        way
        for way in ways
        if not (way.event in OF_WORKERS and (way.workers == 0 or way.phase == "reporting"))
        and (can_mount_here or way.event not in MOUNTED)
    ]


can_mount_here = can_mount() if __name__ != "__main__" else False

#: Those that every test run goes: each found a training that never ended, or left something untrue.
FEW = [
    Way("checkpoints removed", "saving", 1),
    Way("worker killed", "training", 2),
    Way("out of memory in torch", "judging", 1),
    Way("internal error", "training", 1),
    Way("SIGHUP to the group", "judging", 2),
    Way("SIGKILL", "training", 2),
    Way("SIGTERM", "reporting", 0),
]


def test_every_way_out_ends(full: bool, record: Callable[..., None], tmp_path: Path) -> None:
    ways, servers = (all_ways(), 2) if full else (FEW, 1)
    waiting = iter(ways)

    def go_all(number: int) -> list[tuple[Way, Left]]:
        gone = []
        with server(tmp_path / str(number), tmp_path / f"output {number}") as go:
            for way in waiting:
                gone.append((way, go(way)))
        return gone

    with ThreadPoolExecutor(servers) as threads:
        gone = [one for some in threads.map(go_all, range(servers)) for one in some]
    wrong = [(way, promised(way), left) for way, left in gone if not left.is_right(way)]
    ended = sum(left.ended for _, left in gone)
    slowest = max(left.seconds for _, left in gone)
    record(
        "ways out of a run",
        cases=len(gone),
        ended=ended,
        right=len(gone) - len(wrong),
        events=len({way.event for way in ways}),
        workers=sorted({way.workers for way in ways}),
        slowest_s=round(slowest, 1),
    )
    assert not wrong, "\n".join(map(str, wrong))
    assert len(gone) == len(ways)


def test_too_little_memory_to_share(full: bool, tmp_path: Path) -> None:
    """As in a container; `tests/data/test_workers.py` has what is checked."""
    if not (full and can_mount_here):
        pytest.skip("mounts a small /dev/shm, with RESNEXT_FAULTS=full and as root")
    place = Place(tmp_path / "place", tmp_path / "output")
    make_place(place)
    words = ["train", str(place.data), "--runs", str(place.root / "runs"), "--workers", "2", *SETTINGS]
    words += ["--batch", "32", "--data.size-px", "128", "--data.resize-px", "128"]  # the last word counts
    mount = 'mount -t tmpfs -o size=1m none /dev/shm && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", mount, "sh", sys.executable, "-m", "resnext", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=START_S, check=False)
    assert done.returncode == 5
    assert "say --workers 0, or give the container more (docker run --shm-size" in done.stderr
    assert read_state(place) == "failed"


if __name__ == "__main__":
    serve(Path(sys.argv[1]), Path(sys.argv[2]))
