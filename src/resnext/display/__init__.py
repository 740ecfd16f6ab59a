"""Long work on the screen: a live bar on a terminal or in a notebook, plain lines elsewhere."""

from resnext.display.console import plain_console
from resnext.display.progress_bar import LINE_EVERY_S, ProgressBar
from resnext.display.train_display import TrainDisplay

__all__ = ["LINE_EVERY_S", "ProgressBar", "TrainDisplay", "plain_console"]
