"""What is wrong with a data set, found before it is trained on: see `examine`."""

from resnext.doctor.examination import (
    Diagnosis,
    ExaminationProgress,
    LabelView,
    Measured,
    examine,
    measure_images,
)
from resnext.doctor.examined import ExaminedSet
from resnext.doctor.facts_file import FactsFile
from resnext.doctor.findings import DataFinding, KindCount, count_kinds, manifest_rows, name_in_split
from resnext.doctor.kinds import HARMS, KINDS, FindingKind, FindingsFound, Harm
from resnext.doctor.labels import load_cleanlab
from resnext.doctor.writing import read_decisions, summarise, write_diagnosis

__all__ = [
    "HARMS",
    "KINDS",
    "DataFinding",
    "Diagnosis",
    "ExaminationProgress",
    "ExaminedSet",
    "FactsFile",
    "FindingKind",
    "FindingsFound",
    "Harm",
    "KindCount",
    "LabelView",
    "Measured",
    "count_kinds",
    "examine",
    "load_cleanlab",
    "manifest_rows",
    "measure_images",
    "name_in_split",
    "read_decisions",
    "summarise",
    "write_diagnosis",
]
