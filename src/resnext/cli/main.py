"""`main`: parse, run, and turn errors into one clear message and an exit code."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from resnext.cli.command import Command
from resnext.cli.openmp import limit_spinning
from resnext.cli.out_of_memory import is_out_of_memory
from resnext.cli.screen import flush_screen, prepare_screen, say
from resnext.cli.signals import SignalsInterrupt
from resnext.errors import ResnextError, ResnextWarning, UsageError
from resnext.training import launcher
from resnext.version import __version__

DONE, USAGE, MACHINE, RESUMABLE, INTERRUPTED = 0, 2, 5, 75, 130
#: Errors of the operating system by what they mean: the machine lacks something, or a path is wrong.
LACKING = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EFBIG),
    *(errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.EAGAIN),  # a disk, open files, processes
)
WRONG_PATH = (errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: Words after `resnext`; those of this process if None.

    Returns:
        The exit code, one of `resnext.errors.EXIT_CODES`, or 128 + N after signal N. An error that is no
        `ResnextError` is raised.
    """
    limit_spinning()
    # Libraries start Python as well (compilers, loggers), which would look for modules in the current folder.
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    prepare_screen()
    argv = sys.argv[1:] if argv is None else list(argv)
    with SignalsInterrupt() as signals:
        try:
            code = _main(argv)
        except KeyboardInterrupt as error:
            if (number := signals.received) is None:
                code = _fail(error, INTERRUPTED, "interrupted")
            else:
                code = _fail(error, 128 + number, f"stopped by {number.name}{_and_now(error)}")
    return _end_output(code)


def _and_now(error: KeyboardInterrupt) -> str:
    """What follows from a stop, unless the notes on `error` say it."""
    said = getattr(error, "__notes__", [])
    return "" if said else "; nothing was lost: the same command starts again"


def _main(argv: list[str]) -> int:
    from resnext.cli.parser import parse

    try:
        if argv == ["--version"]:
            say(f"resnext {__version__}")
            return DONE
        command = parse(argv or ["--help"])
    except ResnextError as error:
        return _fail(error, error.exit_code)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else USAGE
    except BrokenPipeError:  # while the help was printed, as is the next
        return DONE
    except OSError as error:
        return _fail(error, MACHINE, f"the output: {describe_os_error(error)}")
    return _run(command)


def _run(command: Command) -> int:
    try:
        check_launch(command)
        tells = command.works_apart or launcher.is_main_process()
        with _notes(), contextlib.nullcontext() if tells else _silence():
            command.run()
        sys.stdout.flush()  # where nobody reads it any more, a training ends in one way, buffered or not
        return DONE
    except (BrokenPipeError, SystemExit):  # rich turns the first into the second
        return RESUMABLE if command.is_resumable else DONE
    except ResnextError as error:
        return _fail(error, error.exit_code)
    except Exception as error:
        return _fail(error, *_explain(error, command))


def _explain(error: Exception, command: Command) -> tuple[int, str]:
    """The exit code and the message for an error that is not ours. Raises it if it is an internal one."""
    if is_out_of_memory(error):
        return MACHINE, "; ".join(filter(None, ["out of memory", command.memory_hint]))
    if isinstance(error, OSError) and (error.errno in LACKING or error.errno is None):
        return MACHINE, describe_os_error(error)
    if isinstance(error, OSError) and error.errno in WRONG_PATH:
        return USAGE, describe_os_error(error)
    if isinstance(error, RuntimeError):
        from resnext.data.workers import explain_worker_error

        if (message := explain_worker_error(str(error))) is not None:
            return MACHINE, message
    raise error


def check_launch(command: Command) -> None:
    """Check what a launcher says about the processes that it started.

    Raises:
        UsageError: If there are several, and the command runs as one.
        LaunchError: If the launcher says too little: without a rank every process would write.
    """
    if not launcher.is_launched():
        return
    if not command.is_distributed:
        raise UsageError(f"{command.name} runs as one process: start it without the launcher")
    launcher.address()


@contextlib.contextmanager
def _notes() -> Iterator[None]:
    """Show our own warnings as notes meanwhile, without the line of code that they come from."""
    show = warnings.showwarning

    def show_note(message: Warning | str, category: type[Warning], *place: Any) -> None:
        if issubclass(category, ResnextWarning):
            say(f"note: {message}", file=sys.stderr)
        else:
            show(message, category, *place)

    warnings.showwarning = show_note  # type: ignore[assignment]
    try:
        yield
    finally:
        warnings.showwarning = show


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Print nothing meanwhile: of processes started together, all but the first print errors only."""
    with (
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


def _end_output(code: int) -> int:
    """Print what still waits to be printed, so that nothing is left that could fail after `main`.

    Returns:
        `code`, or that of what the machine lacks where all else went well.
    """
    failed = [error for error in flush_screen() if not isinstance(error, BrokenPipeError)]
    if failed and code == DONE:
        code = _fail(failed[0], MACHINE, f"the output: {describe_os_error(failed[0])}")
        flush_screen()
    return code


def describe_os_error(error: OSError) -> str:
    """The message of `error`, the file first.

    >>> describe_os_error(FileNotFoundError(2, "No such file or directory", "x.bin"))
    'x.bin: no such file or directory'
    """
    if error.strerror is None:
        return str(error)
    if error.filename is None:  # a file that was open before, as the output is
        return error.strerror.lower()
    no_right = error.errno in (errno.EACCES, errno.EPERM)
    reason = "no permission; choose another place" if no_right else error.strerror.lower()
    return f"{error.filename}: {reason}"


def _fail(error: BaseException, code: int, message: str = "") -> int:
    """Print `message`, or that of `error`, and the notes that `error` carries."""
    first, *rest = [message] if message else str(error).split("\n")
    notes = getattr(error, "__notes__", [])
    with contextlib.suppress(OSError):  # the output may lie on the disk that is full
        say(f"{_who()}: {first}", *rest, *notes, file=sys.stderr, flush=True)
    return code


def _who() -> str:
    """This process, as its errors name it."""
    try:
        return "resnext" if launcher.is_main_process() else f"resnext (rank {launcher.rank()})"
    except launcher.LaunchError:  # which is being reported
        return "resnext"
