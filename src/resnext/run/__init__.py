"""Recipe to run folder: the only place where network, data and loop meet."""

from resnext.run.beginning import look
from resnext.run.evaluate import Evaluation, OnBad, evaluate_pictures
from resnext.run.events import Decoded, Event, Finished, Judged, Looked, Settled, Stepped
from resnext.run.folder import RunError, RunFolder
from resnext.run.loggers import LoggerMissing
from resnext.run.order import Order, Run
from resnext.run.stopping import Stopped
from resnext.run.train import train

__all__ = [
    "Decoded",
    "Evaluation",
    "Event",
    "Finished",
    "Judged",
    "LoggerMissing",
    "Looked",
    "OnBad",
    "Order",
    "Run",
    "RunError",
    "RunFolder",
    "Settled",
    "Stepped",
    "Stopped",
    "evaluate_pictures",
    "look",
    "train",
]
