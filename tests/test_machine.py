"""What there is to compute on, and how much of it is used."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import torch
from resnext.machine import all_cores, count_cores
alone = torch.get_num_threads()
with all_cores():
    assert torch.get_num_threads() >= count_cores(), torch.get_num_threads()
assert torch.get_num_threads() == alone == 1, alone
"""


def test_all_cores_are_used_whatever_the_environment_says_and_only_meanwhile() -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True)
