"""The image files that the words of a command line name: files, folders, globs, and addresses of stores."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from resnext.data.decode import HEIF_HINT, HEIF_SUFFIXES, UNSUPPORTED_SUFFIXES, DataError
from resnext.data.folders import IRREGULAR, images_under
from resnext.data.images import ImageDataset
from resnext.data.remote_files import NOT_LISTED, RemoteFile, RemoteImages, find_remote_images
from resnext.data.stored_images import ImageFiles, UnlabelledImages
from resnext.errors import UsageError
from resnext.names import counted, printable

#: Addresses of pages, which hold one thing each and cannot be listed.
PAGES = ("http://", "https://", "ftp://", "file://")
#: Kinds of skipped files that are counted one by one; the others are counted together.
LISTED_KINDS = 5


@dataclass(frozen=True)
class FoundImages:
    """Image files, and how many other files lie in the folders, or have the names, that were given.

    Attributes:
        paths: Paths of the images, or addresses.
        skipped: Numbers of the other files by kind; `folders.images_under` names the kinds.
        remote: Of images in an object store: what its listing says of each, by address.
    """

    paths: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    remote: dict[str, RemoteFile] = field(default_factory=dict)

    def dataset(self) -> ImageDataset:
        """The images, without labels."""
        if self.remote:
            return RemoteImages(self.remote)
        return ImageFiles(Path(), self.paths, np.zeros(len(self.paths), np.int64), ("",))

    def part(self, number: int, count: int) -> FoundImages:
        """Part `number`, from 0 on, of `count` equal parts, which differ by one image at most."""
        start, end = (len(self.paths) * (number + n) // count for n in (0, 1))
        paths = self.paths[start:end]
        return replace(self, paths=paths, remote={path: self.remote[path] for path in paths if self.remote})

    def note(self) -> str:
        """What was skipped, as one line; empty if nothing was.

        >>> FoundImages(skipped=Counter({".txt": 1200, "hidden": 1})).note()
        'skipped 1,201 files not read as images: 1,200 .txt, 1 hidden'
        """
        if not self.skipped:
            return ""
        kinds = [f"{count:,} {printable(kind)}" for kind, count in self.skipped.most_common(LISTED_KINDS)]
        if others := self.skipped.total() - sum(n for _, n in self.skipped.most_common(LISTED_KINDS)):
            kinds.append(f"{others:,} others")
        needs_heif = HEIF_SUFFIXES & UNSUPPORTED_SUFFIXES & self.skipped.keys()
        return f"skipped {counted(self.skipped.total(), 'file')} not read as images: {', '.join(kinds)}" + (
            f"; {HEIF_HINT}" if needs_heif else ""
        )


class ImagesByName(UnlabelledImages):
    """Images without labels, by paths and addresses at which nobody has looked: what is not there is a bad
    image, and no reason to give up the others.

    >>> ImagesByName(["cat.jpg", "s3://bucket/dog.jpg"]).keys
    ['cat.jpg', 's3://bucket/dog.jpg']
    """

    def open(self, index: int) -> Image.Image:
        name = self.keys[index]
        if not is_address(name):
            return super().open(index)
        return RemoteImages({name: NOT_LISTED}).in_range(self.grey).open(0)


def find_image_files(sources: Iterable[str | Path]) -> FoundImages:
    """The images that files, folders (searched to any depth) and globs name, on a disk or in an object store.

    A file counts as an image whatever its name if it is named itself.

    Raises:
        DataError: A source names no image, or cannot be read.
        UsageError: A source is the address of a page or standard input, or some are addresses of a store and
            others are not.
        PackageMissing: The package for addresses of this kind is not installed.
    """
    found = FoundImages()
    for source in map(str, sources):
        _check_is_path(source)
        here = _images_of(source)
        if not here.paths:
            why = f" in a format that is read ({here.note()})" if here.skipped else _why_none(source)
            raise DataError(f"{source}: there is no image here{why}")
        found.paths.extend(here.paths)
        found.skipped.update(here.skipped)
        found.remote.update(here.remote)
        if found.remote and not all(map(is_address, found.paths)):
            raise UsageError(
                f"{source}: some images are in a store and others are not; give them in separate commands"
            )
    return found


def _images_of(source: str) -> FoundImages:
    if is_address(source):
        found = FoundImages()
        found.remote.update(find_remote_images(source, found.skipped))
        found.paths.extend(found.remote)
        return found
    if os.path.isdir(source):
        found = FoundImages()
        found.paths.extend(os.path.join(source, path) for path in images_under(Path(source), found.skipped))
        return found
    if os.path.exists(source):
        return FoundImages([source])
    matching = [path for path in sorted(glob.glob(source, recursive=True)) if not os.path.isdir(path)]
    paths = [path for path in matching if os.path.isfile(path) or not os.path.exists(path)]
    return FoundImages(paths, +Counter({IRREGULAR: len(matching) - len(paths)}))


def is_address(source: str) -> bool:
    """Whether `source` is an address, and no path.

    >>> is_address("s3://bucket/cat.jpg"), is_address("cat.jpg")
    (True, False)
    """
    return "://" in source and not os.path.exists(source)


def _why_none(source: str) -> str:
    """Why `source` names no image."""
    if os.path.exists(source):
        return " in a format that is read (JPEG, PNG, ...)"
    if glob.has_magic(source):
        literal = "; a [ that is part of a name is written [[] in a pattern" if "[" in source else ""
        return f": no file is called so; say another pattern{literal}"
    return ": there is no such file or folder; look at the spelling"


def _check_is_path(source: str) -> None:
    try:
        os.stat(source)
    except PermissionError as error:
        raise DataError(f"{printable(source)}: cannot be read ({error.strerror})") from None
    except (OSError, ValueError):
        _check_is_no_address(source)


def _check_is_no_address(source: str) -> None:
    if source == "-":
        raise UsageError("-: images are not read from standard input; write them to a file and give its path")
    if is_address(source) and source.startswith(PAGES):
        cure = "give its path" if source.startswith("file:") else "download it first, and give the file"
        raise UsageError(f"{source}: addresses of pages are not read; {cure}")
