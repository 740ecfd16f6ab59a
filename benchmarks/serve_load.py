"""How `resnext serve` answers under load, beside `predict`, LitServe and mosec.

`python benchmarks/serve_load.py PEERS_PYTHON [--rows rates calm soak stop]`, after `make peers`. ResNeXt-50
32x4d with random weights, 224 px, 64 JPEG files of 500x375 made for the purpose; the load comes from another
process of this machine over loopback. Rows:

rates  in rounds the images a second of `predict_to_file`, and of each server with 32 clients that ask
       again as soon as they have their answer
calm   requests at random times, at 80 % of the rate measured: p99 against the time of one full batch
soak   200 clients for 60 s, 5 % of whose images are bad and 2 % of whom leave: statuses, memory
stop   SIGTERM with 32 clients at it: what was sent before and not answered, exit code, seconds

Appends a record for each to results/bench.jsonl. Promised: see PROMISES.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import resnext
from resnext.arch import Architecture
from resnext.contract import Contract, Input, Provenance, Resize
from resnext.machine import cpu_name
from resnext.models import create
from resnext.records import append_record, stamp
from resnext.weights import write_hub_folder

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results" / "bench.jsonl"
IMAGES, SIZE, CLASSES, SECONDS, CLIENTS = 64, (500, 375), 100, 7, 32
BATCH = 32
SOAK_CLIENTS, SOAK_S = 200, 60
PROMISES = {
    "of_predict": 0.85,  # at least
    "p99_in_batches": 3.0,  # less than
    "growth": 0.05,  # less than
    "stop_s": 10.0,  # less than
}


def write_model(folder: Path) -> str:
    arch = Architecture.from_name("resnext50_32x4d", CLASSES)
    contract = Contract(
        classes=tuple(f"class {number}" for number in range(CLASSES)),
        input=Input(3, 224, 224),
        resize=Resize(256, 224),
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        provenance=Provenance(arch.name),
    )
    write_hub_folder(folder / "net", create(arch, 0), contract, "")
    return str(folder / "net")


def write_images(folder: Path) -> Path:
    """JPEG files as large as photographs of that size: smooth shapes and some noise."""
    (place := folder / "images").mkdir()
    for number in range(IMAGES):
        draw = np.random.default_rng(number)
        shapes = Image.fromarray(draw.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize(SIZE, 3)
        noisy = np.asarray(shapes, np.float32) + draw.normal(0, 12, (SIZE[1], SIZE[0], 3))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(place / f"{number:03d}.jpg", quality=85)
    return place


@dataclass
class Running:
    """A server that answers."""

    process: subprocess.Popen[str]
    port: int
    path: str


@contextlib.contextmanager
def running(name: str, model: str, peers: str, image: Path, *words: str) -> Iterator[Running]:
    """A server of that name, once it has answered an image."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    path = {"litserve": "/predict", "mosec": "/inference"}.get(name, "/predict?top=1")
    if name == "resnext":
        command = [sys.executable, "-m", "resnext", "serve", model, "--port", str(port), *words]
    else:
        command = [peers, str(HERE / f"serve_{name}.py"), model, str(port)]
    log = tempfile.TemporaryFile("w+")  # noqa: SIM115
    process = subprocess.Popen(command, stdout=log, stderr=log, text=True, start_new_session=True)
    try:
        until = time.monotonic() + 90
        while True:
            try:
                ask = urllib.request.Request(f"http://127.0.0.1:{port}{path}", image.read_bytes())
                with urllib.request.urlopen(ask, timeout=60) as answer:
                    assert json.load(answer)
                break
            except OSError as error:
                if process.poll() is not None or time.monotonic() > until:
                    log.seek(0)
                    raise SystemExit(f"{name} does not answer ({error}): {log.read()[-3000:]}") from None
                time.sleep(0.3)
        yield Running(process, port, path)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def start_load(server: Running, images: Path, *words: Any) -> subprocess.Popen[str]:
    command = [sys.executable, str(HERE / "load_client.py"), str(server.port), server.path, str(images)]
    return subprocess.Popen([*command, *map(str, words)], stdout=subprocess.PIPE, text=True)


def load(server: Running, images: Path, *words: Any) -> dict[str, Any]:
    told, _ = start_load(server, images, *words).communicate()
    return dict(json.loads(told))


def memory_mb(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024  # type: ignore[index]


def record(experiment: str, arm: str, row: dict[str, Any]) -> None:
    about = {"kind": "bench", "experiment": experiment, "arm": arm}
    settings = {"model": "resnext50_32x4d", "size_px": 224, "images": list(SIZE), "batch": BATCH}
    append_record(about | {"settings": settings} | row | asdict(stamp(cpu_name())), RESULTS)
    print(experiment, arm, json.dumps(row), flush=True)


def predict_rate(model: str, images: Path, out: Path) -> float:
    """Images a second of `predict_to_file`, with the model already loaded."""
    code = (
        "from resnext.cli.openmp import limit_spinning\n"
        "limit_spinning()\n"
        "import sys, time, resnext\n"
        "model, images, out = sys.argv[1:]\n"
        "classifier = resnext.load(model, 'cpu')\n"
        "resnext.predict_to_file(classifier, [images], out + '/warm.csv')\n"
        "start = time.perf_counter()\n"
        "rows = sum(resnext.predict_to_file(classifier, [images], f'{out}/{n}.csv').rows for n in range(3))\n"
        "print(rows / (time.perf_counter() - start))\n"
    )
    place = Path(tempfile.mkdtemp(dir=out))
    command = [sys.executable, "-c", code, model, str(images), str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    shutil.rmtree(place)
    return float(done.stdout)


def batch_seconds(model: str) -> float:
    """Median seconds of one full batch of the engine."""
    classifier = resnext.load(model, "cpu")
    prepared = [torch.zeros(3, 224, 224, dtype=torch.uint8)] * BATCH
    times = []
    for _ in range(4):
        start = time.perf_counter()
        classifier.answer(prepared)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def rates(model: str, images: Path, peers: str, out: Path, rounds: int) -> float:
    """The row `rates`; returns our rate."""
    first = next(images.iterdir())
    found: dict[str, list[dict[str, Any]]] = {"resnext": [], "litserve": [], "mosec": []}
    alone = []
    for _ in range(rounds):
        alone.append(predict_rate(model, images, out))
        for name, told in found.items():
            with running(name, model, peers, first) as server:
                load(server, images, "--clients", CLIENTS, "--seconds", 2)
                told.append(load(server, images, "--clients", CLIENTS, "--seconds", SECONDS))
    record("serve_rates", "predict", {"per_s": statistics.median(alone), "rounds": alone})
    for name, told in found.items():
        ratios = [one["per_s"] / rate for one, rate in zip(told, alone, strict=True)]
        middle = {
            key: statistics.median(one[key] for one in told)
            for key in ("per_s", "p50_s", "p99_s", "client_cpu_share")
        }
        statuses = [one["statuses"] for one in told]
        record("serve_rates", name, middle | {"of_predict": statistics.median(ratios), "ratios": ratios,
                                              "clients": CLIENTS, "statuses": statuses})  # fmt: skip
    return statistics.median(one["per_s"] for one in found["resnext"])


def calm(model: str, images: Path, peers: str, rate: float) -> None:
    full = batch_seconds(model)
    with running("resnext", model, peers, next(images.iterdir())) as server:
        load(server, images, "--clients", CLIENTS, "--seconds", 2)
        told = load(server, images, "--rate", 0.8 * rate, "--seconds", 15)
    row = {"asked_per_s": 0.8 * rate, "full_batch_s": full, "p99_in_batches": told["p99_s"] / full}
    record("serve_calm", "resnext", told | row)


def soak(model: str, images: Path, peers: str) -> None:
    with running("resnext", model, peers, next(images.iterdir()), "--queue", "150") as server:
        load(server, images, "--clients", SOAK_CLIENTS, "--seconds", 12, "--bad", 0.05, "--leave", 0.02)
        before = memory_mb(server.process.pid)
        words = ("--clients", SOAK_CLIENTS, "--seconds", SOAK_S, "--bad", 0.05, "--leave", 0.02)
        told = load(server, images, *words)
        after = memory_mb(server.process.pid)
        again = load(server, images, "--clients", 1, "--seconds", 2)
    memory = {"mb_before": before, "mb_after": after, "growth": after / before - 1}
    record("serve_soak", "resnext", told | memory | {"clients": SOAK_CLIENTS, "after": again["statuses"]})


def stop(model: str, images: Path, peers: str) -> None:
    with running("resnext", model, peers, next(images.iterdir())) as server:
        client = start_load(server, images, "--clients", CLIENTS, "--seconds", 8)
        time.sleep(5)
        asked = time.time()
        server.process.send_signal(signal.SIGTERM)
        code = server.process.wait(30)
        seconds = time.time() - asked
        told = json.loads(client.communicate()[0])
    lost = [asked - sent for sent in told.pop("lost") if sent < asked]
    row = {"exit_code": code, "stop_s": seconds, "sent_before_and_lost": len(lost), "clients": CLIENTS}
    record("serve_stop", "resnext", told | row)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("peers", help="the Python of the environment of LitServe and mosec")
    parser.add_argument("--rows", nargs="+", default=["rates", "calm", "soak", "stop"])
    parser.add_argument("--rate", type=float, default=0.0, help="ours, for `calm` without `rates`")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        model, images, rate = write_model(Path(root)), write_images(Path(root)), given.rate
        if "rates" in given.rows:
            rate = rates(model, images, given.peers, Path(root), given.rounds)
        if "calm" in given.rows:
            calm(model, images, given.peers, rate)
        if "soak" in given.rows:
            soak(model, images, given.peers)
        if "stop" in given.rows:
            stop(model, images, given.peers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
