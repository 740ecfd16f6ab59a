"""Mutation tests: bugs that are planted one at a time, and whether the tests notice.

python tools/mutants.py                 named mutants and a sample of each room; appends result lines
python tools/mutants.py --short         over seven minutes on two cores; fails, and writes nothing

A mutant changes one expression of a copy of `src`. It is killed if one of the tests of its room fails or does
not end, and survives otherwise. The tests of a room pass on the unchanged copy first, or the run ends. They
are traced meanwhile, so that a mutant meets the tests that reach it first. Each mutant is tried in a process
forked from this one, which has imported torch but nothing of the package.
"""

from __future__ import annotations

import argparse
import compileall
import os
import py_compile
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mutations import Mutant, Mutation, find_mutations
from named_mutants import NAMED, ROOMS, SURVIVORS
from reached import ReachingFirst, Trace, Tracer

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "mutants.jsonl"
#: Share of the sampled mutants of a room that its tests must kill; those that change no result do not count.
LEAST_KILLED = 0.9
#: A mutant whose tests take this many times as long as without it, and this many seconds more, is killed.
PATIENCE, PATIENCE_S = 4.0, 60.0
#: What tests do not need: the oracles are linked.
NOT_COPIED = ("__pycache__", ".git", ".venv", ".oracle", ".*_cache", ".hypothesis")
#: Sampled mutants of each room, in full and with --short.
EACH, EACH_SHORT = 12, 1


@dataclass(frozen=True)
class Outcome:
    """What became of one mutant: the test that failed, or "timeout"; None if it survived."""

    name: str
    change: str
    killed_by: str | None
    why: str | None = None


class Bench:
    """A copy of the project in which mutants are tried, so that it may be edited meanwhile."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.copy = place / "copy"
        shutil.copytree(ROOT, self.copy, ignore=shutil.ignore_patterns(*NOT_COPIED), symlinks=True)
        if (ROOT / ".oracle").exists():
            (self.copy / ".oracle").symlink_to((ROOT / ".oracle").resolve())
        # Compiled files are checked by content: two mutants of a file may have the same size and second.
        mode = py_compile.PycInvalidationMode.CHECKED_HASH
        compileall.compile_dir(self.copy / "src", quiet=2, invalidation_mode=mode)
        os.environ |= {
            "PYTHONPATH": str(self.copy / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
            "HYPOTHESIS_STORAGE_DIRECTORY": str(place / "hypothesis"),
            "TORCHINDUCTOR_CACHE_DIR": str(place / "inductor"),  # a killed process leaves half a file there
        }
        sys.dont_write_bytecode = True
        self._checked: dict[tuple[str, ...], tuple[float, Trace]] = {}

    def check(self, tests: tuple[str, ...]) -> tuple[float, Trace]:
        """Run the tests without a mutant: the seconds that they take, and what they reach.

        Raises `SystemExit` if one fails.
        """
        if tests not in self._checked:
            lines = self.place / "lines"
            start = time.monotonic()
            failed = self._run(tests, Tracer(self.copy / "src", lines), 1800.0)
            if failed is not None:
                said = (self.place / "output").read_text()[-2000:]
                raise SystemExit(f"{said}\n{failed}: fails without any mutant; mend it first")
            self._checked[tests] = time.monotonic() - start, Trace.read(lines)
        return self._checked[tests]

    def kill(self, mutation: Mutation, tests: tuple[str, ...]) -> str | None:
        """The test that notices the mutation, "timeout", or None."""
        seconds, trace = self.check(tests)
        path = self.copy / mutation.file
        whole = path.read_text()
        path.write_text(mutation.apply(whole))
        try:
            first = ReachingFirst(trace, path, mutation.lines(whole))
            return self._run(tests, first, PATIENCE * seconds + PATIENCE_S)
        finally:
            path.write_text(whole)

    def _run(self, tests: tuple[str, ...], plugin: object, limit_s: float) -> str | None:
        told = self.place / "failed"
        told.unlink(missing_ok=True)
        child = os.fork()
        if child == 0:
            os.setsid()
            code = 70
            try:
                code = _run_tests(tests, plugin, self.place, told)
            except BaseException:
                (self.place / "output").write_text(traceback.format_exc())
            os._exit(code)
        code = _wait(child, limit_s)
        if code is None:
            return "timeout"
        return None if code == 0 else told.read_text() if told.exists() else "collection"


def _run_tests(tests: tuple[str, ...], plugin: object, place: Path, told: Path) -> int:
    """In the forked process: run tests until one fails, whose name goes into the file `told`."""
    import pytest

    with open(place / "output", "w") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    for name in [name for name in sys.modules if name.split(".")[0] == "resnext"]:
        del sys.modules[name]  # that of the parent, which writes result lines
    sys.path.insert(0, str(place / "copy" / "src"))
    os.chdir(place / "copy")
    import resnext

    if not Path(resnext.__file__).is_relative_to(place):
        raise RuntimeError(f"{resnext.__file__} would be tested, not the copy")

    class Tell:
        def pytest_runtest_logreport(self, report: Any) -> None:
            if report.failed and not told.exists():
                told.write_text(report.nodeid)

    words = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", f"--basetemp={place / 'pytest'}", *tests]
    return int(pytest.main(words, plugins=[Tell(), plugin]))


def _wait(child: int, limit_s: float) -> int | None:
    """The exit code of a child; None if it had to be killed, with the processes that it started."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def sample(room: str, count: int, seed: int) -> list[Mutation]:
    """`count` mutations of a room's modules, drawn at random."""
    found = [
        mutation
        for pattern in ROOMS[room].sources
        for path in sorted(ROOT.glob(f"src/resnext/{pattern}"))
        for mutation in find_mutations(path.read_text(), str(path.relative_to(ROOT)))
    ]
    return random.Random(f"{room} {seed}").sample(found, min(count, len(found)))


def try_named(bench: Bench, mutants: list[Mutant]) -> list[Outcome]:
    """Try mutants by name."""
    outcomes = []
    for mutant in mutants:
        killed_by = bench.kill(mutant.mutation, mutant.tests)
        outcomes.append(Outcome(mutant.name, mutant.mutation.text, killed_by))
        print(f"{'killed  ' if killed_by else 'SURVIVED'} {mutant.name}  [{killed_by or ''}]", flush=True)
    return outcomes


def try_sample(bench: Bench, room: str, mutations: list[Mutation]) -> list[Outcome]:
    """Try sampled mutants of a room."""
    outcomes = []
    for mutation in mutations:
        killed_by = bench.kill(mutation, ROOMS[room].tests)
        why = None if killed_by else SURVIVORS.get((mutation.code, mutation.old, mutation.new))
        outcomes.append(Outcome(mutation.place, mutation.text, killed_by, why))
        state = "killed  " if killed_by else "the same" if why else "SURVIVED"
        print(f"{state} {room}: {mutation.text}  [{killed_by or why or ''}]", flush=True)
    return outcomes


def share_killed(outcomes: list[Outcome]) -> float:
    """Of the mutants that change a result."""
    counting = [one for one in outcomes if one.why is None]
    return sum(one.killed_by is not None for one in counting) / len(counting) if counting else 1.0


def keep(what: str, room: str, seed: int | None, outcomes: list[Outcome]) -> None:
    """Append a line to the results."""
    from resnext.machine import device_name, find_machine
    from resnext.records import append_record, stamp

    record = {
        "kind": "mutants",
        "what": what,
        "room": room,
        "seed": seed,
        "tried": len(outcomes),
        "killed": sum(one.killed_by is not None for one in outcomes),
        "the_same": sum(one.why is not None for one in outcomes),
        "mutants": [asdict(one) for one in outcomes],
    }
    append_record(record | asdict(stamp(device_name(find_machine("cpu").name, 1))), RESULTS)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    words.add_argument("--short", action="store_true", help="quick ones only, and no result lines")
    words.add_argument("--room", choices=sorted(ROOMS), nargs="*", default=sorted(ROOMS))
    words.add_argument("--seed", type=int, default=0, help="of the sample")
    words.add_argument("--each", type=int, help="sampled mutants of each room")
    words.add_argument("--only", choices=["named", "sampled"])
    options = words.parse_args()
    each = options.each if options.each is not None else EACH_SHORT if options.short else EACH
    import scipy.special  # noqa: F401  # once, for all mutants
    import sklearn.metrics  # noqa: F401
    import torch

    torch.set_num_threads(1)
    failed = []
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(Path(place))
        if options.only != "sampled":
            chosen = [m for m in NAMED if m.room in options.room and (m.is_quick or not options.short)]
            named = try_named(bench, chosen)
            failed += [one.name for one in named if one.killed_by is None]
        for room in options.room if options.only != "named" else ():
            outcomes = try_sample(bench, room, sample(room, each, options.seed))
            if share_killed(outcomes) < LEAST_KILLED:
                failed.append(f"{room}: {100 * share_killed(outcomes):.0f} % killed")
            if not options.short:
                keep("sampled", room, options.seed, outcomes)
        if options.only != "sampled" and not options.short:
            keep("named", "all" if len(options.room) == len(ROOMS) else " ".join(options.room), None, named)
    if failed:
        raise SystemExit("not noticed: " + "; ".join(failed))


if __name__ == "__main__":
    main()
