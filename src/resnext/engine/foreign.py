"""`ForeignContract`: what a user says about a model that carries no contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from resnext.contract import Contract, ContractError, Input, Provenance, Resize
from resnext.engine.engine import ModelError
from resnext.parsing import read_text


@dataclass(frozen=True)
class ForeignContract:
    """What a user says about a model of others; all of it is needed but `resize_px`.

    Attributes:
        classes: A text file with the name of a class on each line, in the order of the outputs.
        mean: Mean of each channel (red, green, blue), on the scale 0 to 1.
        std: Standard deviation of each channel, on the same scale.
        resize_px: Shorter side after resizing, before the centre is cropped to the size of the input; that
            size if None.

    >>> ForeignContract(mean=(0.5, 0.5, 0.5)).missing
    '--classes and --std'
    """

    classes: str | Path | None = None
    mean: Sequence[float] = ()
    std: Sequence[float] = ()
    resize_px: int | None = None

    @property
    def missing(self) -> str:
        """The options that were not given and must be, as typed."""
        return " and ".join(f"--{name}" for name in ("classes", "mean", "std") if not getattr(self, name))

    @property
    def given(self) -> str:
        """The options that were given, as typed."""
        names = [field.name.replace("_", "-") for field in fields(self) if getattr(self, field.name)]
        return " and ".join(f"--{name}" for name in names)

    def contract(self, path: Path, shape: Sequence[int]) -> Contract:
        """The contract of the model at `path`.

        Args:
            path: The file.
            shape: Channels, height and width of its input; 0 for any.

        Raises:
            ModelError: Something is missing, or the input is none of RGB images of one size.
        """
        if self.missing:
            raise ModelError(
                f"{path}: carries no contract, since it was not exported by resnext or its metadata were "
                f"removed. Say how it takes images: {self.missing} (--classes names.txt, a name a line; "
                "--mean 0.485 0.456 0.406)"
            )
        channels, height, width = shape
        if channels != 3 or height != width or height == 0:
            raise ModelError(
                f"{path}: its input is {channels} x {height} x {width} (0: any); only RGB images of one "
                "square size are taken, 3 x H x H: export it so"
            )
        try:
            return Contract(
                classes=self._class_names(),
                input=Input(3, height, width),
                resize=Resize(self.resize_px or height, height),
                mean=tuple(self.mean),
                std=tuple(self.std),
                provenance=Provenance(path.stem),
            )
        except ContractError as error:
            raise ModelError(f"{path}: {error}") from None

    def _class_names(self) -> tuple[str, ...]:
        try:
            lines = read_text(Path(str(self.classes))).splitlines()
        except (OSError, ValueError) as error:
            raise ModelError(f"--classes {self.classes}: cannot be read ({error})") from None
        return tuple(line for line in lines if line.strip())


def refuse_foreign(path: str | Path, foreign: ForeignContract | None) -> None:
    """Raises `ModelError` if the user says something about the model `path`, which has its own contract."""
    if foreign is not None and foreign.given:
        raise ModelError(f"{path}: carries its own contract; leave out {foreign.given}")


def no_contract(path: Path) -> ModelError:
    """The error for a file without a contract, in a format of which files of others are not opened."""
    return ModelError(
        f"{path}: carries no contract, since it was not exported by resnext or its metadata were removed; "
        "export it again. Of files of others, ONNX is opened"
    )
