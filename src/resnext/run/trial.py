"""The batch that suits a machine, found by trial in a process of its own: `--batch auto`.

What a trial breaks (a GPU's memory, the machine's) dies with its process. On a GPU the batch is the largest
that leaves a margin of memory; on a CPU, where larger ones gain nothing from some size on, the smallest that
is nearly as fast as the best.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F

from resnext.arch import Architecture
from resnext.models import create
from resnext.recipe import RecipeError
from resnext.training.loop import torch_precision
from resnext.training.optimisers import build_optimiser
from resnext.training.settings import TrainingSettings

#: Share of a GPU's memory that a batch may need: fragments and other processes take their part.
MEMORY_SHARE = 0.85
#: Share of the best pace that a smaller batch must reach on a CPU.
PACE_SHARE = 0.95
#: Steps that are timed for each batch, after one that is not; the fastest counts.
STEPS = 3
#: A trial that takes longer tells nothing new.
PATIENCE_S = 180.0


@dataclass(frozen=True)
class Task:
    """What is tried: training steps of a network on pictures of `size_px`, for each of `batches`."""

    model: str
    classes: int
    size_px: int
    precision: str
    device: str
    batches: tuple[int, ...]


@dataclass(frozen=True)
class Outcome:
    """One batch that could be trained: its pace, and the share of the device's memory that it took (0 where
    the device does not tell)."""

    batch: int
    pictures_per_s: float
    memory_share: float


def find_batch(task: Task) -> tuple[int, str]:
    """The batch that suits, and why. Raises `RecipeError` if not even the smallest could be trained."""
    outcomes, end = _try_all(task)
    fitting = [one for one in outcomes if one.memory_share <= MEMORY_SHARE]
    if not fitting:
        raise RecipeError(
            f"batch: not even {task.batches[0]} pictures can be trained here ({end}); "
            "try a smaller --model or --data.size-px, or say --batch"
        )
    if not any(one.memory_share for one in fitting):  # the device does not tell: the pace decides
        best = max(one.pictures_per_s for one in fitting)
        chosen = next(one for one in fitting if one.pictures_per_s >= PACE_SHARE * best)
        return chosen.batch, f"tried {_paces(outcomes)}"
    chosen = fitting[-1]
    return chosen.batch, f"takes {100 * chosen.memory_share:.0f} % of the memory; tried {_paces(outcomes)}"


def _paces(outcomes: Sequence[Outcome]) -> str:
    paces = ", ".join(f"{one.batch}: {one.pictures_per_s:,.0f}" for one in outcomes)
    return f"pictures/s by batch: {paces}"


def _try_all(task: Task) -> tuple[list[Outcome], str]:
    """Outcomes in the order of the batches, as far as the process came, and how it ended."""
    words = [sys.executable, "-c", "from resnext.run.trial import main; main()", json.dumps(asdict(task))]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            told, errors = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            told, errors = process.communicate()
    outcomes = [Outcome(**json.loads(line)) for line in told.splitlines()]
    return outcomes, (errors.strip().splitlines() or [f"exit code {process.returncode}"])[-1]


def _trial(task: Task) -> None:
    """Print an outcome a line, until a batch fails."""
    device = torch.device(task.device)
    network = create(Architecture.from_name(task.model, task.classes))
    network.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimiser = build_optimiser([network], TrainingSettings(lr=1e-4))
    precision = torch_precision(task.precision)
    for batch in task.batches:
        if device.type == "cuda":  # what smaller batches left would be counted too
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
        pictures = torch.randn(batch, 3, task.size_px, task.size_px, device=device)
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        labels = torch.arange(batch, device=device) % task.classes

        def step(pictures: torch.Tensor, labels: torch.Tensor) -> float:
            start = time.perf_counter()
            with torch.autocast(device.type, precision, enabled=precision != torch.float32):
                logits = network(pictures)
            F.cross_entropy(logits.float(), labels).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            if device.type != "cpu":
                torch.accelerator.synchronize(device)
            return time.perf_counter() - start

        step(pictures, labels)
        seconds = min(step(pictures, labels) for _ in range(STEPS))
        share = 0.0
        if device.type == "cuda":
            share = torch.cuda.max_memory_reserved(device) / torch.cuda.mem_get_info(device)[1]
        print(json.dumps(asdict(Outcome(batch, batch / seconds, share))), flush=True)
        del pictures, labels


def main() -> None:
    """Carry out the trial that the command line has as JSON."""
    values = json.loads(sys.argv[1])
    _trial(Task(**values | {"batches": tuple(values["batches"])}))
