"""A group of processes shares a batch; tests/faults/test_processes.py starts real ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnext.cli import main
from resnext.training import launcher
from resnext.training.distributed import ProcessGroup, init_group
from resnext.training.launcher import LaunchError
from resnext.training.rendezvous import differences


class Member(ProcessGroup):
    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size


@given(total=st.integers(1, 500), size=st.integers(1, 40))
def test_rows_are_shared_in_order_and_nearly_equally(total: int, size: int) -> None:
    parts = [Member(rank, size).shard(total) for rank in range(size)]
    assert [row for part in parts for row in part] == list(range(total))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_one_process_is_a_group_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with init_group() as group:
        assert (group.rank, group.size, group.is_main_process) == (0, 1, True)
        assert group.any_rank(True, False) == (True, False)
        assert group.broadcast_object(lambda: {"a": 1}) == {"a": 1}
        assert group.all_gather(3) == [3]


def test_a_process_that_has_joined_others_by_itself_cannot_join_as_if_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    with pytest.raises(LaunchError, match="has joined others"):
        init_group()


@pytest.mark.parametrize(
    ("told", "size"),
    [
        ({"LOCAL_WORLD_SIZE": "4"}, 4),
        ({"SLURM_NTASKS_PER_NODE": "8"}, 8),
        ({"SLURM_STEP_TASKS_PER_NODE": "8(x2)"}, 8),
        ({"SLURM_STEP_TASKS_PER_NODE": "4,3"}, 4),
        ({}, 1),
    ],
)
def test_how_many_share_this_machine(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, str], size: int
) -> None:
    for name in ("LOCAL_WORLD_SIZE", "SLURM_NTASKS_PER_NODE", "SLURM_STEP_TASKS_PER_NODE", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert launcher.local_size() == 1  # nobody has started several
    monkeypatch.setenv("WORLD_SIZE", "16")
    assert launcher.local_size() == size


def test_differences_name_the_field_and_both_sides() -> None:
    alike = {"host": "a", "torch": "2.13.0", "data": "00ff"}
    assert differences([alike, alike | {"host": "b"}]) == []
    told = differences([alike, alike, alike | {"host": "c", "torch": "2.12.0"}, {"host": "d"}])
    assert told == [
        "  torch: 2.12.0 on rank 2 (c), 2.13.0 on rank 0 (a)",
        "  data: None on rank 3 (d), 00ff on rank 0 (a)",
        "  torch: None on rank 3 (d), 2.13.0 on rank 0 (a)",
    ]


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE is 'two', not a whole number from 1"),
        ({"WORLD_SIZE": ""}, "WORLD_SIZE is '', not"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE is '0', not a whole number from 1"),
        ({"WORLD_SIZE": "-2"}, "WORLD_SIZE is '-2', not"),
        ({"WORLD_SIZE": "9" * 5000}, "not a whole number"),
        ({"WORLD_SIZE": "2", "RANK": "first"}, "RANK is 'first', not a whole number from 0"),
        ({"WORLD_SIZE": "2", "RANK": "2"}, "RANK is 2, but WORLD_SIZE says 2 processes, numbered from 0"),
        ({"WORLD_SIZE": "2", "RANK": "0", "MASTER_PORT": "x"}, "MASTER_PORT is 'x', not"),
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE says 2 processes, but RANK is not set"),
    ],
)
def test_what_no_launcher_would_say_is_named(
    told: dict[str, str],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("WORLD_SIZE", "RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"MASTER_ADDR": "h", "MASTER_PORT": "1"} | told).items():
        monkeypatch.setenv(name, value)
    assert main(["evaluate", "none", "digits"]) == 2
    assert says in capsys.readouterr().err
