"""A load generator in plain sockets, light enough to share two cores with the server that it asks.

`python benchmarks/load_client.py PORT PATH FOLDER --clients N --seconds S [--rate R] [--bad B] [--leave L]`
posts the files of FOLDER, one a request. Without --rate each client asks again as soon as it has its answer;
with it, requests begin at random times (a Poisson process), as those of people do, and a latency counts from
then. It prints one line of JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

#: Seconds that a request may take at most.
PATIENCE_S = 60.0


@dataclass
class Load:
    """What was asked and what came back."""

    port: int
    path: str
    images: list[bytes]
    bad: float
    leave: float
    until: float
    random: random.Random
    statuses: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    lost: list[float] = field(default_factory=list)  # when each request was sent that got no answer

    def body(self) -> bytes:
        image = self.random.choice(self.images)
        if self.random.random() < self.bad:
            return self.random.choice([b"", b"no image", image[: len(image) // 2]])
        return image

    async def ask(self, connection: tuple | None, since: float | None = None) -> tuple | None:
        """Send one request; returns the connection if it can be used again."""
        body = self.body()
        head = f"POST {self.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
        head += f"Content-Length: {len(body)}\r\n\r\n"
        leaves = self.random.random() < self.leave
        sent = 0.0
        try:
            reader, writer = connection or await asyncio.open_connection("127.0.0.1", self.port)
            start = time.monotonic() if since is None else since
            if leaves:
                writer.write(head.encode() + body[: self.random.randrange(len(body) + 1)])
                await writer.drain()
                await asyncio.sleep(self.random.random() * 0.05)
                writer.transport.abort()
                self.statuses["left"] += 1
                return None
            writer.write(head.encode() + body)
            await writer.drain()
            sent = time.time()
            async with asyncio.timeout(PATIENCE_S):
                answer = await reader.readuntil(b"\r\n\r\n")
                lines = answer.decode("latin-1").lower().split("\r\n")
                length = next((int(x.split(":")[1]) for x in lines if x.startswith("content-length:")), 0)
                if "transfer-encoding: chunked" in lines:
                    while size := int((await reader.readline()).strip() or b"0", 16):
                        await reader.readexactly(size + 2)
                    await reader.readline()
                else:
                    await reader.readexactly(length)
            status = lines[0].split()[1]
            self.statuses[status] += 1
            if status == "200":
                self.latencies.append(time.monotonic() - start)
            if status == "503":
                await asyncio.sleep(0.2)
            if "connection: close" in lines:
                writer.close()
                return None
            return reader, writer
        except (OSError, EOFError, asyncio.IncompleteReadError) as error:
            kind = "timeout" if isinstance(error, TimeoutError) else "refused" if not sent else "broken"
            self.statuses[kind] += 1
            if sent:
                self.lost.append(sent)
            await asyncio.sleep(0.05)
            return None

    async def client(self) -> None:
        connection = None
        while time.monotonic() < self.until:
            connection = await self.ask(connection)
        if connection:
            connection[1].close()

    async def at_rate(self, rate: float) -> None:
        free: list[tuple] = []
        tasks = set()
        due = time.monotonic()

        async def one(since: float) -> None:
            kept = await self.ask(free.pop() if free else None, since)
            if kept:
                free.append(kept)

        while (due := due + self.random.expovariate(rate)) < self.until:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            task = asyncio.create_task(one(due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)
        for _, writer in free:
            writer.close()


async def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--bad", type=float, default=0.0)
    parser.add_argument("--leave", type=float, default=0.0)
    given = parser.parse_args()
    images = [path.read_bytes() for path in sorted(given.folder.iterdir())]
    start = time.monotonic()
    until = start + given.seconds
    load = Load(given.port, given.path, images, given.bad, given.leave, until, random.Random(0))
    if given.rate:
        await load.at_rate(given.rate)
    else:
        await asyncio.gather(*(load.client() for _ in range(given.clients)))
    seconds = time.monotonic() - start
    used = resource.getrusage(resource.RUSAGE_SELF)
    ordered = sorted(load.latencies)

    def quantile(share: float) -> float | None:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None

    told = {
        "seconds": seconds,
        "answered": len(ordered),
        "per_s": len(ordered) / seconds,
        "p50_s": quantile(0.5),
        "p99_s": quantile(0.99),
        "statuses": dict(load.statuses),
        "lost": load.lost,
        "client_cpu_share": (used.ru_utime + used.ru_stime) / seconds,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    asyncio.run(main())
