"""The command line: words in, one call of the public functions, words out."""

from resnext.cli.main import main

__all__ = ["main"]
