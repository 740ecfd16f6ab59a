"""`Format`: how an exported model is written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from resnext.engine import Takes
from resnext.export.graph import Source


class Format(ABC):
    """A kind of file or folder that a network is exported to.

    Attributes:
        name: What is typed for it.
        suffix: What the names of its main file or folder end in.
        also: Suffixes of further files beside it.
        takes: What may go into its files.
    """

    name: ClassVar[str]
    suffix: ClassVar[str]
    also: ClassVar[tuple[str, ...]] = ()
    takes: ClassVar[tuple[Takes, ...]] = ("pixels",)

    @abstractmethod
    def write(self, source: Source, path: Path) -> None:
        """Write `source` to `path`, where nothing is.

        Raises:
            EngineMissing: A library is not installed.
            ModelError: The format cannot hold such a network.
        """

    def files(self, path: Path) -> list[Path]:
        """All files or folders of the model at `path`; the main one comes last."""
        return [*(path.with_suffix(suffix) for suffix in self.also), path]
