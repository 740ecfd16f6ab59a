"""Names of images in a table as the files that they mean: written on Windows, or without suffix or folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from resnext.data.decode import IMAGE_SUFFIXES

#: How deep below the folder of a table its images are looked for, and in how many folders at most.
MAX_DEPTH, MAX_FOLDERS = 2, 1000


class NamedFiles:
    """The image files in the folder of a table and in folders below, by the names that a table may give them.

    Args:
        folder: Folder of the table.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._by_stem: dict[str, list[str]] | None = None

    def meant(self, names: Sequence[str]) -> list[str] | None:
        """The path, relative to the folder, that each name means; None unless each means one.

        The first name decides how all are written: as paths, as those of Windows, or as ends of paths, as is
        `0a1b` of `train/0a1b.jpg`.
        """
        if self.has(names[0]):
            return list(names)
        slashed = [name.replace("\\", "/") for name in names]
        if slashed != names and any(map(self.has, slashed)):
            return slashed
        found = [self._ends(name) for name in slashed] if self._ends(slashed[0]) else [[]]
        return [paths[0] for paths in found] if all(len(paths) == 1 for paths in found) else None

    def has(self, name: str) -> bool:
        """Whether there is a file at the path `name`."""
        return os.path.isfile(os.path.join(self.folder, name))  # False as well where no path can be so

    def _ends(self, name: str) -> list[str]:
        """The files whose path ends so, with its suffix or without."""
        stem = os.path.basename(name)
        paths = self._files().get(stem, []) + self._files().get(os.path.splitext(stem)[0], [])
        ends = (path for path in dict.fromkeys(paths) if name in (path, os.path.splitext(path)[0]))
        deeper = (p for p in paths if p.endswith(f"/{name}") or os.path.splitext(p)[0].endswith(f"/{name}"))
        return list(dict.fromkeys((*ends, *deeper)))

    def _files(self) -> dict[str, list[str]]:
        if self._by_stem is None:
            self._by_stem = {}
            for path in _images_below(self.folder):
                self._by_stem.setdefault(os.path.splitext(os.path.basename(path))[0], []).append(path)
        return self._by_stem


def _images_below(folder: Path) -> list[str]:
    """Paths of the images in a folder and a few below; none if there are too many folders to look into."""
    images: list[str] = []
    for count, (place, folders, names) in enumerate(os.walk(folder)):
        inner = os.path.relpath(place, folder)
        depth = 0 if inner == os.curdir else inner.count(os.sep) + 1
        folders[:] = [name for name in folders if depth < MAX_DEPTH and not name.startswith((".", "_"))]
        if count >= MAX_FOLDERS:
            return []
        shown = [
            n for n in names if not n.startswith(".") and os.path.splitext(n)[1].lower() in IMAGE_SUFFIXES
        ]
        images += [os.path.normpath(os.path.join(inner, name)).replace(os.sep, "/") for name in shown]
    return images
