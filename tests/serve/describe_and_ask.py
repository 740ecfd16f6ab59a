"""Requests that schemathesis makes from the description of `resnext serve`: `make clients`.

`python tests/serve/describe_and_ask.py -- COMMAND`, in an environment with schemathesis; COMMAND starts the
server. More than 1,000 requests: no 5xx, and every answer as described. `positive_data_acceptance` is left
out: the bytes that it makes up are no images.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

CASES_EACH, LEAST = 60, 1000


def main() -> int:
    _, *command = sys.argv[1:]
    server = subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        found = re.search(r"http://\S+:\d+/", server.stdout.readline())  # type: ignore[union-attr]
        words = ["--no-color", "run", f"{found[0]}openapi.json", "--seed", "1"]  # type: ignore[index]
        words += ["--max-examples", str(CASES_EACH), "--exclude-checks", "positive_data_acceptance"]
        tool = Path(sys.executable).absolute().with_name("schemathesis")
        with tempfile.TemporaryDirectory() as place:  # it leaves its cache where it runs
            done = subprocess.run(
                [tool, *words, "--continue-on-failure"], capture_output=True, text=True, cwd=place
            )
        told = re.search(r"(\d[\d,]*) generated, (\d[\d,]*) passed", done.stdout)
        if done.returncode or told is None or int(told[1].replace(",", "")) < LEAST:
            print(done.stdout, done.stderr)
            return 1
        print(f"ok  schemathesis: {told[0]}")
    finally:
        server.terminate()
        assert server.wait(20) == 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
