"""From a recipe to a run folder: the only package in which network, data and training loop meet."""

from resnext.run.autoconfig import Choice, choose_recipe
from resnext.run.dry_run import dry_run
from resnext.run.evaluation import Evaluation, evaluate_images
from resnext.run.events import (
    DecodeProgress,
    EpochEnd,
    Event,
    FeatureProgress,
    HeadFitted,
    RunFinished,
    RunStarted,
    ScanProgress,
    StepEnd,
)
from resnext.run.folder import Run, RunError, RunFolder, RunFolderLost, RunTaken
from resnext.run.following import FollowingRun
from resnext.run.loggers import LoggerMissing
from resnext.run.scanning import scan_splits
from resnext.run.stop_signals import Stopped
from resnext.run.train import train

__all__ = [
    "Choice",
    "DecodeProgress",
    "EpochEnd",
    "Evaluation",
    "Event",
    "FeatureProgress",
    "FollowingRun",
    "HeadFitted",
    "LoggerMissing",
    "Run",
    "RunError",
    "RunFinished",
    "RunFolder",
    "RunFolderLost",
    "RunStarted",
    "RunTaken",
    "ScanProgress",
    "StepEnd",
    "Stopped",
    "choose_recipe",
    "dry_run",
    "evaluate_images",
    "scan_splits",
    "train",
]
