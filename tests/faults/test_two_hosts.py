"""Two hosts with addresses of their own, one of which is cut off: network namespaces (root, iproute2)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "two-hosts.sh"
ADDRESS = "10.77.0.{}"
#: The example's recipe on digits, at a size that a core trains in seconds.
OPTIONS = (
    "--model resnext11_2x4d+template=8 --data.size-px 8 --data.resize-px 8 --data.train-px 8 --batch 96 "
    "--checkpoint-every 5 --epochs"
)


def run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


@pytest.fixture
def hosts(full: bool) -> Iterator[tuple[str, str]]:
    """Two network namespaces with a cable between them."""
    if not full:
        pytest.skip("the whole version only (RESNEXT_FAULTS=full)")
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("needs root and iproute2")
    names = "resnext-a", "resnext-b"
    try:
        for name in names:
            run("ip", "netns", "add", name)
        run("ip", "link", "add", "cable-a", "type", "veth", "peer", "name", "cable-b")
        for number, name in enumerate(names, start=1):
            cable = f"cable-{name[-1]}"
            run("ip", "link", "set", cable, "netns", name)
            inside = ("ip", "-n", name)
            run(*inside, "addr", "add", f"{ADDRESS.format(number)}/24", "dev", cable)
            run(*inside, "link", "set", cable, "up")
            run(*inside, "link", "set", "lo", "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def start(hosts: tuple[str, str], runs: Path, epochs: int) -> list[subprocess.Popen[str]]:
    """The example on both hosts."""
    environment = os.environ | {"PROCESSES": "1", "NAME": "x", "OMP_NUM_THREADS": "1"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    started = []
    for number, host in enumerate(hosts):
        words = ["bash", str(EXAMPLE), str(number), ADDRESS.format(1), "digits"]
        words += ["--runs", str(runs), *OPTIONS.split(), str(epochs)]
        interface = {"GLOO_SOCKET_IFNAME": f"cable-{host[-1]}"}
        with open(runs / f"{host}.txt", "a") as file:
            started.append(
                subprocess.Popen(
                    ["ip", "netns", "exec", host, *words],
                    env=environment | interface,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    text=True,
                    start_new_session=True,
                )
            )
    return started


def test_a_host_that_is_cut_off(hosts: tuple[str, str], record: Callable[..., None], tmp_path: Path) -> None:
    started = start(hosts, tmp_path, epochs=400)
    metrics = tmp_path / "x" / "metrics.jsonl"
    while not metrics.exists() or metrics.read_text().count("\n") < 40:
        assert all(p.poll() is None for p in started), (tmp_path / "resnext-a.txt").read_text()
        time.sleep(0.1)
    run("ip", "-n", hosts[1], "link", "set", "cable-b", "down")
    cut = time.monotonic()
    named: dict[str, float] = {}
    wanted = {"resnext-a": "rank 1", "resnext-b": "rank 0"}
    while len(named) < 2 and time.monotonic() - cut < 120:
        for host, who in wanted.items():
            said = (tmp_path / f"{host}.txt").read_text()
            if host not in named and who in said and "answer" in said:
                named[host] = time.monotonic() - cut
        time.sleep(0.2)
    try:
        assert named.keys() == wanted.keys(), {h: (tmp_path / f"{h}.txt").read_text() for h in wanted}
        assert max(named.values()) < 60
        assert json.loads((tmp_path / "x" / "status.json").read_text())["state"] == "resumable"
    finally:
        for process in started:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    steps = metrics.read_text().count("\n")
    run("ip", "-n", hosts[1], "link", "set", "cable-b", "up")
    done = steps // 11 + 3
    for process in (again := start(hosts, tmp_path, epochs=400)):
        assert process.poll() is None
    try:
        while metrics.read_text().count("\n") < done * 12:
            assert all(p.poll() is None for p in again), (tmp_path / "resnext-a.txt").read_text()
            time.sleep(0.2)
        assert "resuming" in (tmp_path / "resnext-a.txt").read_text()
    finally:
        for process in again:
            os.killpg(process.pid, signal.SIGTERM)
        for process in again:
            process.wait(timeout=60)
    assert json.loads((tmp_path / "x" / "status.json").read_text())["state"] == "resumable"
    record("host cut off", named_s={h: round(s, 1) for h, s in named.items()}, resumed=True)
