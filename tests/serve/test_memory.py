"""Memory that a server no longer uses is given back to the system."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

#: Frees 3,900 of 4,000 bodies of 60 kB, of which every fortieth stays, so that nothing at the end is free.
PROGRAM = """
import re
from resnext.serve.memory import give_back

def resident_mb():
    return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024

bodies = [bytes([7]) * 60_000 for _ in range(4_000)]
full = resident_mb()
kept = bodies[39::40]
del bodies
freed = resident_mb()
give_back()
print(full, freed, resident_mb())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep less")
def test_what_is_free_between_what_is_not_is_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    full, freed, after = map(float, done.stdout.split())
    assert freed > full - 40, "the C library gave it back by itself: the test shows nothing"
    assert after < full - 180
