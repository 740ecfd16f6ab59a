"""How long OpenMP's threads spin while they wait for each other. Set before torch is loaded.

torch's threads spin for about a millisecond at the end of each operation, in case the next one comes soon. On
a machine whose cores are busy with other work, they spin on cores that the threads they wait for need: a
training step took 15 s where one thread needs 2.7 s. With a short spin it takes 2.9 s, and on an idle machine
it is as fast as before.
"""

from __future__ import annotations

import os

#: Iterations after which a waiting thread sleeps (GNU's OpenMP, which torch comes with on Linux; it takes
#: 300,000).
SPIN_COUNT = 10_000
#: Variables by which a user chooses otherwise.
CHOICES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def limit_spinning() -> None:
    """Let waiting threads of this process, and of those it starts, sleep soon, unless the user chose
    otherwise."""
    if not any(name in os.environ for name in CHOICES):
        os.environ["GOMP_SPINCOUNT"] = str(SPIN_COUNT)
