"""Fetching from the hub with its own client: whole or not at all, and never twice."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resnext.catalogue import DamagedWeights, FetchError, UnknownWeights
from resnext.catalogue.hub import Repository

NAME = "timm/resnet50.a1_in1k"
WEIGHTS = np.random.default_rng(0).bytes(200_000)


@pytest.fixture
def filled(hub: Any) -> Any:
    hub.add(NAME, config_json=b"{}", model_safetensors=WEIGHTS)
    return hub


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file()) if folder.exists() else []


def test_fetched_once_and_then_used_without_a_connection(filled: Any) -> None:
    folder = Repository(NAME).fetch()
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    filled.asked.clear()
    assert Repository(NAME).fetch() == folder
    assert filled.asked == []


def test_a_cut_download_goes_on_where_it_was_cut(filled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 10_000)  # else all of it would be one piece
    filled.cut_after = 120_000
    folder = Repository(NAME).fetch()
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert filled.ranges == ["bytes=120000-"]


def test_a_revision_is_another_file(filled: Any) -> None:
    filled.add(NAME, "v1", config_json=b"{}", model_safetensors=WEIGHTS[::-1])
    older = Repository.parse(f"{NAME}@v1").fetch()
    newer = Repository(NAME).fetch()
    assert (older / "model.safetensors").read_bytes() == WEIGHTS[::-1]
    assert (newer / "model.safetensors").read_bytes() == WEIGHTS


def test_a_repository_may_have_a_pickle_only(hub: Any) -> None:
    hub.add(NAME, config_json=b"{}", pytorch_model_bin=WEIGHTS)
    assert (Repository(NAME).fetch() / "pytorch_model.bin").read_bytes() == WEIGHTS


def test_every_damage_on_the_way_is_refused_and_leaves_nothing(filled: Any, caches: Path) -> None:
    """One byte of 200,000, at 100 places; the size stays, which is all that the client looks at."""
    for at in np.random.default_rng(1).integers(0, len(WEIGHTS), 100).tolist():
        filled.swapped = at
        with pytest.raises(DamagedWeights, match="arrived damaged"):
            Repository(NAME).fetch()
        assert not [path for path in files(caches) if path.stat().st_size > 1000]
    assert (Repository(NAME).fetch() / "model.safetensors").read_bytes() == WEIGHTS


def test_a_file_that_is_damaged_later_is_noticed(filled: Any) -> None:
    path = (Repository(NAME).fetch() / "model.safetensors").resolve()
    path.write_bytes(WEIGHTS[:100] + b"?" + WEIGHTS[101:])
    with pytest.raises(DamagedWeights, match="was changed since"):
        Repository(NAME).fetch()
    assert (Repository(NAME).fetch() / "model.safetensors").read_bytes() == WEIGHTS  # fetched again


def test_what_the_publisher_replaced_is_told(filled: Any, caches: Path) -> None:
    """The hub is right about its own digest; what it had at the first use is remembered here."""
    Repository(NAME).fetch()
    filled.add(NAME, model_safetensors=WEIGHTS[::-1])
    for path in files(caches / "hub"):
        path.unlink()
    with pytest.raises(DamagedWeights, match=r"is not the file that .* was at its first use") as error:
        Repository(NAME).fetch()
    record = Path(str(error.value).rpartition("remove ")[2])
    record.unlink()  # as the message says
    assert (Repository(NAME).fetch() / "model.safetensors").read_bytes() == WEIGHTS[::-1]


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("timm/nothing", "no such repository, or a private one"),
        (f"{NAME}@v9", "no such revision; try @main"),
        ("a/no-config", "has no config.json, so it holds no model"),
        ("a/no-weights", "has neither model.safetensors nor pytorch_model.bin"),
    ],
)
def test_what_the_hub_has_not(what: str, says: str, filled: Any, caches: Path) -> None:
    filled.add("a/no-config", model_safetensors=WEIGHTS)
    filled.add("a/no-weights", config_json=b"{}")
    with pytest.raises(UnknownWeights, match=says):
        Repository.parse(what).fetch()


@pytest.mark.parametrize("text", ["resnet50", "a/b/c", "../x", "a/..", "a b/c", "/a", "a/", ""])
def test_what_is_no_repository(text: str) -> None:
    with pytest.raises(UnknownWeights, match="must be hf-hub:owner/name"):
        Repository.parse(text)


def test_no_connection(caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told at once, with where to put the files; the client alone tries for half a minute."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(FetchError, match=r"cannot be reached. .*/resolve/main/model.safetensors.*local-dir:"):
        Repository(NAME).fetch()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(FetchError, match="not in the cache"):
        Repository(NAME).fetch()
    assert files(caches) == []


def test_a_full_disk(filled: Any, caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.file_download as client

    fetch = client.http_get

    def fills(url: str, temp_file: Any, **options: Any) -> None:
        if "/lfs/" not in url and "safetensors" not in url:
            return fetch(url, temp_file, **options)
        temp_file.write(WEIGHTS[:50_000])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(client, "http_get", fills)
    with pytest.raises(FetchError, match="no room on the disk"):
        Repository(NAME).fetch()
    assert not [path for path in files(caches) if path.stat().st_size > 1000]


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(FetchError, match=r"pip install 'resnext\[hub\]'"):
        Repository(NAME).fetch()
