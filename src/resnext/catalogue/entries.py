"""The catalogue of public weights of ImageNet-1K, by name: where they are, and how they are evaluated.

`catalogue.json` has a row for each name, with the source of its figures. Names are those of timm
(`resnext50_32x4d.a1h_in1k`: network, then recipe) and of torchvision's enums
(`ResNeXt50_32X4D_Weights.IMAGENET1K_V2`).
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from resnext.arch import TIMM_NAMES
from resnext.catalogue.errors import UnknownWeights
from resnext.catalogue.imagenet import imagenet_classes
from resnext.contract import Contract, Input, Provenance, Resize
from resnext.parsing import build, parse_json

#: Licences under which weights may be used for any purpose.
PERMISSIVE = ("apache-2.0", "bsd-3-clause", "mit")
#: Our name of each network, by timm's.
OUR_NAMES = {timm: ours for ours, timm in TIMM_NAMES.items()}


@dataclass(frozen=True)
class CatalogueEntry:
    """Weights that somebody has published.

    Args:
        name: The name they are asked for by.
        architecture: What timm and torchvision call the network.
        hub: Their repository on the hub.
        licence: Identifier of their licence, in lower case.
        train_px: Side of the crops they were trained on.
        size_px: Side of the crop on which `top1` was measured.
        resize_px: To what the shorter side is resized before.
        interpolation: Filter of that resizing.
        mean: Mean of each channel, on the scale 0 to 1.
        std: Standard deviation of each channel.
        top1: Share of the 50,000 validation images that are classified rightly, in percent; None if the
            source has no figure.
        source: Key of `sources` in the file: where the figures are from.
        origin: Page of those who trained them.
        file: Name of the file that they published first. It ends in the beginning of its SHA-256.
    """

    name: str
    architecture: str
    hub: str
    licence: str
    train_px: int
    size_px: int
    resize_px: int
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    top1: float | None
    source: str
    origin: str | None
    file: str | None

    @property
    def network(self) -> str:
        """Our name of the network."""
        return OUR_NAMES[self.architecture]

    @property
    def is_permissive(self) -> bool:
        """Whether they may be used for any purpose."""
        return self.licence in PERMISSIVE

    @property
    def digest_start(self) -> str | None:
        """The first eight digits of the SHA-256 of `file`."""
        return None if self.file is None else self.file.rpartition("-")[2].partition(".")[0]

    @property
    def contract(self) -> Contract:
        """How images are prepared and answers are called: classes are synsets, described by their words."""
        synsets, words = zip(*imagenet_classes(), strict=True)
        return Contract(
            classes=synsets,
            input=Input(3, self.size_px, self.size_px),
            resize=Resize(self.resize_px, self.size_px, self.interpolation),
            mean=self.mean,
            std=self.std,
            provenance=Provenance(self.network, weights_licence=self.licence),
            descriptions=words,
        )

    def __str__(self) -> str:
        """Such as `resnext50_32x4d.a1h_in1k (82.0 % top-1 at 288 px, apache-2.0)`."""
        top1 = "" if self.top1 is None else f"{self.top1:.1f} % top-1 at {self.size_px} px, "
        return f"{self.name} ({top1}{self.licence})"


@cache
def catalogue() -> tuple[CatalogueEntry, ...]:
    """All entries, in the order of their names."""
    text = resources.files("resnext.catalogue").joinpath("catalogue.json").read_text("utf-8")
    rows = [build(CatalogueEntry, row, "catalogue.json") for row in parse_json(text)["weights"]]
    return tuple(sorted(rows, key=lambda row: row.name))


def find_entry(name: str) -> CatalogueEntry | None:
    """The entry that `name` means: its own name, torchvision's DEFAULT, or the name of a network, which means
    its best permissive weights of timm's; None if there is none.

    >>> find_entry("resnext50_32x4d").name
    'resnext50_32x4d.a1h_in1k'
    >>> find_entry("ResNet50_Weights.DEFAULT").name
    'ResNet50_Weights.IMAGENET1K_V2'
    """
    family, _, version = name.rpartition(".")
    if version == "DEFAULT":
        named = [entry for entry in catalogue() if entry.name.startswith(f"{family}.IMAGENET1K")]
        return named[-1] if named else None
    for entry in catalogue():
        if entry.name == name:
            return entry
    of_network = [e for e in catalogue() if name in (e.architecture, e.network) and e.source == "timm"]
    usable = [entry for entry in of_network if entry.is_permissive and entry.top1 is not None]
    return max(usable, key=lambda entry: entry.top1 or 0, default=None)


def unknown_name(name: str) -> UnknownWeights:
    """The error for a name that means no weights; it has the three nearest names."""
    of_network = [e.name for e in catalogue() if name.partition(".")[0] in (e.architecture, e.network)]
    if "." not in name and of_network:
        return UnknownWeights(
            f"{name}: none of its weights is known to allow commercial use, so none is taken unasked; name "
            f"those you want: {', '.join(of_network)}"
        )
    names = of_network or [e.name for e in catalogue()] + sorted({e.architecture for e in catalogue()})
    nearest = difflib.get_close_matches(name, names, n=3, cutoff=0)
    return UnknownWeights(
        f"{name}: there is no such model; give a run folder, a hub folder or a weights file, or a name of "
        f"public weights. Nearest: {', '.join(nearest)}; `resnext weights` lists all"
    )


def entry_of_file(name: str) -> CatalogueEntry | None:
    """The entry whose first published file is called `name`; None if there is none."""
    return next((entry for entry in catalogue() if entry.file == name), None)
