"""A cluster of two nodes, one of which is killed in the middle, of a job and of serving: `make ray`.

`python tests/ray/two_nodes.py FOLDER`, in an environment with Ray; FOLDER is what `prepare_demo.py` has made.
It prints what it counted, and ends with an error where a law is broken:

- A job writes one row for each image, and it is the row of `resnext predict`.
- Serving answers every request as `resnext predict` would, and none fails that was sent after the node died.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ |= {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_SERVE_PROXY_PREFER_LOCAL_NODE_ROUTING": "0",  # else the first node answers alone
}

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray
from PIL import Image
from ray import serve
from ray.cluster_utils import Cluster
from sklearn.datasets import load_digits

import resnext.ray

#: Images of the job, those of them that cannot be read, and images that a task of it has.
IMAGES, BAD, BLOCK = 6000, 12, 64
#: Share of the rows that are written when the node is killed.
KILL_AT = 0.25
#: Clients that ask at a time, and answers before the node is killed and after it.
CLIENTS, BEFORE, AFTER = 8, 300, 600
#: Longest time of each part, and most attempts of a request.
PATIENCE_S, ATTEMPTS = 240.0, 20
NODE = {"num_cpus": 2, "object_store_memory": 200 * 2**20}
#: Addresses of the nodes, of this machine alone; for 127.0.0.1 Ray would take its address in the network.
HEAD, SECOND = "127.0.0.2", "127.0.0.3"


def say(text: str) -> None:
    print(f"ok  {text}", flush=True)


def demand(holds: bool, law: str) -> None:
    """End with an error if a law does not hold."""
    if not holds:
        raise SystemExit(f"BROKEN  {law}")


def wait_until(holds: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while not holds():
        demand(time.monotonic() < until, f"waited {PATIENCE_S:g} s for {what}")
        time.sleep(0.02)


class TwoNodes:
    """Two nodes on this machine, each with the processes that a machine would have."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        os.environ["RAY_TMPDIR"] = str(folder)
        head = NODE | {"node_ip_address": HEAD, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self._second: Any = None
        ray.init(self._cluster.address, log_to_driver=False, logging_level="ERROR", _node_ip_address=HEAD)

    def add_second(self) -> str:
        """Add the node that will be killed; its name."""
        self._second = self._cluster.add_node(**NODE, node_ip_address=SECOND)
        self._cluster.wait_for_nodes()
        return str(self._second.node_id)

    def kill_second(self) -> int:
        """Kill all its processes at once, as a machine does that loses its power; their number."""
        [raylet] = [one.process.pid for one in self._second.all_processes["raylet"]]
        processes = [raylet, *descendants(raylet)]
        for pid in processes:
            os.kill(pid, signal.SIGKILL)
        self._cluster.remove_node(self._second, allow_graceful=False)
        return len(processes)

    def close(self) -> None:
        ray.shutdown()
        self._cluster.shutdown()


def descendants(pid: int) -> list[int]:
    """The processes that `pid` has started, and those that these have."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended meanwhile
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found, waiting = [], [pid]
    while waiting:
        mine = children.get(waiting.pop(), [])
        found += mine
        waiting += mine
    return found


class NotedPredictor(resnext.ray.Predictor):
    """A predictor whose rows also have the node that computed them."""

    def __call__(self, batch: Any) -> pa.Table:
        rows = super().__call__(batch)
        return rows.append_column("node", pa.array([ray.get_runtime_context().get_node_id()] * len(rows)))


def write_images(folder: Path) -> list[str]:
    """Digits, each a little turned, and some files that are no images."""
    folder.mkdir()
    pixels = load_digits().images
    for number in range(IMAGES):
        path = folder / f"{number:05d}.png"
        if number % (IMAGES // BAD) == 7:
            path.write_bytes(b"no image")
            continue
        image = Image.fromarray((pixels[number % len(pixels)] * 255 / 16).astype(np.uint8)).resize((32, 32))
        image.rotate(number // len(pixels) * 5 - 5).save(path)
    return sorted(map(str, folder.iterdir()))


def predict(model: Path, images: Path, out: Path) -> dict[str, dict[str, Any]]:
    """The rows of `resnext predict`, by the path of their image."""
    command = [sys.executable, "-m", "resnext", "predict", str(model), str(images)]
    subprocess.run([*command, "--out", str(out), "--on-bad", "skip"], check=True, capture_output=True)
    return {row["picture"]: row for row in pq.read_table(out).to_pylist()}


def check_rows(rows: list[dict[str, Any]], expected: dict[str, dict[str, Any]], paths: list[str]) -> float:
    """Hold the rows of a job against those of `predict`; the largest difference of a probability."""
    times = Counter(row["picture"] for row in rows)
    lost, doubled = set(paths) - set(times), [path for path, count in times.items() if count > 1]
    demand(not lost, f"{len(lost)} rows were lost, as that of {min(lost, default='')}")
    demand(not doubled, f"{len(doubled)} rows came twice, as that of {min(doubled, default='')}")
    demand(set(times) == set(paths), "there are rows of no image")
    largest = 0.0
    for row in rows:
        path, error, _ = row["picture"], row.pop("error"), row.pop("node")
        demand((error is None) == (path in expected), f"{path}: {error or 'should be an error'}")
        if error is not None:
            demand("is not an image" in error, f"{path}: {error}")
            continue
        wanted = expected[path]
        demand(row.keys() == wanted.keys(), f"{path}: columns {[*row]}, not {[*wanted]}")
        for name, value in wanted.items():
            if isinstance(value, float):
                largest = max(largest, abs(row[name] - value))
            else:
                demand(row[name] == value, f"{path}: {name} is {row[name]}, not {value}")
    demand(largest < 1e-5, f"a probability differs by {largest:g}")
    return largest


def kill_in_a_job(nodes: TwoNodes, model: Path, folder: Path) -> None:
    paths = write_images(folder / "images")
    expected = predict(model, folder / "images", folder / "predict.parquet")
    out, second = folder / "rows", nodes.add_second()
    wait_until(lambda: len(ray.nodes()) == 2 and ray.cluster_resources().get("CPU") == 4, "two nodes")

    def work() -> None:
        images = ray.data.from_items(paths, override_num_blocks=len(paths) // BLOCK)
        rows = images.map_batches(
            NotedPredictor,
            fn_constructor_args=(str(model),),
            compute=ray.data.ActorPoolStrategy(size=2),
            scheduling_strategy="SPREAD",  # an actor on each node
            num_cpus=1,
            batch_size=BLOCK,
        )
        rows.write_parquet(str(out))

    failed: list[BaseException] = []
    job = threading.Thread(target=lambda: run_noting(work, failed), daemon=True)
    start = time.monotonic()
    job.start()
    wait_until(lambda: count_rows(out) > KILL_AT * len(paths) or not job.is_alive(), "the first rows")
    before = count_rows(out)
    of_second = sum(one["node"] == second for path in out.glob("*.parquet") for one in read_rows(path))
    demand(job.is_alive(), f"the job ended before the kill: {failed or 'it was too fast'}")
    killed, since = nodes.kill_second(), time.monotonic()
    job.join(PATIENCE_S)
    demand(not job.is_alive() and not failed, f"the job did not end well: {failed or 'it hangs'}")
    took, more = since - start, time.monotonic() - since
    rows = [row for path in sorted(out.glob("*.parquet")) for row in read_rows(path)]
    by_node = Counter(row["node"] == second for row in rows)
    demand(of_second > 0, "the second node had written no row when it was killed")
    largest = check_rows(rows, expected, paths)
    say(
        f"a job of {len(paths):,} images: {killed} processes of a node killed after {before:,} rows, "
        f"{of_second:,} of them its own, {took:.1f} s after the start; the job went on for {more:.1f} s"
    )
    say(
        f"{len(rows):,} rows, none lost, none twice, {BAD} of them errors of bad images; {by_node[True]:,} "
        f"of the killed node, {by_node[False]:,} of the other; as `resnext predict`, within {largest:.1e}"
    )


def run_noting(work: Callable[[], None], failed: list[BaseException]) -> None:
    try:
        work()
    except BaseException as error:  # it is told by the thread that waits
        failed.append(error)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file; none while it is being written."""
    try:
        return list(pq.ParquetFile(path).read().to_pylist())
    except (pa.ArrowInvalid, OSError):
        return []


def count_rows(folder: Path) -> int:
    return sum(len(read_rows(path)) for path in folder.glob("*.parquet"))


@dataclass
class Load:
    """Clients that ask, and what became of each attempt.

    Attributes:
        attempts: Start, end and status of each; 0 where the connection broke off.
        wrong: Answers that are not those of `predict`.
        given_up: Requests that no attempt answered.
    """

    address: str
    images: list[bytes]
    expected: list[dict[str, Any]]
    attempts: list[tuple[float, float, int]] = field(default_factory=list)
    open: dict[int, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    given_up: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    stop: threading.Event = field(default_factory=threading.Event)

    def answered(self) -> int:
        return sum(status == 200 for *_, status in self.attempts)

    def ask_on(self, client: int) -> None:
        number = client
        while not self.stop.is_set():
            self._ask(client, number % len(self.images))
            number += CLIENTS

    def _ask(self, client: int, place: int) -> None:
        for _ in range(ATTEMPTS):
            start = self.open[client] = time.monotonic()
            status, body = post(self.address, self.images[place])
            del self.open[client]
            self.attempts.append((start, time.monotonic(), status))
            if status == 200:
                [answer] = json.loads(body)["images"]
                wanted = self.expected[place]
                same = all(answer[name] == wanted[name] for name in ("label", "set", "rejected"))
                if not same or abs(answer["probability"] - wanted["probability"]) > 1e-5:
                    self.wrong.append(f"{answer} instead of {wanted}")
                return
            self.reasons[f"{status} {body[:120]!r}"] += 1
        self.given_up += 1


def post(address: str, image: bytes) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        connection.request("POST", "/predict", image, {"Content-Type": "image/png"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        return 0, repr(error).encode()
    finally:
        connection.close()


def answers_by_replica(logs: Path) -> list[int]:
    """How many requests each replica has answered, by its log."""
    files = logs.glob("ray/session_2*/logs/serve/replica_*.log")
    return sorted(len(re.findall(r"POST \S+ 200", path.read_text())) for path in files)


def kill_in_serving(nodes: TwoNodes, model: Path, folder: Path) -> None:
    nodes.add_second()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": port})
    one_each = {"num_replicas": 2, "max_replicas_per_node": 1, "ray_actor_options": {"num_cpus": 1}}
    serve.run(resnext.ray.deployment(str(model)).options(**one_each).bind())
    paths = [path for path in sorted((folder / "images").iterdir()) if path.stat().st_size > 8][:200]
    rows = pq.read_table(folder / "predict.parquet").to_pylist()
    expected = {row["picture"]: row for row in rows}
    load = Load(f"127.0.0.1:{port}", [p.read_bytes() for p in paths], [expected[str(p)] for p in paths])
    clients = [threading.Thread(target=load.ask_on, args=(n,), daemon=True) for n in range(CLIENTS)]
    for client in clients:
        client.start()
    wait_until(lambda: load.answered() >= BEFORE, "answers")
    by_replica = answers_by_replica(folder / "ray")
    in_flight, killed, at = len(load.open), nodes.kill_second(), time.monotonic()
    before = load.answered()
    wait_until(lambda: load.answered() >= before + AFTER, "answers after the kill")
    load.stop.set()
    for client in clients:
        client.join(PATIENCE_S)
    failed = [(start, end) for start, end, status in load.attempts if status != 200]
    late = [start - at for start, _ in failed if start > at]
    longest = max(end - start for start, end, _ in load.attempts)
    say(
        f"serving: {killed} processes of a node killed after {before:,} answers, by replica {by_replica}; "
        f"{in_flight} in flight"
    )
    say(f"{load.answered():,} answers of {len(load.attempts):,} attempts, {len(failed)} failed:")
    for reason, count in load.reasons.items():
        print(f"    {count} times {reason}", flush=True)
    say(f"{len(late)} that were sent after the kill failed: {late}; the longest took {longest:.2f} s")
    demand(len(by_replica) == 2 and min(by_replica) > 0, "both replicas must have answered before the kill")
    demand(not load.wrong, f"{len(load.wrong)} answers are wrong: {load.wrong[:1]}")
    demand(load.given_up == 0, f"{load.given_up} requests were never answered")
    demand(len(failed) <= in_flight, f"{len(failed)} requests failed, and {in_flight} were in flight")
    demand(not late, f"{len(late)} requests failed that were sent after the node had died")


def main(folder: Path) -> None:
    model = folder / "runs" / "demo"
    nodes = TwoNodes(folder / "ray")
    try:
        kill_in_a_job(nodes, model, folder)
        kill_in_serving(nodes, model, folder)
    finally:
        nodes.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
