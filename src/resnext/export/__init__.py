"""A network in the formats of other programs, and the proof that it answers there as it does here."""

from resnext.export.exporting import FORMATS, Export, export
from resnext.export.graph import OPTIONAL, Source
from resnext.export.int8 import QUANTIZERS, TARGETS, Target
from resnext.export.judges import Judges, data_of_run
from resnext.export.module_calls import TIMED_ENGINES
from resnext.export.parity import Difference, Parity, ParityError, compare
from resnext.export.quantizing import MAX_DROP, MIN_SPEED, Quantized, quantize, take_samples
from resnext.export.tuning import PRECISIONS, TUNED, Precision, TunedLayer, Tuning, tune

__all__ = [
    "FORMATS",
    "MAX_DROP",
    "MIN_SPEED",
    "OPTIONAL",
    "PRECISIONS",
    "QUANTIZERS",
    "TARGETS",
    "TIMED_ENGINES",
    "TUNED",
    "Difference",
    "Export",
    "Judges",
    "Parity",
    "ParityError",
    "Precision",
    "Quantized",
    "Source",
    "Target",
    "TunedLayer",
    "Tuning",
    "compare",
    "data_of_run",
    "export",
    "quantize",
    "take_samples",
    "tune",
]
