"""`--batch auto`: the batch that suits a machine, found by trial in a process of its own.

A trial that runs out of memory, on a GPU or the machine, ends only its own process. On a GPU the best batch
is the largest one that leaves a margin of memory. On a CPU larger batches gain nothing from some size on, so
the best is the smallest one that is nearly as fast as the fastest.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from resnext.arch import Architecture
from resnext.models import create
from resnext.parsing import build, parse_json
from resnext.recipe import RecipeError
from resnext.training.optimisers import build_optimiser
from resnext.training.precision import autocast, torch_precision
from resnext.training.settings import TrainingSettings

#: Share of a GPU's memory that a batch may need; fragmentation and other processes take the rest.
MEMORY_SHARE = 0.85
#: Share of the best throughput that a smaller batch must reach on a CPU.
THROUGHPUT_SHARE = 0.95
#: Timed steps of each batch, after one that is not timed; the fastest counts.
STEPS = 3
#: Seconds after which a trial is ended.
TIMEOUT_S = 180.0
#: The folder that holds this package; it need not be on Python's search path.
PACKAGE_FOLDER = Path(__file__).parents[2]
#: What the process of a trial executes; its first argument is `PACKAGE_FOLDER`.
TRIAL_CODE = (
    "import sys; sys.path.append(sys.argv[1]); from resnext.run.batch_size_finder import main; main()"
)


@dataclass(frozen=True)
class Trial:
    """Training steps of a network on images of `size_px`, for each of `batches`."""

    model: str
    classes: int
    size_px: int
    precision: str
    device: str
    batches: tuple[int, ...]


@dataclass(frozen=True)
class TrialResult:
    """A batch that could be trained: its throughput, and the share of the device's memory that it took (0 if
    the device does not say)."""

    batch: int
    images_per_s: float
    memory_share: float


def find_batch_size(trial: Trial) -> tuple[int, str]:
    """The best batch, and why. Raises `RecipeError` if not even the smallest one could be trained."""
    results, end = _run_trial(trial)
    fitting = [one for one in results if one.memory_share <= MEMORY_SHARE]
    if not fitting:
        raise RecipeError(
            f"batch: not even {trial.batches[0]} images can be trained here ({end}); "
            "try a smaller --model or --data.size-px, or say --batch"
        )
    if not any(one.memory_share for one in fitting):  # the device does not say: throughput decides
        fastest = max(one.images_per_s for one in fitting)
        best = next(one for one in fitting if one.images_per_s >= THROUGHPUT_SHARE * fastest)
        return best.batch, f"tried {_throughputs(results)}"
    best = fitting[-1]
    return best.batch, f"takes {100 * best.memory_share:.0f} % of the memory; tried {_throughputs(results)}"


def _throughputs(results: Sequence[TrialResult]) -> str:
    return "images/s by batch: " + ", ".join(f"{one.batch}: {one.images_per_s:,.0f}" for one in results)


def _run_trial(trial: Trial) -> tuple[list[TrialResult], str]:
    """The results up to the first batch that failed, and the last line of the process that tried them."""
    # -P: otherwise the files of the current folder would come before the modules of the same names.
    argv = [sys.executable, "-P", "-c", TRIAL_CODE, str(PACKAGE_FOLDER), json.dumps(asdict(trial))]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            output, errors = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            output, errors = process.communicate()
        except BaseException:  # as of a signal: it would go on for a second
            process.kill()
            process.wait()
            raise
    results = [build(TrialResult, parse_json(line), "trial") for line in output.splitlines()]
    return results, (errors.strip().splitlines() or [f"exit code {process.returncode}"])[-1]


def _try_batches(trial: Trial) -> None:
    """Print one result a line, until a batch fails."""
    device = torch.device(trial.device)
    network = create(Architecture.from_name(trial.model, trial.classes))
    network.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimiser = build_optimiser([network], TrainingSettings(lr=1e-4))
    precision = torch_precision(trial.precision)
    for batch in trial.batches:
        if device.type == "cuda":  # memory that smaller batches left would count too
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
        images = torch.randn(batch, 3, trial.size_px, trial.size_px, device=device)
        images = images.contiguous(memory_format=torch.channels_last)
        labels = torch.arange(batch, device=device) % trial.classes

        def step(images: torch.Tensor, labels: torch.Tensor) -> float:
            start = time.perf_counter()
            with autocast(device, precision):
                logits = network(images)
            F.cross_entropy(logits.float(), labels).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            if device.type != "cpu":
                torch.accelerator.synchronize(device)
            return time.perf_counter() - start

        step(images, labels)
        seconds = min(step(images, labels) for _ in range(STEPS))
        share = 0.0
        if device.type == "cuda":
            share = torch.cuda.max_memory_reserved(device) / torch.cuda.mem_get_info(device)[1]
        print(json.dumps(asdict(TrialResult(batch, batch / seconds, share))), flush=True)
        del images, labels


def _end_with_parent(parent: int) -> None:
    """End this process once its parent is gone (on Windows this goes unnoticed)."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def main() -> None:
    """Run the trial that the last argument of the process describes as JSON."""
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    _try_batches(build(Trial, parse_json(sys.argv[-1]), "trial"))
