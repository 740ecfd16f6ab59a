"""What is done with local data and models needs no network, and leaves nothing elsewhere.

The short version hears what Python reports of itself; the whole one asks the kernel, by strace.
"""

from __future__ import annotations

import getpass
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from resnext import api

PROGRAM = """
import sys
from resnext import api
data, runs, images = sys.argv[1:]
small = {"model": "resnet11+template=8", "epochs": 1, "batch": 8, "data__size_px": 8}
run = api.train(data, name="x", runs=runs, **small)
api.evaluate(run.folder, data)
assert len(list(api.predict_many(run.folder, [images]))) == 24
"""
#: What libraries of others do most of the work of; some of them report on their use unless told not to.
EXPORTING = """
import sys
from resnext import api
data, runs, images = sys.argv[1:]
small = {"model": "resnet11+template=8", "epochs": 1, "batch": 8, "data__size_px": 8}
run = api.train(data, name="x", runs=runs, **small)
api.calibrate(run.folder, data, coverage=0.5)
for to in "onnx", "openvino":
    api.export_model(run.folder, to)
    api.quantize(run.folder, to, data=data, max_drop=100, min_speed=0.001)
"""
KINDS = ("folder", "parquet", "tar", "csv", "arrow", "stream:tar", "index", "saved")
#: A folder that torch makes.
TORCH = Path(tempfile.gettempdir(), f"torchinductor_{getpass.getuser()}")


@pytest.fixture
def sets(full: bool, tmp_path: Path, make_folder: Any) -> dict[str, str]:
    """The same images as each kind of local set; the short version has the first three only."""
    folder: Path = make_folder(tmp_path / "sets" / "folder", {"a": 12, "b": 12})
    paths = sorted(folder.rglob("*.png"))
    names = [f"folder/{path.parent.name}/{path.name}" for path in paths]
    labels = [path.parent.name for path in paths]
    lines = ["path,label", *(f"{name},{label}" for name, label in zip(names, labels, strict=True)), ""]
    (folder.parent / "all.csv").write_text("\n".join(lines))
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    images = [{"bytes": path.read_bytes(), "path": None} for path in paths]
    table = pa.table({"image": pa.array(images, kind), "label": labels})
    pq.write_table(table, folder.parent / "all.parquet")
    with pa.ipc.new_stream(folder.parent / "all.arrow", table.schema) as file:
        file.write_table(table)
    with tarfile.open(folder.parent / "all.tar", "w") as tar:
        for number, path in enumerate(paths):
            (folder.parent / "label").write_text("01"[path.parent.name == "b"])
            tar.add(path, f"{number}.png")
            tar.add(folder.parent / "label", f"{number}.cls")
    found = {kind: f"{folder.parent}/all.{kind}" for kind in KINDS}
    found |= {"folder": str(folder), "stream:tar": f"stream:{folder.parent}/all.tar"}
    if full:
        api.index_images(folder, found["index"])
        pytest.importorskip("datasets").Dataset(table).save_to_disk(found["saved"])
    return {kind: found[kind] for kind in (KINDS if full else KINDS[:3])}


class Listener:
    """What Python reports of itself: addresses that are connected to, and files that are written."""

    def __init__(self) -> None:
        self.is_on = False
        self.connected: list[Any] = []
        self.written: list[str] = []
        sys.addaudithook(self.hear)  # there is no way to take it off again

    def hear(self, event: str, words: tuple[Any, ...]) -> None:
        if not self.is_on:
            return
        if event == "socket.connect":
            self.connected.append(words[1])
        elif event == "open" and isinstance(words[0], str) and words[2] & (os.O_WRONLY | os.O_RDWR):
            self.written.append(words[0])
        elif event in ("os.mkdir", "os.remove", "os.symlink", "os.link", "os.rename"):
            self.written += [os.fsdecode(word) for word in words[:2] if isinstance(word, str | bytes)]

    @contextmanager
    def listening(self) -> Iterator[None]:
        self.is_on = True
        try:
            yield
        finally:
            self.is_on = False


@pytest.fixture(scope="module")
def listener() -> Listener:
    return Listener()


def test_what_is_listened_to_is_heard(listener: Listener, tmp_path: Path) -> None:
    with listener.listening(), socket.socket() as one:
        one.settimeout(0.01)
        with pytest.raises(OSError):
            one.connect(("127.0.0.1", 9))
        (tmp_path / "x").write_text("x")
    assert listener.connected.pop() == ("127.0.0.1", 9)
    assert listener.written.pop() == str(tmp_path / "x")


def elsewhere(written: list[str], allowed: list[Path], current: Path) -> list[str]:
    """Paths that are in none of the allowed folders; relative ones start from the folder `current`."""
    roots = tuple(f"{os.path.realpath(path)}/" for path in (*allowed, Path("/dev"), Path("/proc")))
    absolute = {os.path.realpath(current / path) for path in written}
    return sorted(path for path in absolute if not f"{path}/".startswith(roots))


@pytest.mark.usefixtures("no_reports")
def test_nothing_is_asked_or_left_elsewhere(listener: Listener, sets: dict[str, str], tmp_path: Path) -> None:
    with listener.listening():
        for number, data in enumerate(sets.values()):
            words = [data, str(tmp_path / f"runs{number}"), sets["folder"]]
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(sys, "argv", ["program", *words])
                exec(PROGRAM, {})
    runs = [tmp_path / f"runs{number}" for number in range(len(sets))]
    assert listener.connected == []
    assert any("checkpoints" in path for path in listener.written)
    assert elsewhere(listener.written, [*runs, TORCH], Path.cwd()) == []


#: Calls that reach the network or change the file system.
CALLS = "connect,sendto,sendmsg,open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink"


def traced(program: str, words: list[str], home: Path) -> tuple[list[str], list[str]]:
    """Calls of a program that name an address other than a file, and the files that it writes."""
    environment = dict(os.environ) | {
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "HF_HOME", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        environment.pop(name, None)
    log = home.with_suffix(".trace")
    for folder in ("tmp", ".cache", ".config"):
        (home / folder).mkdir(parents=True)
    tracer = ["strace", "-f", "--seccomp-bpf", "-qq", "-s", "4096", "-e", f"trace={CALLS}", "-o", str(log)]
    subprocess.run([*tracer, sys.executable, "-c", program, *words], env=environment, check=True, cwd=home)
    lines = log.read_text(errors="replace").splitlines()
    asked = [line for line in lines if re.search(r" (connect|sendto|sendmsg)\(", line) and "AF_INET" in line]
    written = []
    for line in lines:
        changes = re.search(r" (creat|mkdir\w*|rename\w*|link\w*|symlink)\(", line)
        if (changes or re.search(r"O_WRONLY|O_RDWR|O_CREAT", line)) and " = -1 " not in line:
            written += re.findall(r'"([^"]+)"', line)
    return asked, written


def test_the_kernel_says_so_too(
    full: bool, record: Callable[..., None], sets: dict[str, str], tmp_path: Path
) -> None:
    if not full or shutil.which("strace") is None:
        pytest.skip("RESNEXT_FAULTS=full, and strace, are needed")
    reaching = "import socket; open('x', 'w').close(); socket.socket().connect_ex(('127.0.0.1', 9))"
    asked, written = traced(reaching, [], tmp_path / "control")
    assert len(asked) == 1
    assert str(tmp_path / "control" / "x") in elsewhere(written, [], tmp_path / "control")
    connections, left = 0, 0
    tried = [(kind, PROGRAM, data) for kind, data in sets.items()]
    for kind, program, data in [*tried, ("exports", EXPORTING, sets["folder"])]:
        place = tmp_path / kind.replace(":", "-")
        words = [data, str(place / "runs"), sets["folder"]]
        asked, written = traced(program, words, place)
        assert asked == [], kind
        assert any("checkpoints" in path for path in written)
        font_lists = [place / ".cache" / "matplotlib", place / ".config" / "matplotlib"]
        found = elsewhere(written, [place / "runs", place / "tmp", *font_lists], place)
        assert found == [], kind
        connections, left = connections + len(asked), left + len(found)
    record("traces of local data", kinds=[*sets, "exports"], connections=connections, files_elsewhere=left)
