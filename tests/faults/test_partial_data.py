"""Part of the data is not the data: sets that are cut, mixed or changed are refused, or the user is told.

Each kind of damage is tried at random places; the whole set, of which it is a part, is read without a word.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from resnext import api
from resnext.data.decode import DataError
from resnext.data.sources import read_splits
from resnext.run import RunError

pytestmark = pytest.mark.usefixtures("no_reports")
COUNT, SHARDS = 30, 3
SMALL: dict[str, Any] = {"model": "resnet11+template=8", "epochs": 1, "batch": 8, "data__size_px": 8}
#: What is done to a copy of a set, and what is then given as DATA.
Damage = Callable[[Path, Random], str]
DAMAGES: dict[str, Damage] = {}


def damage(function: Damage) -> Damage:
    DAMAGES[function.__name__] = function
    return function


def bmp(seed: int) -> bytes:
    """An image whose size in bytes does not depend on what it shows."""
    values = np.random.default_rng(seed).integers(0, 256, (10, 12, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(values).save(file, "BMP")
    return file.getvalue()


def label(number: int) -> str:
    return "ab"[number % 2]


def write_tar(path: Path, numbers: Iterable[int]) -> None:
    with tarfile.open(path, "w") as tar:
        for number in numbers:
            for suffix, content in (("bmp", bmp(number)), ("cls", str(number % 2).encode())):
                member = tarfile.TarInfo(f"{number:02d}.{suffix}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def table(numbers: Iterable[int]) -> pa.Table:
    numbers = list(numbers)
    return pa.table({"image": [bmp(n) for n in numbers], "label": [label(n) for n in numbers]})


def write_arrow(path: Path, numbers: Iterable[int]) -> None:
    images = table(numbers)
    with pa.ipc.new_stream(path, images.schema) as file:
        file.write_table(images, max_chunksize=3)


def write_parquet(path: Path, numbers: Iterable[int]) -> None:
    pq.write_table(table(numbers), path, row_group_size=3)


def write_csv(path: Path, numbers: Iterable[int]) -> None:
    """Names of images that are not looked at: only training opens them."""
    lines = [f"images/{number:02d}.bmp,{label(number)}\n" for number in numbers]
    path.write_text("path,label\n" + "".join(lines))


WRITERS: dict[str, Callable[[Path, Iterable[int]], None]] = {
    ".tar": write_tar,
    ".arrow": write_arrow,
    ".parquet": write_parquet,
    ".csv": write_csv,
}


def name(number: int, total: int, suffix: str) -> str:
    return f"train-{number:05d}-of-{total:05d}{suffix}"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, make_folder: Any, no_reports: None) -> Path:
    """Every kind of set, an index, and a run."""
    root = tmp_path_factory.mktemp("whole")
    for suffix, write in WRITERS.items():
        (root / "shards" / suffix[1:]).mkdir(parents=True)
        for shard in range(SHARDS):
            write(root / "shards" / suffix[1:] / name(shard, SHARDS, suffix), range(shard, COUNT, SHARDS))
        (root / "alone").mkdir(exist_ok=True)
        write(root / "alone" / f"all{suffix}", range(COUNT))
    for number in range(COUNT):
        path = root / "pets" / label(number) / f"{number // 2:02d}.bmp"  # the same names in both classes
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bmp(number))
    api.index_images(root / "pets", root / "pets.index")
    api.train(root / "pets", name="x", runs=root, **SMALL)
    return root


def at_place(whole: Path, place: Path) -> None:
    """A copy of `whole`, with the same times; its index is of the images beside it."""
    shutil.copytree(whole, place, symlinks=True)
    path = place / "pets.index"
    shutil.rmtree(path)
    api.index_images(place / "pets", path)


def sets(root: Path) -> list[str]:
    """All that is read without a word when it is whole."""
    shards = [root / "shards" / suffix[1:] for suffix in WRITERS]
    alone = [root / "alone" / f"all{suffix}" for suffix in WRITERS]
    streams = [f"stream:{path}" for path in (*shards[:3], *alone[:3])]
    return [*map(str, (*shards, *alone, root / "pets", root / "pets.index")), *streams]


#: Parts of the notes about whole sets.
USUAL = ("no splits: divided", "no val split: a stratified tenth", "a stream: shuffled within windows")


def unusual_notes(data: str) -> list[str]:
    return [note for note in read_splits(data).notes if not any(usual in note for usual in USUAL)]


def test_whole_sets_are_read_without_a_word(whole: Path, tmp_path: Path) -> None:
    at_place(whole, tmp_path / "set")
    for data in (*sets(whole), *sets(tmp_path / "set")):
        assert unusual_notes(data) == [], data
    assert outcome(f"resume:{tmp_path / 'set'}") == "silent"


def cut(path: Path, size: int) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:size])


def pick_suffix(draw: Random, suffixes: Iterable[str] = WRITERS) -> str:
    return draw.choice(sorted(suffixes))


def maybe_stream(path: Path, draw: Random) -> str:
    can_stream = path.suffix != ".csv" and not (path / name(0, SHARDS, ".csv")).exists()
    return f"stream:{path}" if can_stream and draw.random() < 0.5 else str(path)


@damage
def archive_cut_short(root: Path, draw: Random) -> str:
    """A tar, Arrow or Parquet file, anywhere before its end; blocks that fill up a tar are no part of it."""
    path = root / "alone" / f"all{pick_suffix(draw, ('.tar', '.arrow', '.parquet'))}"
    size = path.stat().st_size
    if path.suffix == ".tar":
        size = len(path.read_bytes().rstrip(b"\0")) // 512 * 512 + 512 + 1024
    cut(path, draw.randrange(size))
    return maybe_stream(path, draw)


@damage
def shard_cut_short(root: Path, draw: Random) -> str:
    suffix = pick_suffix(draw, (".tar", ".arrow", ".parquet"))
    folder = root / "shards" / suffix[1:]
    path = folder / name(draw.randrange(SHARDS), SHARDS, suffix)
    cut(path, draw.randrange(path.stat().st_size * 2 // 3))
    return maybe_stream(folder, draw)


@damage
def list_cut_short(root: Path, draw: Random) -> str:
    """Within a line: that lines are missing at its end, a list of files cannot know."""
    path = root / "alone" / "all.csv"
    content = path.read_bytes()
    cut(path, draw.choice([size for size in range(len(content)) if content[size - 1 : size] != b"\n"]))
    return str(path)


@damage
def shard_missing(root: Path, draw: Random) -> str:
    suffix = pick_suffix(draw)
    folder = root / "shards" / suffix[1:]
    for number in draw.sample(range(SHARDS), draw.randrange(1, SHARDS)):
        (folder / name(number, SHARDS, suffix)).unlink()
    return maybe_stream(folder, draw)


@damage
def shards_of_two_generations(root: Path, draw: Random) -> str:
    suffix = pick_suffix(draw)
    folder = root / "shards" / suffix[1:]
    total = draw.choice([1, 2, 4, 5])
    for number in draw.sample(range(total), draw.randrange(1, total + 1)):
        WRITERS[suffix](folder / name(number, total, suffix), range(10))
    return maybe_stream(folder, draw)


@damage
def index_damaged(root: Path, draw: Random) -> str:
    """A bit flipped, or a file cut short, added to or gone."""
    path = draw.choice(sorted((root / "pets.index").iterdir()))
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    match draw.randrange(4):
        case 0 | 1:
            path.write_bytes(content)
        case 2:
            cut(path, draw.randrange(len(content)))
        case 3:
            path.unlink()
    return str(root / "pets.index")


@damage
def files_of_an_index_changed(root: Path, draw: Random) -> str:
    change_files(root / "pets", draw)
    return str(root / "pets.index")


def change_files(pets: Path, draw: Random) -> None:
    """Another image of equal size, one in place of another, one gone, or two classes that change places."""
    one, other = draw.sample(sorted(pets.rglob("*.bmp")), 2)
    match draw.randrange(4):
        case 0:
            replace_content(one, bmp(draw.randrange(1000, 2000)))
        case 1:
            replace_content(one, other.read_bytes())
        case 2:
            one.unlink()
        case 3:
            (pets / "a").rename(pets / "c")
            (pets / "b").rename(pets / "a")
            (pets / "c").rename(pets / "b")


def replace_content(path: Path, content: bytes) -> None:
    """At a later time, however coarse the clock of the file system is."""
    time = path.stat().st_mtime_ns + 10**9
    path.write_bytes(content)
    os.utime(path, ns=(time, time))


@damage
def labels_that_say_nothing(root: Path, draw: Random) -> str:
    """A label that is missing, -1, beyond the named classes, twice in the header, or two for one image."""
    numbers = [n % 2 for n in range(COUNT)]
    row, other = draw.sample(range(COUNT), 2)
    bad: Any = draw.choice([None, float("nan"), -1.0, -1, 2, "two columns", "two labels"])
    names = ["a", "b"] if bad == 2 else None
    path = root / "table"
    columns: dict[str, Any] = {"path": [f"{n}.bmp" for n in range(COUNT)], "label": list(numbers)}
    if bad == "two columns":
        columns["Label"] = numbers[::-1]
    elif bad == "two labels":
        columns["path"][row], columns["label"][row] = columns["path"][other], 1 - columns["label"][other]
    else:
        columns["label"] = [n if bad is None or isinstance(bad, int) else float(n) for n in numbers]
        columns["label"][row] = bad
    if names is None and draw.random() < 0.5:
        lines = [columns, *zip(*columns.values(), strict=True)]
        text = "".join(",".join("" if v is None else str(v) for v in line) + "\n" for line in lines)
        path.with_suffix(".csv").write_text(text)
        return str(path.with_suffix(".csv"))
    metadata = {"huggingface": json.dumps({"info": {"features": {"label": {"names": names}}}})}
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path.with_suffix(".parquet"))
    return str(path.with_suffix(".parquet"))


@damage
def images_of_a_run_changed(root: Path, draw: Random) -> str:
    """The run is resumed with them."""
    change_files(root / "pets", draw)
    return f"resume:{root}"


def outcome(data: str) -> str:
    """`refused`, `told`, or `silent`."""
    try:
        if data.startswith("resume:"):
            root = Path(data.removeprefix("resume:"))
            api.train(root / "pets", name="x", runs=root, resume="must", **SMALL)
            return "silent"
        return "told" if unusual_notes(data) else "silent"
    except (DataError, RunError):
        return "refused"


def test_sets_that_are_cut_mixed_or_changed(
    full: bool, record: Callable[..., None], whole: Path, tmp_path: Path
) -> None:
    places = 200 if full else 20
    outcomes: dict[str, dict[str, int]] = {name: {} for name in DAMAGES}
    silent = []
    for place in range(places):
        damage_name = list(DAMAGES)[place % len(DAMAGES)]
        root = tmp_path / "set"
        at_place(whole, root)
        data = DAMAGES[damage_name](root, Random(place))
        found = outcome(data)
        outcomes[damage_name][found] = outcomes[damage_name].get(found, 0) + 1
        if found == "silent":
            silent.append((place, damage_name, data))
        shutil.rmtree(root)
    assert not silent
    refused, told = (sum(one.get(kind, 0) for one in outcomes.values()) for kind in ("refused", "told"))
    assert refused >= places * 0.9  # the rest are lists of files whose last line has no end
    record("data cut or changed", places=places, refused=refused, told=told, by_damage=outcomes)
