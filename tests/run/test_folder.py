"""A run folder appears as a whole, belongs to one process, and its status is true."""

from __future__ import annotations

import errno
import json
import os
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from resnext.run.folder import RunError, RunFolder, RunFolderLost, RunTaken
from resnext.run.status_file import status_text
from resnext.training.checkpoints import Snapshot


def state(path: Path) -> tuple[str, str]:
    status = json.loads((path / "status.json").read_text())
    return status["state"], status["why"]


def test_a_new_folder_appears_complete_and_locked(tmp_path: Path) -> None:
    draft = RunFolder.draft(tmp_path / "runs", {"config.toml": "seed = 1\n"})
    assert [path.name.startswith(".") for path in (tmp_path / "runs").iterdir()] == [True]
    with draft.lock() as warning:
        folder = draft.publish("x", "pets")
        assert warning == ""
        assert (folder.path / "config.toml").read_text() == "seed = 1\n"
        assert folder.checkpoints.is_dir()
        with pytest.raises(RunError, match="another process"), folder.lock():
            pass
    with folder.lock():
        assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["x"]


def test_names_that_are_taken(tmp_path: Path) -> None:
    (tmp_path / "pets").mkdir()  # empty, which renaming would replace
    (tmp_path / "pets-2").write_text("a file")
    assert RunFolder.draft(tmp_path, {}).publish(None, "pets").path == tmp_path / "pets-3"
    for name in ("pets", "pets-2", "pets-3"):
        draft = RunFolder.draft(tmp_path, {})
        with pytest.raises(RunError, match=f"{name}: another process has just started"):
            draft.publish(name, "pets")
        draft.discard()
    assert len([*tmp_path.iterdir()]) == 3


def test_of_many_starts_at_once_one_has_the_folder(tmp_path: Path) -> None:
    def start(seed: int) -> int | None:
        draft = RunFolder.draft(tmp_path, {"config.toml": f"seed = {seed}\n"})
        with ExitStack() as held:
            held.enter_context(draft.lock())
            try:
                folder = draft.publish("x", "")
            except RunError:
                draft.discard()
                return None
            assert (folder.path / "config.toml").read_text() == f"seed = {seed}\n"
            return seed

    with ThreadPoolExecutor(8) as threads:
        winners = [seed for seed in threads.map(start, range(64)) if seed is not None]
    assert len(winners) == 1
    assert (tmp_path / "x" / "config.toml").read_text() == f"seed = {winners[0]}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_what_an_earlier_version_left_before_its_first_step_is_removed(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "x")
    folder.checkpoints.mkdir(parents=True)
    folder.write("config.toml", "seed = 1\n")
    with folder.lock(), pytest.raises(RunError, match="another process"):
        RunFolder(folder.path).remove_incomplete()  # it is being made at this moment
    assert (folder.path / "config.toml").exists()
    (folder.path / "notes.txt").touch()
    with pytest.raises(RunError, match="no run"):
        folder.remove_incomplete()
    (folder.path / "notes.txt").unlink()
    folder.remove_incomplete()
    assert not folder.path.exists()
    folder.remove_incomplete()


def test_the_status_of_a_full_disk_and_of_a_folder_that_was_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path / "x")
    folder.path.mkdir()
    folder.set_status("running", "a reason that is longer than the next one")
    with monkeypatch.context() as patch:

        def fail(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr(os, "replace", fail)
        folder.set_status("failed", "full")
        assert state(folder.path) == ("failed", "full")
        fresh = RunFolder(folder.path)  # of a process that has written nothing yet
        fresh.set_status("failed", "still full")
        fresh.close()
        assert state(folder.path) == ("failed", "still full")
    folder.path.rename(tmp_path / "y")
    folder.set_status("failed", "moved: caf\udce9")
    assert state(tmp_path / "y") == ("failed", "moved: caf\udce9")
    folder.close()
    with pytest.raises(FileNotFoundError):
        folder.set_status("failed")


def test_errors_in_a_folder_that_is_gone_say_so(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "x")
    folder.checkpoints.mkdir(parents=True)
    with pytest.raises(OSError, match="full"), folder.name_loss():
        raise OSError("full")
    folder.path.rename(tmp_path / "y")
    with pytest.raises(RunFolderLost, match=r"is gone.*moved or removed") as caught, folder.name_loss():
        folder.log("a line")
    assert caught.value.exit_code == 5
    assert isinstance(caught.value.__cause__, FileNotFoundError)


def test_the_earlier_of_two_processes_that_train_one_run_writes_nothing_more(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "x")
    folder.checkpoints.mkdir(parents=True)
    earlier, later = RunFolder(folder.path), RunFolder(folder.path)
    earlier.set_status("running")
    earlier.log("alone")
    later.set_status("running", "the later one")
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    writes: list[Callable[[], None]] = [
        lambda: earlier.set_status("failed"),
        lambda: earlier.log("a line"),
        lambda: earlier.add_metrics([{"step": 1}]),
        lambda: earlier.truncate_metrics(0, 0),
        lambda: earlier.write("result.json", "{}"),
        lambda: earlier.save_checkpoint(Snapshot({}, {}), is_best=True),
        lambda: earlier.write_predictions("val", [], np.empty(0, int), np.empty((0, 2), np.float32), 1.0),
    ]
    for write in writes:
        with pytest.raises(RunTaken, match="another process has begun to train this run") as caught:
            write()
        assert caught.value.exit_code == 5
    assert {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()} == before
    later.log("goes on")
    for one in (earlier, later):
        one.close()


def test_a_status_that_was_overwritten_in_place_is_anothers_too(tmp_path: Path) -> None:
    """As on a full disk; also of a process of the same pid, on another host, in the same second."""
    folder = RunFolder(tmp_path)
    folder.set_status("running")
    path = tmp_path / "status.json"
    path.write_text(status_text("running", "", "another"))
    with pytest.raises(RunTaken):
        folder.log("a line")
    folder.close()


def test_a_status_that_a_full_disk_has_cut_is_not_anothers(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.set_status("running")
    path = tmp_path / "status.json"
    for cut in (0, 10, path.stat().st_size // 2):
        os.truncate(path, cut)
        folder.log("goes on")
    folder.set_status("failed", "full")
    assert state(tmp_path) == ("failed", "full")
    folder.close()


def test_a_status_of_another_number_and_the_same_words_is_ones_own(tmp_path: Path) -> None:
    """Some network file systems give one file another number each time it is looked up."""
    folder = RunFolder(tmp_path)
    folder.set_status("running")
    path = tmp_path / "status.json"
    other = tmp_path / "copy"
    other.write_bytes(path.read_bytes())
    other.replace(path)
    folder.log("goes on")
    folder.close()


def test_metrics_of_too_many_epochs_are_refused_and_steps_are_not_kept(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.add_metrics({"step": step, "loss": 0.5} for step in range(30_000))
    tracemalloc.start()
    assert folder.epoch_metrics() == []
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()
    folder.add_metrics({"step": 1, "epoch": epoch, "val_loss": 1} for epoch in range(100_001))
    with pytest.raises(RunError, match=r"metrics\.jsonl: has more than 100,000 epochs"):
        folder.epoch_metrics()
