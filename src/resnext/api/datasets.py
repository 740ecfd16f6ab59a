"""Data sets: index them, select from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from resnext.data.class_selection import Selection, select_classes
from resnext.data.index import write_index
from resnext.data.sources import read_splits, read_splits_by_name
from resnext.files import naming
from resnext.progress import EventStream
from resnext.run import scan_splits


def index_images(
    data: str | Path, out: str | Path, progress: Callable[[int, int], None] | None = None
) -> Path:
    """List the image files of `data`, scan all of them once, and write an index that can be given as DATA
    from then on.

    Args:
        data: A folder or table of image files.
        out: The index, whose name ends in .index. Images that cannot be read are listed in it too.
        progress: Called with the numbers of images done and in all.

    Returns:
        `out`.

    Raises:
        DataError: The data are no image files, or `out` exists.

    >>> import resnext
    >>> print(resnext.index_images("PETS", "pets.index"))
    pets.index
    """
    splits = read_splits(str(data))
    scan = EventStream(scan_splits(splits))
    for event in scan:
        if progress is not None:
            progress(event.done, event.total)
    with naming(out):
        write_index(splits, scan.result, Path(out))
    return Path(out)


def select(
    data: str | Path,
    out: str | Path,
    like: str | Path,
    others: int = 0,
    judged: Literal["val", "test"] = "test",
) -> tuple[int, int]:
    """Write a data set with some classes of a larger one, such as ImageNet-5K of ImageNet-22K.

    Args:
        data: The larger set.
        out: The folder to write.
        like: A set whose classes are kept; its test images, else those of val, are the ones to evaluate on.
        others: Number of other classes, those with most images, that are kept for training.
        judged: Name of the split that the images to evaluate on are written as.

    Returns:
        The numbers of images to train on and to evaluate on.

    Raises:
        DataError: A set cannot be read or lacks a class, or `out` exists.

    >>> import resnext
    >>> resnext.select("ANIMALS", "some-animals", like="PETS", others=1)
    (60, 4)
    """
    known = read_splits_by_name(str(like)).values()
    kept = frozenset(name for images in known for name in images.classes)
    return select_classes(str(data), Path(out), Selection(kept, others, eval_split=judged), str(like))
