"""Whether the images of a run still hold what they held when it was started."""

from __future__ import annotations

from collections.abc import Generator, Mapping

import numpy as np

from resnext.data.contents import UNKNOWN_STAMP, Contents, contents_digest, from_bytes, to_bytes
from resnext.data.images import ImageDataset
from resnext.data.scan import read_digests
from resnext.data.splits import Splits
from resnext.files import ordinary
from resnext.machine import count_cores
from resnext.names import counted, printable
from resnext.progress import EventStream
from resnext.run.events import ScanProgress
from resnext.run.folder import RunFolder

#: Most bytes of the file for each image, and around them.
IMAGE_BYTES, FRAME_BYTES = 16, 2**14
#: Digest and stamp of each image of a run, by split.
CONTENTS_FILE = "contents.npz"


def compare_contents(folder: RunFolder, expected: str, splits: Splits) -> Generator[ScanProgress, None, str]:
    """Compare the images of a run with what they held when it was started.

    Images whose files have the times that they had then are not read. Where others are the same in spite of
    new times, the new times are kept, so that a copied data set is read once.

    Args:
        folder: The run.
        expected: Digest of the contents of all images, from data.json; empty in a run of an earlier version,
            which did not know it.
        splits: The images as they are now, of the same names, labels and sizes.

    Returns:
        What is different, in a sentence; empty if nothing is.
    """
    if not expected:
        return ""
    then = _read(folder, expected, sum(len(images) for _, images in splits.items()))
    now: dict[str, Contents] = {}
    changed: list[str] = []
    for name, images in splits.items():
        now[name] = yield from _look(images, then.get(name))
        if name in then:
            others = np.flatnonzero(now[name].digests != then[name].digests)
            changed += [images.keys[int(index)] for index in others]
    if contents_digest(now) != expected:
        return _describe(changed)
    if not all(name in then and np.array_equal(one.stamps, then[name].stamps) for name, one in now.items()):
        folder.write(CONTENTS_FILE, to_bytes(now))
    return ""


def _read(folder: RunFolder, expected: str, count: int) -> Mapping[str, Contents]:
    """What the `count` images held; empty if the file is missing or damaged, so that all must be read."""
    largest = FRAME_BYTES + IMAGE_BYTES * count
    try:
        with open(folder.path / CONTENTS_FILE, "rb", opener=ordinary) as file:
            then = from_bytes(file.read(largest))
    except (OSError, ValueError):
        return {}
    return then if contents_digest(then) == expected else {}


def _look(images: ImageDataset, then: Contents | None) -> Generator[ScanProgress, None, Contents]:
    """What `images` hold now. Those that may have changed since `then` are read; remote streams are not."""
    count = len(images)
    stamps = np.fromiter((images.stamp(index) for index in range(count)), np.int64, count)
    if images.known_scan is not None and images.known_scan.contents is not None:
        return Contents(images.known_scan.contents.digests, stamps)
    if then is None:
        digests, to_read = np.zeros(count, np.uint64), np.arange(count)
    else:
        digests = then.digests.copy()
        to_read = np.flatnonzero(
            np.where(stamps == UNKNOWN_STAMP, images.window is None, stamps != then.stamps)
        )
    reading = EventStream(read_digests(images, to_read.tolist(), count_cores()))
    for done in reading:
        yield ScanProgress(done, len(to_read))
    digests[to_read] = reading.result
    return Contents(digests, stamps)


def _describe(changed: list[str]) -> str:
    if not changed:
        return "data: images hold something else than in the run"
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    images = counted(len(changed), "image")
    hold = "holds" if len(changed) == 1 else "hold"
    return f"data: {images} {hold} something else, {printable(', '.join(changed[:3]))}{more}"
