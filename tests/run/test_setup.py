"""What is refused or said before the first step."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from resnext import api
from resnext.arch import Architecture, ArchitectureError
from resnext.data.jpeg import DecoderMissing
from resnext.machine import DeviceError, Machine
from resnext.models import Network, create
from resnext.recipe import RecipeError, TrainOptions, named_recipe, override, set_field
from resnext.run import RunError, RunStarted
from resnext.run.setup import check_pieces, check_processes, smallest_piece
from resnext.training.distributed import ProcessGroup
from resnext.weights import WeightsError

pytestmark = pytest.mark.usefixtures("no_reports")
RECIPE = override(named_recipe("small"), model="resnet11+template=8", epochs=1, batch=4)
CPU = Machine(torch.device("cpu"), "", False)
BARE = override(RECIPE, model="resnet11+template=8+shortcut=none")


def test_every_process_has_an_image_of_each_step() -> None:
    check_processes(RECIPE, CPU, 4)
    with pytest.raises(RecipeError, match="batch: 4 images a step leave nothing to some of the 5"):
        check_processes(RECIPE, CPU, 5)


def test_processes_of_a_machine_do_not_share_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProcessGroup, "local_size", 2)
    with pytest.raises(
        DeviceError, match="--device cuda:0: 2 processes would share it; leave out its number"
    ):
        next(api.train_events("digits", RECIPE, TrainOptions(device="cuda:0")))


def test_batch_norms_are_synchronised_where_no_process_waits_for_ever() -> None:
    recipe, gpu = (
        override(RECIPE, training__batch_norm="synchronised"),
        Machine(torch.device("cuda"), "", True),
    )
    check_processes(recipe, CPU, 1)
    with pytest.raises(DeviceError, match="on GPUs only; say own or frozen"):
        check_processes(recipe, CPU, 2)
    check_processes(recipe, gpu, 3)
    pieces = override(recipe, training__accumulate=2)
    check_processes(pieces, gpu, 2)
    with pytest.raises(RecipeError, match="a batch that 3 processes share evenly, not 4"):
        check_processes(pieces, gpu, 3)


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_the_smallest_piece_is_what_torch_divides_a_batch_into(processes: int) -> None:
    """By the shares of the processes, and `torch.chunk`, which training uses."""
    groups = [ProcessGroup() for _ in range(processes)]
    for rank, group in enumerate(groups):
        vars(group).update(rank=rank, size=processes)
    for batch, pieces in itertools.product(range(processes, 20), range(1, 20)):
        chunks = [torch.empty(len(group.shard(batch))).chunk(pieces) for group in groups]
        assert smallest_piece(batch, processes, pieces) == min(len(one) for some in chunks for one in some)


def test_a_piece_of_one_image_is_refused_where_the_last_map_is_one_pixel() -> None:
    """Exactly where batch norms cannot be trained, and what is suggested can be."""
    arch = Architecture.from_name("resnet11+template=8+blocks=1-1-1", 2)
    network = create(arch)
    for side_px, batch, pieces in itertools.product((3, 4, 5), (1, 2, 3, 9), (1, 2, 5)):
        if pieces > batch:
            continue
        recipe = override(RECIPE, batch=batch, data__train_px=side_px, training__accumulate=pieces)
        pieces_of_zeros = torch.zeros(batch, 3, side_px, side_px).chunk(pieces)
        if _can_train(network, pieces_of_zeros):
            check_pieces(recipe, arch, 1)
            continue
        with pytest.raises(RecipeError, match="is 1x1 at") as refused:
            check_pieces(recipe, arch, 1)
        suggested = dict(re.findall(r"--(\S+) (\d+)", str(refused.value)))
        assert {"batch", "data.train-px"} <= suggested.keys()
        for option, value in suggested.items():
            check_pieces(set_field(recipe, option.replace("-", "_"), int(value)), arch, 1)


def _can_train(network: Network, pieces: Iterable[torch.Tensor]) -> bool:
    """Whether torch's batch norms take each of `pieces`."""
    try:
        for piece in pieces:
            network(piece)
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        return False
    return True


def test_a_piece_of_one_image_is_no_mistake_where_norms_are_not_its_own() -> None:
    arch = Architecture.from_name("resnet18")
    recipe = override(RECIPE, batch=9, data__size_px=16, training__accumulate=5)
    with pytest.raises(RecipeError, match=r"accumulate 4 or --batch 10 or --data\.size-px 33$"):
        check_pieces(recipe, arch, 1)
    with pytest.raises(RecipeError, match="batch: a batch of 9 among 8 processes leaves a piece of one"):
        check_pieces(override(recipe, training__accumulate=1), arch, 8)
    check_pieces(override(recipe, training__batch_norm="synchronised"), arch, 4)
    check_pieces(override(recipe, training__batch_norm="frozen"), arch, 1)
    check_pieces(override(recipe, training__frozen=5), arch, 1)
    check_pieces(override(recipe, batch="auto"), arch, 1)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "taken"}, "a run of this name exists"),
        ({"recipe": override(RECIPE, model="resnext50_32x4x")}, "resnext50_32x4d"),
        ({"recipe": override(RECIPE, batch=1, model="resnet18", data__size_px=16)}, "give --batch 2"),
        ({"recipe": override(RECIPE, training__frozen=2)}, "give --weights"),
        ({"recipe": override(BARE, training__zero_init=True)}, "zero_init: without a shortcut"),
        ({"recipe": override(BARE, training__drop_path=0.1)}, "drop_path: without a shortcut"),
        ({"recipe": override(RECIPE, data__decoder="fast")}, "simplejpeg"),
        ({"weights": Path("nowhere.safetensors")}, "nowhere.safetensors"),
    ],
)
def test_options_that_cannot_be_met_are_refused_before_any_image_is_read(
    changes: dict[str, Any], says: str, make_folder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    make_folder(tmp_path / "data", {"a": 9, "b": 9})
    (tmp_path / "runs" / "taken").mkdir(parents=True)
    options = TrainOptions("x", tmp_path / "runs")
    recipe = changes.pop("recipe", RECIPE)
    events = api.train_events(tmp_path / "data", recipe, replace(options, **changes))
    with pytest.raises((RunError, ArchitectureError, RecipeError, DecoderMissing, WeightsError), match=says):
        next(events)


def test_one_process_is_told_that_it_synchronises_with_nobody(make_folder: Any, tmp_path: Path) -> None:
    make_folder(tmp_path / "data", {"a": 9, "b": 9})
    recipe = override(RECIPE, training__batch_norm="synchronised")
    events = list(api.train_events(tmp_path / "data", recipe, TrainOptions("x", tmp_path)))
    (started,) = (event for event in events if isinstance(event, RunStarted))
    assert "training.batch_norm: one process has nothing to synchronise with" in started.notes
