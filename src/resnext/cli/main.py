"""`main`: parse, call, print; errors become one clear message and an exit code."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from resnext.cli.verbs import Experiments, Train, parse
from resnext.recipe import Recipe, RecipeError, named_recipe
from resnext.training import launcher

DONE, USAGE, MISSING, LEFT, INTERRUPTED = 0, 2, 5, 75, 130
NO_ROOM_OR_RIGHT = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EFBIG)
#: Verbs that several processes may carry out together.
TOGETHER = ("train", "evaluate", "experiments")
WRONG_PLACE = (errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG)


def main(words: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    words = sys.argv[1:] if words is None else words
    try:
        return _run(words)
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:  # the help's
        return _unheard()


def _run(words: list[str]) -> int:
    try:
        options = parse(words or ["--help"], _start(words))
    except RecipeError as error:
        return _fail(error, USAGE)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else USAGE

    # After parsing: torch takes seconds to import.
    from resnext.cli import actions, exits, laboratory, science

    verb = type(options).__name__.lower()  # train for Train, and so on
    if launcher.is_launched() and verb not in TOGETHER:
        return _fail(f"{verb} runs as one process: start it without the launcher", USAGE)
    act = next(getattr(room, verb) for room in (actions, laboratory, science) if hasattr(room, verb))
    try:
        if launcher.is_launched():
            launcher.address()  # raises where too little is said: without a rank all would lead
        with contextlib.nullcontext() if launcher.leads() else _silence():
            act(options)
        return DONE
    except (BrokenPipeError, SystemExit):  # the second is rich's own way out of the first
        return _unheard(LEFT if isinstance(options, Train) or _runs(options) else DONE)
    except OSError as error:
        if error.errno in NO_ROOM_OR_RIGHT or error.errno is None:
            return _fail(_told(error), MISSING)
        if error.errno in WRONG_PLACE:
            return _fail(_told(error), USAGE)
        raise
    except Exception as error:
        if exits.is_out_of_memory(error):
            return _fail(f"out of memory{exits.less_memory(options)}", MISSING)
        for kind, code in exits.EXIT_CODES.items():
            if isinstance(error, kind):
                return _fail(error, code)
        raise


def _unheard(code: int = DONE) -> int:
    """Nobody reads what is said: say no more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _runs(options: object) -> bool:
    """Are experiments run, which can be gone on with?"""
    return isinstance(options, Experiments) and options.what == "run" and not options.dry_run


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Of processes that were started together the first one speaks; of the others only errors are heard."""
    with (
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


def _start(words: list[str]) -> Recipe:
    """What `train`'s settings begin with: the file after --config, or the recipe after --recipe."""
    if words[:1] != ["train"]:
        return named_recipe("small")
    if config := _value(words, "--config"):
        if _value(words, "--recipe"):
            raise RecipeError("--recipe: has no effect with --config; leave one of them out")
        try:
            return Recipe.from_toml(Path(config).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"--config {config}: cannot be read ({error})") from None
        except RecipeError as error:
            raise RecipeError(f"--config {config}: {error}") from None
    return named_recipe(_value(words, "--recipe") or "small")


def _value(words: list[str], option: str) -> str | None:
    for i, word in enumerate(words):
        if word == option and i + 1 < len(words):
            return words[i + 1]
        if word.startswith(option + "="):
            return word.partition("=")[2]
    return None


def _told(error: OSError) -> Exception | str:
    """The error with the file first, in words."""
    if error.filename is None or error.strerror is None:
        return error
    right = error.errno in (errno.EACCES, errno.EPERM)
    return f"{error.filename}: {'no permission; choose another place' if right else error.strerror.lower()}"


def _fail(error: Exception | str, code: int) -> int:
    notes = getattr(error, "__notes__", [])
    who = "resnext" if launcher.leads() else f"resnext (rank {launcher.rank()})"
    print(f"{who}: {error}", *notes, sep="\n", file=sys.stderr)
    return code
