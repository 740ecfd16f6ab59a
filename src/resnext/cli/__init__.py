"""The command line: words are parsed, one command runs, and its outcome is printed."""

from resnext.cli.main import main

__all__ = ["main"]
