"""A network in the formats of other programs, and the proof that it answers there as it does here."""

from resnext.export.exporting import FORMATS, Export, export
from resnext.export.graph import OPTIONAL, Source
from resnext.export.judges import Judges
from resnext.export.parity import Difference, Parity, ParityError, compare

__all__ = [
    "FORMATS",
    "OPTIONAL",
    "Difference",
    "Export",
    "Judges",
    "Parity",
    "ParityError",
    "Source",
    "compare",
    "export",
]
